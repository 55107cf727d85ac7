/**
 * The figures of images: `node bench/images.ts [N]`, each the median of N runs (3 unless told).
 *
 * Beside buildah, on one Dockerfile without RUN, both as programs that a person would start; and one
 * changed file at the top of an image of 300 MB, built and pushed to a registry of its own.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createRegistryHandler, openBlobStore } from '../src/image/index.ts';

const runs = Math.max(1, Number(process.argv[2] ?? 3));
const repository = join(import.meta.dirname, '..');
const figures = new Map<string, number[]>();
const processor = new Map<string, number[]>();

function record(name: string, seconds: number, cpu?: number): void {
  figures.set(name, [...(figures.get(name) ?? []), seconds]);
  if (cpu !== undefined) processor.set(name, [...(processor.get(name) ?? []), cpu]);
  process.stderr.write(
    `  ${name}: ${seconds.toFixed(3)} s${cpu === undefined ? '' : `, ${cpu.toFixed(3)} s of processor`}\n`,
  );
}

/** Runs a program; seconds on the clock, and of processor for it and what it starts. */
async function run(name: string | undefined, program: string, args: readonly string[], cwd: string): Promise<string> {
  const began = performance.now();
  const words = ['-c', 'TIMEFORMAT="%U %S"; time "$@"', 'bash', program, ...args];
  const child = spawn('bash', words, { cwd, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (stdout += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (stderr += piece));
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}\n${stdout}${stderr}`);
  const seconds = (performance.now() - began) / 1000;
  const times = stderr.trimEnd().split('\n').at(-1) ?? '';
  const cpu = times.split(' ').reduce((sum, each) => sum + Number(each), 0);
  if (name !== undefined) record(name, seconds, cpu);
  return stdout;
}

const median = (name: string, from = figures): number => {
  const sorted = (from.get(name) ?? []).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

/** Bytes that no compression helps with, the same each time. */
function noise(size: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest();
  const out = Buffer.alloc(size);
  for (let at = 0; at < size; at += 32) {
    key.writeUInt32LE(at >>> 0, 0);
    createHash('sha256').update(key).digest().copy(out, at);
  }
  return out;
}

function lay(root: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content, { mode: path.includes('/bin/') ? 0o755 : 0o644 });
  }
}

/** A tree as a base system with a program has it: many small files, some large ones. */
function layTree(root: string, megabytes: number, count: number): void {
  const large = Math.floor((megabytes * 0.6) / 10);
  for (let index = 0; index < large; index++) lay(root, { [`lib/large${index}`]: noise(10e6, `large ${index}`) });
  const each = Math.floor((megabytes * 0.4e6) / count);
  for (let index = 0; index < count; index++) {
    lay(root, { [`share/${index % 40}/file${index}`]: noise(each, `small ${index}`) });
  }
}

const folder = await mkdtemp(join(tmpdir(), 'bi-'));
const environment = {
  ...process.env,
  BANKSMAN_CACHE: join(folder, 'cache'),
  // Beside the cache, which is forgotten: what is compiled of the program is no part of making an image.
  NODE_COMPILE_CACHE: join(folder, 'node'),
  CI: 'true',
};

const program = join(repository, 'bin/banksman');

function workspace(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(folder, name);
  lay(root, { 'banksman.yaml': `name: ${name}\n`, ...files });
  return root;
}

function commit(root: string): void {
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=b', '-c', 'user.email=b@example.invalid', ...args], { cwd: root });
  git('init', '-q');
  git('add', '-A');
  git('commit', '-q', '-m', 'x');
}

const forget = () => rmSync(join(folder, 'cache'), { recursive: true, force: true });

/** A registry in this process, which clients in others ask. */
async function serve(): Promise<{ host: string; received: () => number; close: () => void }> {
  const handler = createRegistryHandler(await openBlobStore(join(folder, 'registry-blobs')), {
    root: join(folder, 'registry'),
    onError: (error) => console.error(error),
  });
  const server = createServer(handler);
  // What came over the wire, headers included: a listener for a body would take it from the registry.
  const sockets: Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const buildAndPush = (name: string | undefined, root: string, label: string, reference: string) =>
  run(name, process.execPath, [join(repository, 'bench/build-and-push.ts'), label, reference], root);

/** The same Dockerfile by both, from nothing (the base image comes from a registry) and with nothing changed. */
async function besideBuildah(): Promise<void> {
  const registry = await serve();
  const base = workspace('base', {
    'base/BUILD': 'docker_image(name = "image", srcs = glob(["root/**"]), dockerfile = "Dockerfile")\n',
    'base/Dockerfile': 'FROM scratch\nCOPY root/lib /usr/lib\nCOPY root/share /usr/share\n',
  });
  layTree(join(base, 'base/root'), 120, 1500);
  commit(base);
  const pushed = (await buildAndPush(undefined, base, '//base:image', `${registry.host}/base`)).trim();
  const root = workspace('beside', {
    'app/BUILD': 'docker_image(name = "image", srcs = glob(["root/**", "conf/**"]), dockerfile = "Dockerfile")\n',
    'app/Dockerfile': [
      `FROM ${registry.host}/base@${pushed}`,
      'ARG VERSION=1',
      'WORKDIR /app',
      'COPY root/lib lib',
      'COPY root/share share',
      'COPY --chown=65532:65532 --chmod=755 conf .',
      'ENV VERSION=$VERSION',
      'USER 65532',
      'ENTRYPOINT ["/app/run"]',
    ].join('\n'),
    'app/conf/run': '#!/bin/sh\n',
  });
  layTree(join(root, 'app/root'), 30, 300);
  commit(root);
  const storage = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  const words = ['bud', '--layers', '--tls-verify=false', '--isolation', 'chroot', '-q', '-t', 'app:1', 'app'];
  const bud = (name: string) => run(name, 'buildah', [...storage, ...words], root);
  const build = (name?: string) => run(name, program, ['build', '//app:image'], root);
  // A first build compiles all that builds.
  await build();
  for (let each = 0; each < runs; each++) {
    for (const place of ['root', 'run']) rmSync(join(folder, place), { recursive: true, force: true });
    forget();
    rmSync(join(root, 'banksman-out'), { recursive: true, force: true });
    await bud('buildah, cold');
    await build('banksman, cold');
    await bud('buildah, nothing changed');
    await build();
    await build('banksman, nothing changed');
  }
  registry.close();
  for (const place of ['root', 'beside', 'base']) rmSync(join(folder, place), { recursive: true, force: true });
}

/** The registry is another process in life; here it is this one, and the client a process of its own. */
async function changedFile(): Promise<void> {
  const root = workspace('large', {
    'app/BUILD': 'docker_image(name = "image", srcs = glob(["root/**"]) + ["top"], dockerfile = "Dockerfile")\n',
    'app/Dockerfile': 'FROM scratch\nCOPY root/lib /usr/lib\nCOPY root/share /usr/share\nCOPY top /app/top\n',
    'app/top': 'first\n',
  });
  layTree(join(root, 'app/root'), 300, 3000);
  commit(root);
  forget();
  const registry = await serve();
  const name = 'one changed file at the top of 300 MB, built and pushed';
  await buildAndPush(undefined, root, '//app:image', `${registry.host}/app/image`);
  for (let each = 0; each < Math.max(runs, 3); each++) {
    const content = noise(50_000, `top ${each}`);
    writeFileSync(join(root, 'app/top'), content);
    const before = registry.received();
    await buildAndPush(name, root, '//app:image', `${registry.host}/app/image`);
    process.stderr.write(`    ${registry.received() - before} bytes sent; the file has ${content.length}\n`);
  }
  registry.close();
}

try {
  const load = loadavg().map((each) => each.toFixed(2));
  console.log(`load average ${load.join(' ')}, ${runs} runs, ${new Date().toISOString()}`);
  const wanted = process.argv[3];
  if (wanted === undefined || wanted === 'buildah') await besideBuildah();
  if (wanted === undefined || wanted === 'push') await changedFile();
  for (const name of figures.keys()) {
    console.log(
      `${median(name).toFixed(3).padStart(9)} s ${median(name, processor).toFixed(3).padStart(9)} s of processor  ${name}`,
    );
  }
  if (figures.has('buildah, cold')) {
    for (const what of ['cold', 'nothing changed']) {
      const ratio = (from: typeof figures) =>
        (median(`buildah, ${what}`, from) / median(`banksman, ${what}`, from)).toFixed(1);
      console.log(`${what}: ${ratio(figures)} times as fast as buildah; ${ratio(processor)} times by processor`);
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
