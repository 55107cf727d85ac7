import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  hashPassword,
  headImage,
  makeImage,
  openBlobStore,
  pullImage,
  pushImage,
  readImageLayout,
} from '../../src/image/index.ts';

const banksman = fileURLToPath(new URL('../../bin/banksman', import.meta.url));

/** Clients of other people, from Debian's packages; script/packages.txt lists them. */
function there(program: string): boolean {
  for (const folder of (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin'))
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      // The next one.
    }
  if (process.env.BANKSMAN_TESTS === 'whole')
    throw new Error(`${program} is not installed, and no test may be left out`);
  return false;
}

const clients = ['skopeo', 'umoci', 'podman', 'runc'].every(there) && process.getuid?.() === 0;

/** Everything that the tests share: a registry over TLS whose users sign in for tokens, and an image in it. */
let folder = '';
let host = '';
let stop: () => Promise<void> = async () => {};
let digest = '';
let ca = '';
const password = 'a password of some length';

async function run(program: string, ...args: string[]): Promise<string> {
  const environment = { ...process.env, HOME: folder, XDG_RUNTIME_DIR: join(folder, 'run') };
  const { stdout } = await promisify(execFile)(program, args, { env: environment, timeout: 60_000 });
  return stdout;
}

const transport = () => ({ moreCa: ca, credentials: { username: 'ci', password } });

beforeAll(async () => {
  if (!clients) return;
  folder = await mkdtemp(join(tmpdir(), 'banksman-clients-'));
  await mkdir(join(folder, 'run'));
  await mkdir(join(folder, 'certs'));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem'];
  const subject = ['-subj', '/CN=registry', '-addext', 'subjectAltName=IP:127.0.0.1', '-out', 'certs/ca.crt'];
  execFileSync('openssl', ['req', '-x509', ...key, ...subject], { cwd: folder, stdio: 'ignore' });
  ca = await readFile(join(folder, 'certs/ca.crt'), 'utf8');
  await writeFile(
    join(folder, 'registry.yaml'),
    `tls: { cert: certs/ca.crt, key: key.pem }
challenge: token
users: { ci: { password: "${await hashPassword(password)}" } }
access:
  - { repositories: "**", push: [ci], delete: [ci] }
  - { repositories: "public/**", pull: [anonymous] }
`,
  );
  const args = ['registry', 'serve', '--root', join(folder, 'root'), '--config', join(folder, 'registry.yaml')];
  const child = spawn(banksman, [...args, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  host = /https {2}(\S+)/.exec(String(line))?.[1] ?? '';
  stop = async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  };
  await writeFile(
    join(folder, 'hello.go'),
    'package main\n\nimport (\n\t"fmt"\n\t"os"\n)\n\nfunc main() { fmt.Println("hello from", os.Getuid()) }\n',
  );
  const environment = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' };
  execFileSync('go', ['build', '-ldflags=-s -w', '-o', 'hello', 'hello.go'], { cwd: folder, env: environment });
  const built = await makeImage({
    store: await openBlobStore(join(folder, 'store')),
    output: join(folder, 'hello.oci'),
    packages: [],
    files: [{ destination: '/app/hello', source: join(folder, 'hello'), mode: 0o755 }],
    config: { entrypoint: ['/app/hello'] },
  });
  digest = built.digest;
  for (const repository of ['bank/hello', 'public/hello'])
    await pushImage({ layout: built.layout, reference: `${host}/${repository}:v1`, transport: transport() });
}, 120_000);

afterAll(async () => {
  await stop();
  if (folder !== '') await rm(folder, { recursive: true, force: true });
});

describe.skipIf(!clients)('clients of other people', () => {
  const creds = () => ['--creds', `ci:${password}`];
  const certs = (side = '') => [`--${side}cert-dir`, join(folder, 'certs')];

  test('skopeo inspects, lists, copies out and in, and deletes', async () => {
    const inspected = JSON.parse(
      await run('skopeo', 'inspect', ...certs(), ...creds(), `docker://${host}/bank/hello:v1`),
    );
    expect(inspected).toMatchObject({ Digest: digest, RepoTags: ['v1'], Os: 'linux' });
    const anonymous = await run('skopeo', 'inspect', ...certs(), '--no-creds', `docker://${host}/public/hello:v1`);
    expect(JSON.parse(anonymous)).toMatchObject({ Digest: digest });
    await expect(run('skopeo', 'inspect', ...certs(), '--no-creds', `docker://${host}/bank/hello:v1`)).rejects.toThrow(
      /unauthorized|authentication required|denied/i,
    );
    const layout = join(folder, 'copied');
    const from = [...certs('src-'), '--src-creds', `ci:${password}`];
    const to = [...certs('dest-'), '--dest-creds', `ci:${password}`];
    await run('skopeo', 'copy', '--preserve-digests', ...from, `docker://${host}/bank/hello:v1`, `oci:${layout}:v1`);
    expect((await readImageLayout(layout)).digest).toBe(digest);
    await run('skopeo', 'copy', '--preserve-digests', ...to, `oci:${layout}:v1`, `docker://${host}/bank/back:v1`);
    // Compressed on the way, and as Docker's kind of manifest.
    const docker = ['--format', 'v2s2', '--dest-compress-format', 'gzip'];
    await run('skopeo', 'copy', ...docker, ...to, `oci:${layout}:v1`, `docker://${host}/bank/docker:v1`);
    expect(await headImage({ reference: `${host}/bank/back:v1`, transport: transport() })).toMatchObject({ digest });
    const tags = await run('skopeo', 'list-tags', ...certs(), ...creds(), `docker://${host}/bank/docker`);
    expect(JSON.parse(tags).Tags).toEqual(['v1']);
    // What skopeo made of it is understood here, and is the same.
    const store = await openBlobStore(join(folder, 'pulled-store'));
    const output = join(folder, 'pulled.oci');
    const pulled = await pullImage({ reference: `${host}/bank/docker:v1`, store, output, transport: transport() });
    const original = await readImageLayout(layout);
    expect((await readImageLayout(pulled.layout)).configuration.diffIds).toEqual(original.configuration.diffIds);
    await run('skopeo', 'delete', ...certs(), ...creds(), `docker://${host}/bank/back:v1`);
    expect(await headImage({ reference: `${host}/bank/back:v1`, transport: transport() })).toBeUndefined();
  }, 60_000);

  test('what skopeo login leaves is found by the client here', async () => {
    const file = join(folder, 'auth.json');
    await promisify(execFile)('sh', [
      '-c',
      `printf %s "$1" | skopeo login --authfile "$2" --cert-dir "$3" -u ci --password-stdin "$4"`,
      'sh',
      password,
      file,
      join(folder, 'certs'),
      host,
    ]);
    process.env.REGISTRY_AUTH_FILE = file;
    try {
      const registries = { [host]: { ca } };
      expect(await headImage({ reference: `${host}/bank/hello:v1`, registries })).toMatchObject({ digest });
    } finally {
      delete process.env.REGISTRY_AUTH_FILE;
    }
  }, 60_000);

  test('umoci unpacks the image', async () => {
    const out = join(folder, 'unpacked');
    await run('umoci', 'unpack', '--image', `${join(folder, 'copied')}:v1`, out);
    const found = await stat(join(out, 'rootfs/app/hello'));
    expect([found.mode & 0o777, found.size]).toEqual([0o755, (await stat(join(folder, 'hello'))).size]);
  }, 60_000);

  test('podman pulls, runs and pushes it', async () => {
    const store = ['--root', join(folder, 'podman'), '--runroot', join(folder, 'podman-run')];
    // Without a daemon of the system's: files of its own, no controller of cgroups but the plain one.
    const podman = (...args: string[]) =>
      run('podman', ...store, '--storage-driver=vfs', '--cgroup-manager=cgroupfs', '--runtime=runc', ...args);
    await podman('pull', '--quiet', ...certs(), ...creds(), `${host}/bank/hello:v1`);
    const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
    const output = await podman('run', '--rm', '--network=none', ...limits, `${host}/bank/hello:v1`);
    expect(output).toBe('hello from 65532\n');
    await podman('push', '--quiet', ...certs(), ...creds(), `${host}/bank/hello:v1`, `${host}/bank/podman:v2`);
    const store2 = await openBlobStore(join(folder, 'store2'));
    const reference = `${host}/bank/podman:v2`;
    const pulled = await pullImage({
      reference,
      store: store2,
      output: join(folder, 'podman.oci'),
      transport: transport(),
    });
    expect((await readImageLayout(pulled.layout)).configuration.config).toMatchObject({ Entrypoint: ['/app/hello'] });
  }, 120_000);

  test('banksman mirror, as people run it', async () => {
    await writeFile(join(folder, 'images.txt'), `# what the cluster needs\n${host}/public/hello:v1 # ours\n`);
    await mkdir(join(folder, 'workspace'));
    await writeFile(
      join(folder, 'workspace/banksman.yaml'),
      `name: x\nregistries: { "${host}": { ca: ../certs/ca.crt } }\n`,
    );
    await mkdir(join(folder, '.docker'), { recursive: true });
    const auth = Buffer.from(`ci:${password}`).toString('base64');
    await writeFile(join(folder, '.docker/config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
    const environment = { ...process.env, HOME: folder, REGISTRY_AUTH_FILE: undefined, DOCKER_CONFIG: undefined };
    const args = [
      'mirror',
      '--from-file',
      join(folder, 'images.txt'),
      `${host}/hub`,
      '--json',
      '--report',
      'lock.json',
    ];
    const { stdout } = await promisify(execFile)(banksman, args, { env: environment, cwd: join(folder, 'workspace') });
    expect(JSON.parse(stdout)).toMatchObject({
      version: 1,
      images: [{ destination: `${host}/hub/public/hello:v1@${digest}`, digest, manifests: [digest], sentBytes: 0 }],
    });
    expect(JSON.parse(await readFile(join(folder, 'workspace/lock.json'), 'utf8'))).toMatchObject({
      images: [{ digest }],
    });
    await writeFile(join(folder, 'images.txt'), `${host}/public/hello:v1\n\nnot a name\n`);
    const wrong = promisify(execFile)(banksman, args, { env: environment, cwd: join(folder, 'workspace') });
    await expect(wrong).rejects.toMatchObject({ stderr: expect.stringMatching(/images.txt","line":3/) });
  }, 60_000);

  test("a Dockerfile's FROM is had from the registry as banksman.yaml says it is reached", async () => {
    const root = join(folder, 'from');
    await mkdir(root);
    execFileSync('git', ['init', '-q', root]);
    const environment = { ...process.env, HOME: folder, REGISTRY_AUTH_FILE: undefined, DOCKER_CONFIG: undefined };
    const image = async (from: string, settings = `registries: { "${host}": { ca: ../certs/ca.crt } }`) => {
      await writeFile(join(root, 'banksman.yaml'), `name: x\n${settings}\n`);
      await writeFile(join(root, 'BUILD'), 'docker_image(name = "image", dockerfile = "Dockerfile")\n');
      await writeFile(join(root, 'Dockerfile'), `FROM ${host}/${from}\nCOPY <<EOF /new\nEOF\n`);
      const done = execFile(banksman, ['image', 'inspect', '//:image', '--json'], { env: environment, cwd: root });
      const read = async (stream: Readable | null) => String(await stream?.toArray());
      const [out, err] = await Promise.all([read(done.stdout), read(done.stderr)]);
      return `${out}${err}`;
    };
    const unreachable = await image('public/hello:v1', '');
    expect(unreachable).toContain('could not be asked for the digest');
    expect(unreachable).toContain('first put the authority that signed');
    expect(await image('public/hello:v1')).toContain(`pin what it is now: ${host}/public/hello:v1@${digest}`);
    expect(await image(`public/hello@${digest}`)).toContain('/app/hello');
  }, 60_000);

  test('ADD trusts the authorities of the system', async () => {
    const key = await readFile(join(folder, 'key.pem'), 'utf8');
    // What was fetched once is known by its sum.
    const text = `from the bank ${randomUUID()}`;
    const server = createServer({ cert: ca, key }, (_, response) => response.end(text));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const root = join(folder, 'add');
    await mkdir(root);
    execFileSync('git', ['init', '-q', root]);
    const sum = createHash('sha256').update(text).digest('hex');
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
    await writeFile(join(root, 'banksman.yaml'), 'name: x\n');
    await writeFile(join(root, 'BUILD'), 'docker_image(name = "image", dockerfile = "Dockerfile")\n');
    await writeFile(join(root, 'Dockerfile'), `FROM scratch\nADD --checksum=sha256:${sum} ${url} /\n`);
    const build = async (environment: Record<string, string>) =>
      promisify(execFile)(banksman, ['build', '//:image'], { env: { ...process.env, ...environment }, cwd: root });
    try {
      await expect(build({})).rejects.toMatchObject({ stderr: expect.stringContaining('certificate') });
      await build({ SSL_CERT_FILE: join(folder, 'certs/ca.crt') });
    } finally {
      server.close();
    }
  }, 60_000);
});
