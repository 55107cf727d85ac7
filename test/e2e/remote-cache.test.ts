import { type ChildProcess, execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RemoteCache, remoteCaches } from '../support/remote-caches.ts';
import { banksman, eventually, freePort, makeWorkspace, type Outcome } from './workspace.ts';

const run = promisify(execFile);

const files = {
  'banksman.yaml': '',
  BUILD: `
genrule(name = "one", srcs = ["in.txt"], outs = ["one.txt"], cmd = "tr a-z A-Z < $SRC > $OUT")
genrule(name = "tree", srcs = [":one"], outs = ["tree"], cmd = "mkdir -p $OUT/a/b $OUT/empty && cp $SRC $OUT/a/b/f && cp $SRC $OUT/run && chmod +x $OUT/run && ln -s a/b/f $OUT/link")
genrule(name = "large", srcs = ["in.txt"], outs = ["large"], cmd = "cat $SRC > $OUT && seq 3000000 >> $OUT")
genrule(name = "program", outs = ["program"], cmd = "printf '#!/bin/sh\\\\necho works\\\\n' > $OUT && chmod +x $OUT", binary = True)
gentest(name = "t", data = [":one"], test_cmd = "grep -q TEXT one.txt", no_test_output = True)
`,
  'in.txt': 'some text\n',
};
const actions = 4;

interface Machine {
  readonly root: string;
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Outcome>;
}

const everything = ['build', '//:one', '//:tree', '//:large', '//:program'];

async function makeCertificate(folder: string): Promise<void> {
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1';
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
  await run('openssl', ['req', '-x509', ...curve, ...files, '-days', '2', '-subj', '/CN=localhost', '-addext', names]);
}

function reachable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Everything that was built, with contents. */
async function contents({ root }: Machine): Promise<string[]> {
  const found: string[] = [];
  for (const top of ['gen', 'bin']) {
    const below = join(root, 'banksman-out', top);
    for (const entry of await readdir(below, { recursive: true, withFileTypes: true }).catch(() => [])) {
      const path = join(entry.parentPath, entry.name);
      const mode = entry.isFile() ? (await stat(path)).mode.toString(8) : '';
      const kind = entry.isSymbolicLink() ? 'link' : entry.isDirectory() ? 'folder' : await sumOf(path);
      found.push(`${path.slice(root.length)} ${mode} ${kind}`);
    }
  }
  return found.sort();
}

const sumOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
const warnings = ({ stderr, stdout }: Outcome) =>
  `${stderr}${stdout}`.split('\n').filter((line) => line.includes('remote cache') && line.includes('warning'));
describe.each(Object.entries(remoteCaches))('%s', (_, make) => {
  let folder: string;
  let port: number;
  let cache: RemoteCache;
  let server: ChildProcess | undefined;
  const machines: { remove(): Promise<void> }[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'banksman-e2e-remote-'));
    await makeCertificate(folder);
    cache = await make(folder);
    port = await freePort();
    await startServer();
  }, 600_000);
  afterAll(async () => {
    await stopServer();
    for (const each of machines) await each.remove();
    await rm(folder, { recursive: true, force: true });
  });

  async function startServer(): Promise<void> {
    server = cache.start(port);
    await eventually('the server listens', () => reachable(port));
  }

  async function stopServer(): Promise<void> {
    const running = server;
    server = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  }

  /** A workspace and a local cache that nobody else has. */
  async function machine(some: Readonly<Record<string, string>> = files): Promise<Machine> {
    const instance = cache.instance === undefined ? '' : `, instance: ${cache.instance}`;
    const settings = `{ url: "grpcs://localhost:${port}", token_env: CACHE_TOKEN, ca: "${folder}/cert.pem"${instance} }`;
    const workspace = await makeWorkspace({ ...some, 'banksman.yaml': `name: x\nremote_cache: ${settings}\n` });
    machines.push(workspace);
    const own = join(folder, `cache-${randomBytes(4).toString('hex')}`);
    await mkdir(own);
    return {
      root: workspace.root,
      run: (args, env = {}) =>
        banksman(workspace.root, args, { BANKSMAN_CACHE: own, CACHE_TOKEN: cache.token, ...env }),
    };
  }

  test('two machines share what one has made, over TLS with a token', async () => {
    const first = await machine();
    const made = await first.run(everything);
    expect(made).toMatchObject({ code: 0 });
    expect(made.stderr).toContain(`${actions} actions ran, 0 cached`);
    expect(warnings(made)).toEqual([]);

    const second = await machine();
    const had = await second.run(everything);
    expect(had).toMatchObject({ code: 0 });
    expect(had.stderr).toContain(`0 actions ran, ${actions} cached (${actions} from the remote cache)`);
    expect(await contents(second)).toEqual(await contents(first));
    expect(await contents(first)).toHaveLength(10);
    expect((await run(join(second.root, 'banksman-out/bin/program'))).stdout).toBe('works\n');

    expect((await first.run(['test', '//:t', '--json'])).stdout).toContain('"cached": false');
    const tested = JSON.parse((await second.run(['test', '//:t', '--json'])).stdout);
    expect(tested).toMatchObject([{ label: '//:t', passed: true, cached: true }]);
    expect(JSON.parse((await second.run(['test', '//:t', '--json', '--rerun'])).stdout)).toMatchObject([
      { cached: false },
    ]);
  });

  test('a server that does not let us in, or whose certificate nobody vouches for, is said so once', async () => {
    const stranger = await machine();
    const refused = await stranger.run(everything, { CACHE_TOKEN: cache.wrongToken });
    expect(refused).toMatchObject({ code: 0 });
    expect(refused.stderr).toContain(`${actions} actions ran`);
    expect(warnings(refused)).toEqual([expect.stringContaining('does not let this machine in')]);

    const doubtful = await machine();
    await writeFile(join(doubtful.root, 'banksman.yaml'), 'name: x\n');
    const url = { BANKSMAN_REMOTE_CACHE: `grpcs://localhost:${port}` };
    const unknown = await doubtful.run(everything, url);
    expect(unknown).toMatchObject({ code: 0 });
    expect(warnings(unknown)).toEqual([expect.stringMatching(/can't be reached.*certificate/)]);
  });

  test('content that is damaged on the server is made here instead', async () => {
    const only = { ...files, 'in.txt': 'text to be damaged\n' };
    const first = await machine(only);
    expect(await first.run(everything)).toMatchObject({ code: 0 });
    const sums = new Set([
      await sumOf(join(first.root, 'banksman-out/gen/one.txt')),
      await sumOf(join(first.root, 'banksman-out/gen/large')),
    ]);
    let damaged = 0;
    for (const entry of await readdir(cache.content, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile()) continue;
      const bytes = await readFile(path);
      if (!sums.has(createHash('sha256').update(bytes).digest('hex'))) continue;
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      await writeFile(path, bytes);
      damaged++;
    }
    expect(damaged).toBe(sums.size);
    const second = await machine(only);
    const outcome = await second.run(everything);
    expect(outcome).toMatchObject({ code: 0 });
    expect(warnings(outcome)).toEqual([expect.stringContaining('damaged result, which is made here instead')]);
    expect(await contents(second)).toEqual(await contents(first));
  });

  test('a server that is killed in the middle is done without, and used again when it is back', async () => {
    const slow = {
      ...files,
      BUILD: `[genrule(name = f"s{i}", srcs = ["in.txt"], outs = [f"s{i}"], cmd = f"sleep 0.3; echo {i} > $OUT") for i in range(20)]`,
      'in.txt': 'killed\n',
    };
    const first = await machine(slow);
    const before = (await readdir(cache.content, { recursive: true })).length;
    const building = first.run(['build', '//...', '-j', '2']);
    await eventually('first results are sent', async () => {
      return (await readdir(cache.content, { recursive: true })).length > before + 6;
    });
    await stopServer();
    const outcome = await building;
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.stderr).toContain('20 actions ran');
    expect(warnings(outcome)).toEqual([expect.stringContaining("can't be reached, so this machine works alone")]);

    const started = performance.now();
    const alone = await (await machine()).run(everything);
    expect(alone).toMatchObject({ code: 0 });
    expect(warnings(alone)).toHaveLength(1);
    expect(performance.now() - started).toBeLessThan(15_000);

    await startServer();
    const third = await machine(slow);
    expect(warnings(await third.run(['build', '//...']))).toEqual([]);
    expect((await (await machine(slow)).run(['build', '//...'])).stderr).toContain('(20 from the remote cache)');
  });

  test('nothing is asked of it when it is switched off', async () => {
    const alone = await machine();
    const outcome = await alone.run(everything, { BANKSMAN_REMOTE_CACHE: 'off' });
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.stderr).toContain(`${actions} actions ran`);
  });
});
