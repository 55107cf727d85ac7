import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { banksman } from '../e2e/workspace.ts';

type Files = Readonly<Record<string, string>>;

interface Packed {
  readonly archive: Buffer;
  readonly integrity: string;
}

/** A registry with these packages, by `name@version`, and a workspace that locks them. */
let folder: string;
let registry: Server;
let asked: string[] = [];
const packed = new Map<string, Packed>();

async function write(root: string, files: Files): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

async function pack(name: string, version: string, files: Files = {}): Promise<void> {
  const root = await mkdtemp(join(folder, 'pack-'));
  const scripts = { install: 'touch /tmp/ran-a-script', prepare: 'exit 1' };
  await write(join(root, 'package'), {
    'package.json': JSON.stringify({ name, version, scripts }),
    'index.js': `module.exports = ${JSON.stringify(`${name} ${version}`)};\n`,
    ...files,
  });
  const archive = execFileSync('tar', ['-czf', '-', '-C', root, 'package']);
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  packed.set(`${name}@${version}`, { archive, integrity });
}

const locked = (name: string, version: string, more: object = {}) => ({
  version,
  integrity: packed.get(`${name}@${version}`)?.integrity,
  ...more,
});

function lock(more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    lockfileVersion: 3,
    packages: {
      '': { name: 'test' },
      'node_modules/a': locked('a', '1.0.0', { funding: { url: 'x' } }),
      'node_modules/a/node_modules/b': locked('b', '2.0.0'),
      'node_modules/b': locked('b', '1.0.0'),
      'node_modules/@types/a': locked('@types/a', '1.0.0'),
      'node_modules/tool': locked('tool', '1.0.0', { dev: true }),
      'node_modules/elsewhere': locked('elsewhere', '1.0.0', { os: ['!linux'], optional: true }),
      'node_modules/alias': locked('b', '2.0.0', { name: 'b' }),
      ...more,
    },
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-npm-test-'));
  await pack('a', '1.0.0', { 'index.d.ts': 'types', 'lib/deep.d.ts': 'types', 'lib/deep.js': '1' });
  await pack('b', '1.0.0');
  await pack('b', '2.0.0');
  await pack('@types/a', '1.0.0');
  await pack('tool', '1.0.0');
  await pack('tool', '2.0.0');
  await pack('elsewhere', '1.0.0');
  registry = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '/').slice(1);
    asked.push(path);
    const archive = /^archives\/(.*)$/.exec(path)?.[1];
    if (archive !== undefined) {
      response.end(packed.get(archive)?.archive);
      return;
    }
    const { port } = registry.address() as AddressInfo;
    const versions = [...packed].filter(([spec]) => spec.startsWith(`${path}@`));
    if (versions.length === 0) {
      response.statusCode = 404;
      response.end('{}');
      return;
    }
    const body = {
      name: path,
      'dist-tags': {},
      versions: Object.fromEntries(
        versions.map(([spec, { integrity }]) => {
          const version = spec.slice(path.length + 1);
          const tarball = `http://127.0.0.1:${port}/archives/${encodeURIComponent(spec)}`;
          return [version, { name: path, version, dist: { tarball, integrity } }];
        }),
      ),
    };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  registry?.closeAllConnections();
  registry?.close();
  await rm(folder, { recursive: true, force: true });
});

async function workspace(rule: string, lockText = lock()) {
  const root = await mkdtemp(join(folder, 'workspace-'));
  await write(root, { 'banksman.yaml': 'name: test\n', BUILD: `${rule}\n`, 'package-lock.json': lockText });
  const { port } = registry.address() as AddressInfo;
  const env = {
    npm_config_registry: `http://127.0.0.1:${port}/`,
    npm_config_cache: join(root, 'npm-cache'),
    npm_config_fetch_retries: '0',
    BANKSMAN_CACHE: join(root, 'cache'),
  };
  const run = (...args: string[]) => banksman(root, args, env);
  return {
    root,
    run,
    has: (path: string) =>
      stat(join(root, 'banksman-out/gen/node_modules', path)).then(
        () => true,
        () => false,
      ),
    text: (path: string) => readFile(join(root, 'banksman-out/gen/node_modules', path), 'utf8'),
    lock: (text: string) => writeFile(join(root, 'package-lock.json'), text),
  };
}

describe('npm_modules', { timeout: 300_000 }, () => {
  it('brings what the lock has, where it has it: not for development, not for another system, not left out', async () => {
    const {
      run,
      has,
      text,
      lock: relock,
    } = await workspace('npm_modules(exclude = ["@types/*"], strip = ["*.d.ts"])\n');
    const first = await run('build', '//:node_modules');
    expect(first.code, first.stderr).toBe(0);
    expect(await text('a/index.js')).toContain('a 1.0.0');
    expect(await text('b/index.js')).toContain('b 1.0.0');
    expect(await text('a/node_modules/b/index.js')).toContain('b 2.0.0');
    expect(await text('alias/index.js')).toContain('b 2.0.0');
    const there = ['a/lib/deep.js', 'a/index.d.ts', 'a/lib/deep.d.ts', '@types', 'tool', 'elsewhere'];
    expect(await Promise.all(there.map(has))).toEqual([true, false, false, false, false, false]);
    expect(await stat('/tmp/ran-a-script').catch(() => 'no')).toBe('no');

    // Another version of a tool, and who pays for a package, are no part of the key; nor is anything asked again.
    asked = [];
    await relock(
      lock({ 'node_modules/tool': locked('tool', '2.0.0', { dev: true }), 'node_modules/a': locked('a', '1.0.0') }),
    );
    const second = await run('build', '//:node_modules');
    expect(second.stderr).toContain('0 actions ran');
    // One package more is fetched alone: the others are kept by their sums.
    await relock(lock({ 'node_modules/tool': locked('tool', '2.0.0') }));
    const third = await run('build', '//:node_modules');
    expect(third.code, third.stderr).toBe(0);
    expect(await text('tool/index.js')).toContain('tool 2.0.0');
    expect([...new Set(asked)]).toEqual(['tool', 'archives/tool@2.0.0']);
  });

  it('refuses another content than the lock has, and leaves nothing', async () => {
    const wrong = locked('a', '1.0.0', { integrity: packed.get('b@1.0.0')?.integrity });
    const { run, has } = await workspace('npm_modules()\n', lock({ 'node_modules/a': wrong }));
    const { code, stderr } = await run('build', '//:node_modules');
    expect(code).toBe(1);
    expect(stderr).toContain('error[build/hash-mismatch]: a@1.0.0 has another sum than //:node_modules locks');
    expect(await has('a')).toBe(false);
  });

  it('says what is missing of the lock, and the graph is whole without it', async () => {
    const { run, root } = await workspace('npm_modules(packages = ["c"])\n');
    expect((await run('query', 'targets', '//...')).stdout).toContain('//:node_modules');
    expect((await run('build', '//:node_modules')).stderr).toContain(
      'package-lock.json has no package c for this system',
    );
    await rm(join(root, 'package-lock.json'));
    expect((await run('build', '//:node_modules')).stderr).toContain(
      'package-lock.json is not there or has no packages',
    );
  });

  it('tells what npm says where a package is not to be had', async () => {
    const gone = { version: '1.0.0', integrity: `sha512-${'A'.repeat(86)}==` };
    const { run } = await workspace('npm_modules()\n', lock({ 'node_modules/gone': gone }));
    const { code, stderr } = await run('build', '//:node_modules');
    expect(code).toBe(1);
    expect(stderr).toContain("error[build/fetch-failed]: npm can't bring what //:node_modules needs");
    expect(stderr).toContain('404');
  });
});
