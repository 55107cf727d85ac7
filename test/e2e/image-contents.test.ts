import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { banksman, execute, makeWorkspace, repository } from './workspace.ts';

/**
 * A program in each language that asks for what a container has to have: the bank's own authority beside the public ones, time
 * zones, and the name of who runs it.
 */
const files = {
  'go/main.go': `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"time"
)

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil {
		panic(err)
	}
	said, _ := io.ReadAll(answer.Body)
	zone, err := time.LoadLocation("Asia/Kathmandu")
	if err != nil {
		panic(err)
	}
	_, offset := time.Unix(1700000000, 0).In(zone).Zone()
	who, err := user.Current()
	if err != nil {
		panic(err)
	}
	fmt.Println(string(said), offset, who.Username, who.HomeDir)
}
`,
  'go/BUILD': `
go_binary(name = "ask", srcs = ["main.go"])
docker_image(name = "image", files = {"/ask": ":ask"}, entrypoint = ["/ask"], certificates = ["//authority"])
`,
  'java/Ask.java': `package java_;

import java.io.InputStream;
import java.net.URI;
import java.time.Instant;
import java.time.ZoneId;

public class Ask {
  public static void main(String[] words) throws Exception {
    try (InputStream body = URI.create(words[0]).toURL().openStream()) {
      int offset = ZoneId.of("Asia/Kathmandu").getRules().getOffset(Instant.ofEpochSecond(1700000000)).getTotalSeconds();
      String said = new String(body.readAllBytes());
      System.out.println(said + " " + offset + " " + System.getProperty("user.name") + " " + System.getProperty("user.home"));
    }
  }
}
`,
  'java/BUILD': `
java_binary(name = "ask", srcs = ["Ask.java"], main_class = "java_.Ask")
java_runtime(name = "runtime", jars = [":ask"], jdk = "//third_party/debian:openjdk-17-jdk-headless")
docker_image(
    name = "image", files = {"/ask.jar": ":ask"}, java_runtime = ":runtime", certificates = ["//authority"],
    packages = ["//third_party/debian:libc6", "//third_party/debian:libstdc++6", "//third_party/debian:zlib1g"],
    entrypoint = ["/usr/bin/java", "-jar", "/ask.jar"],
)
`,
  'python/ask.py': `import datetime, os, pwd, sys, urllib.request, zoneinfo

said = urllib.request.urlopen(sys.argv[1]).read().decode()
when = datetime.datetime.fromtimestamp(1700000000, zoneinfo.ZoneInfo("Asia/Kathmandu"))
who = pwd.getpwuid(os.getuid())
print(said, int(when.utcoffset().total_seconds()), who.pw_name, who.pw_dir)
`,
  'python/BUILD': `
docker_image(
    name = "image", files = {"/ask.py": "ask.py"}, certificates = ["//authority"], packages = ["//third_party/debian:python3"],
    entrypoint = ["/usr/bin/python3", "-I", "/ask.py"],
)
`,
  'authority/BUILD': 'filegroup(name = "authority", srcs = ["bank.pem"], visibility = ["PUBLIC"])\n',
};

let root: string;
let url: string;
const removals: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const remove of removals.reverse()) await remove();
});

beforeAll(async () => {
  const made = await makeWorkspace(files);
  root = made.root;
  removals.push(made.remove);
  await cp(join(repository, 'banksman.yaml'), join(root, 'banksman.yaml'));
  await cp(join(repository, 'third_party'), join(root, 'third_party'), { recursive: true });
  execFileSync('git', ['init', '-q', root]);
  const folder = await mkdtemp(join(tmpdir(), 'banksman-authority-'));
  removals.push(() => rm(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=The bank', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  openssl('req', ...key, '-subj', '/CN=localhost', '-keyout', at('key'), '-out', at('csr'));
  await writeFile(at('extensions'), 'subjectAltName = IP:127.0.0.1\n');
  const signing = ['x509', '-req', '-days', '2', '-in', at('csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key')];
  openssl(...signing, '-CAcreateserial', '-extfile', at('extensions'), '-out', at('pem'));
  await cp(at('ca.pem'), join(root, 'authority/bank.pem'));
  const options = { key: await readFile(at('key')), cert: await readFile(at('pem')) };
  const server = createServer(options, (_, response) => response.end('trusted'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  removals.push(async () => server.close());
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

/** Runs an image's program in its files alone, as its user, on this machine's network. */
async function runImage(label: string): Promise<string> {
  const outcome = await banksman(root, ['image', 'inspect', label, '--json']);
  if (outcome.code !== 0) throw new Error(outcome.stderr);
  const [image] = JSON.parse(outcome.stdout).images;
  const into = await mkdtemp(join(tmpdir(), 'banksman-root-'));
  removals.push(() => rm(into, { recursive: true, force: true }));
  await mkdir(into, { recursive: true });
  for (const { digest } of image.layers) {
    const layer = join(
      root,
      'banksman-out/gen',
      `${label.slice(2).replace(':', '/')}.oci/blobs/sha256`,
      digest.slice(7),
    );
    execFileSync('tar', ['-xpf', layer, '-C', into]);
  }
  const [uid, gid] = image.config.User.split(':');
  const env = image.config.Env.flatMap((pair: string) => [
    '--setenv',
    ...(pair.split(/=(.*)/s).slice(0, 2) as string[]),
  ]);
  const sandbox = ['--unshare-user', '--unshare-pid', '--uid', uid, '--gid', gid, '--clearenv', ...env];
  const mounts = ['--ro-bind', into, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'];
  const ran = await execute('bwrap', [...sandbox, ...mounts, ...image.config.Entrypoint, url]);
  return ran.stdout === '' ? ran.stderr : ran.stdout;
}

it.each(['//go:image', '//java:image', '//python:image'])(
  'what runs in %s trusts the own authority, knows time zones, and who it is',
  async (label) => {
    expect(await runImage(label)).toBe(`trusted ${5.75 * 3600} nonroot /home/nonroot\n`);
  },
);
