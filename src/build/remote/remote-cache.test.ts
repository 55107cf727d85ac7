import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import type { Progress } from '../../progress/index.ts';
import { type Behaviour, type RemoteServer, startRemoteServer } from '../testing/remote-server.ts';
import { makeWorkspace, type TestWorkspace } from '../testing/workspace.ts';
import type { BuilderOptions, BuildResult } from '../types.ts';

const run = promisify(execFile);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanups.splice(0).reverse()) await each();
});

async function server(behave: Behaviour = {}): Promise<RemoteServer> {
  const started = await startRemoteServer(behave);
  cleanups.push(() => started.stop());
  return started;
}

const files = {
  BUILD: `
build_rule(name = "one", srcs = ["in.txt"], outs = ["one.txt"], cmd = "tr a-z A-Z < $SRC > $OUT")
build_rule(name = "tree", srcs = [":one"], outs = ["tree"], cmd = """
  mkdir -p $OUT/a/b $OUT/empty; cp $SRC $OUT/a/b/f; cp $SRC $OUT/run; chmod +x $OUT/run; : > $OUT/none; ln -s a/b/f $OUT/link""")
build_rule(name = "large", outs = ["large"], cmd = "head -c 9000000 /dev/zero > $OUT; echo end >> $OUT")
build_rule(name = "every", srcs = [":one", ":tree", ":large"], outs = ["every"], cmd = "ls -R $SRCS > $OUT")
build_rule(name = "t", test = True, srcs = ["in.txt"], outs = ["t"], cmd = "echo 'true' > $OUT", test_cmd = "sh $TEST",
           no_test_output = True)
`,
  'in.txt': 'some text\n',
};

interface Machine {
  readonly w: TestWorkspace;
  readonly said: string[];
  build(options?: Partial<BuilderOptions>): Promise<BuildResult>;
}

/** A workspace with a local cache of its own. */
async function machine(url: string, env: Readonly<Record<string, string>> = {}, what = files): Promise<Machine> {
  const said: string[] = [];
  const progress: Progress = {
    begin: () => ({ update() {}, done() {}, fail() {} }),
    say: (line) => said.push(line),
  };
  const w = await makeWorkspace(what, { progress });
  cleanups.push(() => w.remove());
  return {
    w,
    said,
    async build(options = {}) {
      const builder = await w.builder({ env: { BANKSMAN_REMOTE_CACHE: url, ...env }, ...options });
      const targets = [...(await w.graph()).targets.values()];
      return builder.build(targets.filter(({ test }) => test === undefined).map(({ label }) => label));
    },
  };
}

/** Everything below a folder, with contents and modes. */
async function contents(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const kind = entry.isSymbolicLink() ? 'link' : entry.isDirectory() ? 'folder' : await readFile(path, 'latin1');
    found.push(`${path.slice(folder.length)}: ${kind}`);
  }
  return found.sort();
}

describe('a remote cache', () => {
  it('gives one machine what another has made: files, folders, large ones, programs, tests', async () => {
    const far = await server();
    const first = await machine(far.url);
    expect(await first.build()).toMatchObject({ ran: { length: 4 }, fetched: 0 });
    const sent = far.received;
    const second = await machine(far.url);
    expect(await second.build()).toMatchObject({ ran: { length: 0 }, cached: 4, fetched: 4 });
    const [a, b] = await Promise.all([first, second].map(({ w }) => contents(join(w.root, 'banksman-out/gen'))));
    expect(b).toEqual(a);
    expect(a?.length).toBeGreaterThan(0);
    expect([...first.said, ...second.said]).toEqual([]);
    // Nothing that is there is sent again, and what is here is not asked for.
    expect(far.received).toBe(sent);
    const asked = far.calls.get('GetActionResult');
    expect(await second.build()).toMatchObject({ cached: 4, fetched: 0 });
    expect(far.calls.get('GetActionResult')).toBe(asked);

    const env = { BANKSMAN_REMOTE_CACHE: far.url };
    const tested = async ({ w }: Machine) => (await (await w.builder({ env })).test(['//:t'])).tests.get('//:t');
    expect(await tested(first)).toMatchObject({ status: 'passed', cached: false });
    expect(await tested(second)).toMatchObject({ status: 'passed', cached: true });
  });

  it('brings outputs that nobody knows before, those beside them, and what a test left behind', async () => {
    const far = await server();
    const open = {
      'p/BUILD': `
build_rule(name = "open", outs = ["one"], output_dirs = ["_out"], optional_outs = ["*.map"],
           cmd = "mkdir -p _out/sub; echo a > _out/sub/a; echo b > _out/b; echo one > $OUT; echo m > $OUT.map")
build_rule(name = "user", srcs = [":open"], outs = ["user"], cmd = "ls -R $SRCS > $OUT")
build_rule(name = "kept", outs = ["kept"], cmd = "echo kept > $OUT", local = True)
build_rule(name = "t", test = True, test_cmd = "mkdir shots; echo s > shots/s", test_outputs = ["shots"], no_test_output = True)
`,
    };
    const first = await machine(far.url, {}, open as never);
    expect(await first.build()).toMatchObject({ ran: { length: 3 }, fetched: 0 });
    const second = await machine(far.url, {}, open as never);
    // What is for one machine stays there.
    expect(await second.build()).toMatchObject({ ran: [{ label: '//p:kept' }], fetched: 2 });
    const [a, b] = await Promise.all([first, second].map(({ w }) => contents(join(w.root, 'banksman-out/gen'))));
    expect(b).toEqual(a);
    expect(a).toContain('/p/one.map: m\n');
    expect(a).toContain('/p/sub/a: a\n');
    const env = { BANKSMAN_REMOTE_CACHE: far.url };
    for (const [{ w }, cached] of [[first, false] as const, [second, true] as const]) {
      const { tests } = await (await w.builder({ env })).test(['//p:t']);
      expect(tests.get('//p:t')).toMatchObject({ status: 'passed', cached });
      expect(await readFile(join(w.root, 'banksman-out/test/p/shots/s'), 'utf8')).toBe('s\n');
    }
    expect([...first.said, ...second.said]).toEqual([]);
  });

  it('is not believed where a result has outputs that the action can not have', async () => {
    const open = {
      'p/BUILD': `build_rule(name = "x", outs = ["one"], output_dirs = ["_out"], cmd = "mkdir _out; echo a > _out/a; echo one > $OUT")
build_rule(name = "t", test = True, test_cmd = "echo s > shot", test_outputs = ["shot"], no_test_output = True)`,
    };
    const far = await server();
    const env = { BANKSMAN_REMOTE_CACHE: far.url };
    const first = await machine(far.url, {}, open as never);
    await first.build();
    await (await first.w.builder({ env })).test(['//p:t']);
    const good = structuredClone([...far.results]);
    const put = (text: string) => {
      const data = Buffer.from(text);
      const hash = createHash('sha256').update(data).digest('hex');
      far.blobs.set(hash, data);
      return { hash, sizeBytes: data.length };
    };
    /** Edits what results say, and the listings that go with them, alike. */
    const hostile = (from: string, to: string, listed = true) => {
      far.results.clear();
      for (const [key, result] of structuredClone(good)) {
        for (const file of result.outputFiles) {
          const blob = far.blobs.get(file.digest.hash)?.toString() ?? '';
          if (listed && file.path.endsWith('.json')) file.digest = put(blob.replaceAll(from, to));
          if (file.path === from) file.path = to;
        }
        far.results.set(key, result);
      }
    };
    for (const [from, to, listed] of [
      ['p/a', '../../escaped', true],
      ['p/a', '/tmp/banksman-escaped', true],
      ['p/a', 'q/a', true],
      ['p/a', 'p/../q/a', true],
      ['p/a', 'p/b', false],
      ['.banksman/outputs.json', 'p/c', false],
      ['p/one', 'p/two', true],
      ['p/shot', '../../../shot', true],
    ] as const) {
      hostile(from, to, listed);
      const second = await machine(far.url, {}, open as never);
      const built = await (await second.w.builder({ env })).build(['//p:x']);
      const { tests } = await (await second.w.builder({ env })).test(['//p:t']);
      const isTest = from === 'p/shot';
      expect([from, to, built.fetched, tests.get('//p:t')?.cached]).toEqual([from, to, isTest ? 1 : 0, !isTest]);
      expect(second.said).toEqual([expect.stringContaining('gave a damaged result, which is made here instead')]);
      const made = await contents(join(second.w.root, 'banksman-out/gen'));
      expect(made.filter((line) => !line.endsWith(': folder'))).toEqual(['/p/a: a\n', '/p/one: one\n']);
    }
  });

  it('does not send again what the server has, when only a part is new', async () => {
    const far = await server();
    const first = await machine(far.url);
    await first.build();
    const sent = far.received;
    await first.w.write({ 'in.txt': 'other text\n' });
    expect(await first.build()).toMatchObject({ ran: { length: 3 } });
    expect(far.received - sent).toBeLessThan(10_000);
  });

  it('fills batches and streams as the server limits them', async () => {
    const far = await server({ maxBatchTotalSizeBytes: 70_000 });
    const many = {
      BUILD: `build_rule(name = "every", outs = ["every"], cmd = "mkdir $OUT; for i in {1..300}; do head -c $((i * 9)) /dev/zero > $OUT/$i; done")`,
    };
    const first = await machine(far.url, {}, many as typeof files);
    await first.build();
    expect(far.calls.get('BatchUpdateBlobs')).toBeGreaterThan(5);
    const second = await machine(far.url, {}, many as typeof files);
    expect(await second.build()).toMatchObject({ fetched: 1 });
    expect(await contents(join(second.w.root, 'banksman-out/gen'))).toEqual(
      await contents(join(first.w.root, 'banksman-out/gen')),
    );
  });

  it('is checked: damaged content is made here instead, and said once', async () => {
    const far = await server();
    await (await machine(far.url)).build();
    far.behave.damage = (data) => Buffer.concat([Buffer.from([(data[0] ?? 0) ^ 1]), data.subarray(1)]);
    const second = await machine(far.url);
    expect(await second.build()).toMatchObject({ ran: { length: 4 }, fetched: 0 });
    expect(second.said).toEqual([expect.stringMatching(/gave a damaged result.*does not fit its sum/)]);
    expect(await readFile(join(second.w.root, 'banksman-out/gen/every'), 'utf8')).toContain('tree');

    far.behave.damage = (data) => data.subarray(0, -1);
    const third = await machine(far.url);
    expect(await third.build()).toMatchObject({ ran: { length: 4 }, fetched: 0 });
  });

  it('is checked: a result with other outputs, or that failed, is none', async () => {
    const far = await server();
    await (await machine(far.url)).build();
    for (const result of far.results.values()) for (const file of result.outputFiles) file.path = '../../etc/passwd';
    const second = await machine(far.url);
    expect((await second.build()).ran.map(({ label }) => label)).toContain('//:one');
    for (const result of far.results.values()) result.exitCode = 1;
    const third = await machine(far.url);
    expect(await third.build()).toMatchObject({ ran: { length: 4 } });
  });

  it('that lost content counts as not having the result', async () => {
    const far = await server();
    await (await machine(far.url)).build();
    for (const [sum, data] of far.blobs) if (data.length < 200) far.blobs.delete(sum);
    const second = await machine(far.url);
    const { ran } = await second.build();
    // The tree's files have the content of what `one` made: its listing is all that had to come.
    expect(ran.map(({ label }) => label)).toEqual(['//:one', '//:every']);
    expect(second.said).toEqual([]);
    expect(await (await machine(far.url)).build()).toMatchObject({ ran: { length: 0 } });
  });

  it('that is away costs next to nothing, and is said once', async () => {
    const far = await server();
    far.stop();
    const alone = await machine(far.url);
    const started = performance.now();
    expect(await alone.build()).toMatchObject({ ran: { length: 4 } });
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(alone.said).toEqual([expect.stringMatching(/can't be reached, so this machine works alone/)]);
  });

  it('that does not answer is waited for once, for three seconds', async () => {
    const far = await server({ hang: '*' });
    const alone = await machine(far.url);
    const started = performance.now();
    expect(await alone.build()).toMatchObject({ ran: { length: 4 } });
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(far.calls.get('GetCapabilities')).toBe(1);
    expect(alone.said).toHaveLength(1);
  });

  it('that goes away in the middle of a build is given up', async () => {
    const far = await server();
    const first = await machine(far.url);
    far.behave.fail = { call: 'UpdateActionResult', code: 14 };
    expect(await first.build()).toMatchObject({ ran: { length: 4 } });
    expect(first.said).toEqual([expect.stringMatching(/can't be reached/)]);
    expect(far.results.size).toBe(0);
  });

  it('that is busy is asked again', async () => {
    const far = await server({ busy: 4 });
    const first = await machine(far.url);
    await first.build();
    expect(far.behave.busy).toBe(0);
    far.behave.busy = 4;
    const second = await machine(far.url);
    expect(await second.build()).toMatchObject({ fetched: 4 });
    expect([...first.said, ...second.said]).toEqual([]);
  });

  it('that wants a token gets it, and is left alone without', async () => {
    const far = await server({ authorization: 'Bearer secret' });
    const env = { BANKSMAN_REMOTE_CACHE_TOKEN: 'secret' };
    await (await machine(far.url, env)).build();
    expect(await (await machine(far.url, env)).build()).toMatchObject({ fetched: 4 });
    const stranger = await machine(far.url, { BANKSMAN_REMOTE_CACHE_TOKEN: 'other' });
    const before = far.calls.get('GetActionResult');
    expect(await stranger.build()).toMatchObject({ ran: { length: 4 } });
    expect(stranger.said).toEqual([expect.stringMatching(/does not let this machine in/)]);
    expect(far.calls.get('GetActionResult')).toBe(before);
    expect(stranger.said.join()).not.toContain('other');
  });

  it('that takes no results is read, and not sent any', async () => {
    const far = await server();
    await (await machine(far.url)).build();
    far.behave.fail = { call: 'UpdateActionResult', code: 7 };
    const second = await machine(far.url);
    await second.w.write({ 'in.txt': 'other\n' });
    expect(await second.build()).toMatchObject({ ran: { length: 3 }, fetched: 1 });
    expect(second.said).toEqual([expect.stringMatching(/takes no results from here/)]);

    far.behave.updateEnabled = false;
    const third = await machine(far.url);
    await third.w.write({ 'in.txt': 'another\n' });
    const calls = far.calls.get('FindMissingBlobs');
    expect(await third.build()).toMatchObject({ ran: { length: 3 }, fetched: 1 });
    expect(far.calls.get('FindMissingBlobs')).toBe(calls);
    expect(third.said).toEqual([]);
  });

  it('that can not do what is needed is said so', async () => {
    const far = await server({ digestFunctions: [2] });
    const alone = await machine(far.url);
    expect(await alone.build()).toMatchObject({ ran: { length: 4 } });
    expect(alone.said).toEqual([expect.stringMatching(/does not use SHA-256/)]);
  });

  it('gets nothing from actions that ran without a sandbox', async () => {
    const far = await server();
    const { w } = await machine(far.url);
    const script = new URL('../testing/build-once.ts', import.meta.url).pathname;
    const command = [process.execPath, script, w.root, w.cache];
    const env = { ...process.env, BANKSMAN_REMOTE_CACHE: far.url };
    const hidden = ['--dev-bind', '/', '/', '--bind', '/dev/null', '/usr/bin/bwrap'];
    expect((await run('bwrap', [...hidden, ...command], { env })).stdout).toContain('without a sandbox');
    expect(far.results.size).toBe(0);
    await rm(w.cache, { recursive: true });
    await run(process.execPath, command.slice(1), { env });
    expect(far.results.size).toBe(5);
  });

  it('is settled before a build that was stopped ends, without waiting for what was not sent', async () => {
    const far = await server({ hang: 'FindMissingBlobs' });
    const first = await machine(far.url);
    const controller = new AbortController();
    const builder = await first.w.builder({ env: { BANKSMAN_REMOTE_CACHE: far.url } });
    const done = builder.build(['//:every'], { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('stopped')), 1_500);
    const started = performance.now();
    await expect(done).rejects.toThrow('stopped');
    expect(performance.now() - started).toBeLessThan(8_000);
  });
});
