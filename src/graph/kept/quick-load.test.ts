import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadTargets as evaluateTargets, type Graph, type LoadOptions } from '../load/load.ts';
import { createWorkspace, type Files, faultsOf, type TestWorkspace, testRules } from '../test-workspace.ts';
import { openWorkspace } from '../workspace/workspace.ts';
import { LazyMap } from './lazy-map.ts';
import { loadForBuild, loadTargets, loadWorkspaceGraph } from './quick-load.ts';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'banksman-evaluated-'));
  vi.stubEnv('BANKSMAN_CACHE', cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true, force: true });
});

const options: LoadOptions = { ruleFiles: testRules, cache: { minimumIndex: Number.POSITIVE_INFINITY } };
const whole = async ({ root }: TestWorkspace, given = options) => loadWorkspaceGraph(await openWorkspace(root), given);
const part = async ({ root }: TestWorkspace, patterns: readonly string[], from = '') =>
  loadTargets(await openWorkspace(root), patterns, { ...options, from });
const wasKept = ({ targets }: Pick<Graph, 'targets'>) => targets instanceof LazyMap;
const plain = (graph: Graph) => JSON.stringify([[...graph.targets], [...graph.packages.keys()]]);
const files = () => readdirSync(join(cache, 'evaluated')).map((name) => join(cache, 'evaluated', name));

const sources: Files = {
  'defs.build_defs': 'def made(name):\n    genrule(name = name, cmd = "one")\n',
  'a/BUILD': `
subinclude("//:defs.build_defs")
made(name = "made")
genrule(name = "one", srcs = {"x": ["one.txt"], "y": [":two"]}, outs = {"o": ["out"]}, cmd = "\\$X é", provides = {"go": [":two"]}, labels = ["l"])
genrule(name = "two", srcs = glob(["*.dat", "sub/*.dat"]), tools = ["bash"], visibility = ["PUBLIC"])
gentest(name = "test", test_cmd = "x", data = ["one.txt"], flaky = True)
`,
  'a/one.txt': '1',
  'a/x.dat': '',
  'a/y.dat': '',
  'a/sub/z.dat': '',
  'b/BUILD':
    'filegroup(name = "link", srcs = ["link"])\nfilegroup(name = "folder", srcs = ["folder"], visibility = ["PUBLIC"])\n',
  'b/link': 'link:../a/one.txt',
  'b/folder/f': '',
  'c/BUILD': 'genrule(name = "c", deps = ["//b:folder", "//a:two"])\n',
  '.gitignore': '*.log\n',
};

describe('the outcome of an evaluation', () => {
  it('is the same when it was kept, and is used where nothing has changed', async () => {
    const workspace = createWorkspace(sources);
    const fresh = await workspace.load();
    const first = await whole(workspace);
    const second = await whole(workspace);
    expect([wasKept(first), wasKept(second)]).toEqual([false, true]);
    expect(plain(second)).toBe(plain(fresh));
    expect(second.targets.get('//a:one')!.place).toEqual(fresh.targets.get('//a:one')!.place);
  });

  it.each([
    [['//a:one'], ''],
    [[':one', '//c'], 'a'],
    [['//a/...', '//c:all'], ''],
    [['...'], 'b'],
  ])('is kept of the targets %j in %j, whether the whole graph is kept or not', async (patterns, from) => {
    const workspace = createWorkspace(sources);
    const opened = await openWorkspace(workspace.root);
    const fresh = await evaluateTargets(opened, patterns, { ruleFiles: testRules, from });
    await part(workspace, patterns, from);
    const kept = await part(workspace, patterns, from);
    expect(wasKept(kept.graph)).toBe(true);
    expect(kept.labels).toEqual(fresh.labels);
    expect(new Set(kept.graph.targets.keys())).toEqual(new Set(fresh.graph.targets.keys()));
    for (const [label, target] of fresh.graph.targets) expect(kept.graph.targets.get(label)).toEqual(target);
    await whole(workspace);
    const before = files().length;
    const others = await part(workspace, [...patterns, '//b:link'], from);
    expect(wasKept(others.graph)).toBe(true);
    expect(others.labels).toEqual([...new Set([...fresh.labels, '//b:link'])]);
    expect(files()).toHaveLength(before);
  });

  it.each<[string, (workspace: TestWorkspace) => void]>([
    ['a BUILD file', (w) => w.write({ 'c/BUILD': 'genrule(name = "d", deps = ["//b:folder", "//a:two"])\n' })],
    [
      'a file that is included',
      (w) => w.write({ 'defs.build_defs': String(sources['defs.build_defs']).replace('one', 'two') }),
    ],
    ['a file that a glob takes', (w) => w.write({ 'a/new.dat': '' })],
    ['a file deeper that a glob takes', (w) => w.write({ 'a/sub/new.dat': '' })],
    ['a file that a glob took', (w) => w.write({ 'a/y.dat': null })],
    ['a link in place of a file', (w) => w.write({ 'a/y.dat': 'link:x.dat' })],
    ['a link in place of a folder', (w) => w.write({ 'a/sub': 'link:../b/folder' })],
    ['a new package', (w) => w.write({ 'd/BUILD': 'genrule(name = "d")' })],
    ['a folder that becomes a package', (w) => w.write({ 'a/sub/BUILD': '' })],
    ['a package that goes', (w) => w.write({ 'c/BUILD': null })],
    ['a list of ignored files', (w) => w.write({ '.gitignore': 'y.dat\n' })],
    ['a list of ignored files deeper', (w) => w.write({ 'a/.gitignore': 'y.dat\n' })],
    ["the repository's own list", (w) => w.write({ '.git/info/exclude': 'y.dat\n' })],
    [
      'an ignored file that is tracked',
      (w) => {
        w.write({ '.gitignore': '*.dat\n' });
        w.git('add', '--force', 'a/y.dat');
      },
    ],
    ['the configuration', (w) => w.write({ 'banksman.yaml': 'name: test\nbuild_files: [OTHER]\n' })],
    ['a repository inside', (w) => w.write({ 'a/sub/.git': 'x' })],
  ])('is not used after an edit of %s', async (_, edit) => {
    const workspace = createWorkspace(sources);
    workspace.git('add', 'a/x.dat');
    const patterns = ['//a/...', '//b/...'];
    const before = [plain(await whole(workspace)), plain((await part(workspace, patterns)).graph)];
    edit(workspace);
    const after = await whole(workspace);
    expect(wasKept(after)).toBe(false);
    expect(plain(after)).toBe(plain(await workspace.load()));
    expect(plain(after)).not.toBe(before[0]);
    expect(wasKept(await whole(workspace))).toBe(true);
  });

  it('is not used with other rules, or for another folder', async () => {
    const workspace = createWorkspace(sources);
    await whole(workspace);
    const [rule] = testRules;
    const other = { ...options, ruleFiles: [{ ...rule!, source: rule!.source.replace('cmd = cmd', 'cmd = "x"') }] };
    const graph = await whole(workspace, other);
    expect(wasKept(graph)).toBe(false);
    expect(graph.targets.get('//c:c')!.action).toMatchObject({ command: 'x' });
    expect(wasKept(await whole(createWorkspace(sources)))).toBe(false);
    expect(wasKept(await whole(workspace))).toBe(true);
  });

  it('is used where files were touched and are the same, whose new state is then kept', async () => {
    const workspace = createWorkspace(sources);
    workspace.commit();
    // What has only just been written has no state that tells it from what may be written next, and none is noted.
    await sleep(100);
    await whole(workspace);
    for (const path of ['a/BUILD', 'defs.build_defs', '.gitignore']) {
      utimesSync(join(workspace.root, path), new Date(1000), new Date(2000));
    }
    workspace.write({ 'a/new.dat': '' });
    workspace.write({ 'a/new.dat': null, 'a/one.txt': 'source files are no part of it' });
    workspace.git('add', '--all');
    const [before] = files().map((path) => readFileSync(path, 'utf8'));
    const graph = await whole(workspace);
    expect(wasKept(graph)).toBe(true);
    expect(plain(graph)).toBe(plain(await workspace.load()));
    expect(readFileSync(files()[0]!, 'utf8')).not.toBe(before);
    expect(wasKept(await whole(workspace))).toBe(true);
  });

  it('tells edits that follow one another at once and leave the size as it is', async () => {
    const workspace = createWorkspace(sources);
    for (let round = 10; round < 40; round++) {
      workspace.write({ 'c/BUILD': `genrule(name = "c${round}")\n` });
      expect((await whole(workspace)).targets.has(`//c:c${round}`)).toBe(true);
      expect((await whole(workspace)).targets.has(`//c:c${round}`)).toBe(true);
    }
  });

  it('is made anew where what is kept is damaged or of another version', async () => {
    const workspace = createWorkspace(sources);
    const expected = plain(await whole(workspace));
    const [place] = files();
    const good = readFileSync(place!);
    const flipped = (at: number) => {
      const bytes = Buffer.from(good);
      bytes[at]! ^= 1;
      return bytes;
    };
    const places = Array.from({ length: 60 }, (_, number) => Math.floor((number * (good.length - 1)) / 59));
    const damages = [Buffer.alloc(0), Buffer.from('x'), good.subarray(0, 64), good.subarray(0, good.length - 1)];
    for (const damage of [...damages, Buffer.concat([good, good]), ...places.map(flipped)]) {
      writeFileSync(place!, damage);
      const graph = await whole(workspace);
      expect(wasKept(graph)).toBe(false);
      expect(plain(graph)).toBe(expected);
    }
    expect(wasKept(await whole(workspace))).toBe(true);
  });

  it('is had without a place to keep it', async () => {
    const workspace = createWorkspace(sources);
    writeFileSync(join(cache, 'file'), '');
    vi.stubEnv('BANKSMAN_CACHE', join(cache, 'file'));
    const expected = plain(await workspace.load());
    expect(plain(await whole(workspace))).toBe(expected);
    expect(plain(await whole(workspace))).toBe(expected);
  });

  it('is the same for many that ask for the first time at once', async () => {
    const workspace = createWorkspace(sources);
    const expected = plain(await workspace.load());
    const graphs = await Promise.all(Array.from({ length: 12 }, () => whole(workspace)));
    for (const graph of graphs) expect(plain(graph)).toBe(expected);
    expect(files()).toHaveLength(1);
    expect(wasKept(await whole(workspace))).toBe(true);
  });

  it('is not kept where it depends on more than files', async () => {
    const workspace = createWorkspace({ 'a/BUILD': 'genrule(name = git_branch())\n' });
    workspace.commit();
    expect([...(await whole(workspace)).targets.keys()]).toEqual(['//a:main']);
    workspace.git('checkout', '--quiet', '-b', 'other');
    expect([...(await whole(workspace)).targets.keys()]).toEqual(['//a:other']);
  });

  it('is just what the targets reach, for a build', async () => {
    const workspace = createWorkspace(sources);
    await whole(workspace);
    const opened = await openWorkspace(workspace.root);
    const load = () => loadForBuild(opened, ['//c'], options);
    const first = await load();
    const second = await load();
    expect([wasKept(first.graph), wasKept(second.graph)]).toEqual([false, true]);
    expect(new Set(second.graph.targets.keys())).toEqual(new Set(['//c:c', '//b:folder', '//a:two']));
    expect(second.labels).toEqual(first.labels);
  });

  it('is evaluated for each build that functions follow', async () => {
    const workspace = createWorkspace({
      'a/BUILD':
        'build_rule(name = "a", cmd = "true", outs = ["o"], post_build = lambda name, output: add_label(name, "x"))\n',
    });
    const opened = await openWorkspace(workspace.root);
    for (const _ of [1, 2]) {
      const { graph } = await loadForBuild(opened, ['//a'], options);
      expect(graph.grow).toBeDefined();
    }
    expect(wasKept((await loadTargets(opened, ['//a'], options)).graph)).toBe(true);
  });

  it('gives what BUILD files say each time, and their faults', async () => {
    const workspace = createWorkspace({ 'a/BUILD': 'log.warning("look out")\ngenrule(name = "a")\n' });
    for (const _ of [1, 2]) {
      const said: string[] = [];
      const progress = { begin: () => ({ update() {}, done() {}, fail() {} }), say: (line: string) => said.push(line) };
      await whole(workspace, { ...options, progress });
      expect(said).toEqual([expect.stringContaining('look out')]);
    }
    workspace.write({ 'a/BUILD': 'genrule(name = "a", deps = [":b"])\n' });
    const faults = () => faultsOf(() => whole(workspace));
    expect(await faults()).toMatchObject([{ code: 'graph/missing-target' }]);
    expect(await faults()).toMatchObject([{ code: 'graph/missing-target' }]);
    expect(await faultsOf(() => part(workspace, ['//x:y']))).toMatchObject([{ code: 'graph/missing-package' }]);
  });

  it('says of patterns what evaluation says, where the whole graph is kept', async () => {
    const workspace = createWorkspace(sources);
    await whole(workspace);
    const opened = await openWorkspace(workspace.root);
    for (const pattern of ['//a:on', '//x/...', '//x:all', 'a', '@x//y', '//a//b', '//b']) {
      const expected = await faultsOf(() => evaluateTargets(opened, [pattern], { ruleFiles: testRules }));
      const found = await faultsOf(() => part(workspace, [pattern]));
      expect(found.map(({ message }) => message)).toEqual(expected.map(({ message }) => message));
    }
  });

  it('lets labels mean what they mean in a subrepo', async () => {
    const workspace = createWorkspace({
      'banksman.yaml': 'name: test\nsubrepos: { sub: other }\n',
      'a/BUILD': 'genrule(name = "a")\n',
      'other/a/BUILD': 'genrule(name = "inside")\n',
    });
    await whole(workspace);
    for (const _ of [1, 2])
      expect((await part(workspace, ['//a:all'], 'other/a')).labels).toEqual(['//other/a:inside']);
    for (const _ of [1, 2]) expect((await part(workspace, ['//a:all'])).labels).toEqual(['//a:a']);
  });
});
