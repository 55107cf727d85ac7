import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silent } from '../../progress/index.ts';
import { affectedSince } from '../affected/affected.ts';
import { createTargetHasher } from '../hash/hash.ts';
import { createWorkspace, type Files, faultsOf, type TestWorkspace, testRules } from '../test-workspace.ts';
import { openWorkspace } from '../workspace/workspace.ts';
import { loadWholeGraph } from './cached-load.ts';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'banksman-graph-cache-'));
  process.env.BANKSMAN_CACHE = cache;
});
afterEach(() => {
  delete process.env.BANKSMAN_CACHE;
  rmSync(cache, { recursive: true, force: true });
});

const options = { ruleFiles: testRules, cache: { minimumIndex: 0 } };
const load = async (workspace: TestWorkspace) => loadWholeGraph(await openWorkspace(workspace.root), options);

function snapshots(): string[] {
  const files = readdirSync(cache, { recursive: true, encoding: 'utf8' });
  return files
    .filter((path) => /graphs\/.*\/[0-9a-f]{32}-[0-9a-f]{40}-\w+$/.test(path))
    .map((path) => join(cache, path));
}

/** What the cache gives is what evaluation gives: targets, their order and their hashes. */
async function checked(workspace: TestWorkspace) {
  const { graph, hash } = await load(workspace);
  const fresh = await workspace.load();
  const plain = <T>(targets: ReadonlyMap<string, T>) => JSON.parse(JSON.stringify([...targets])) as unknown;
  expect(plain(graph.targets)).toEqual(plain(fresh.targets));
  expect([...graph.packages.keys()]).toEqual([...fresh.packages.keys()]);
  const freshHash = createTargetHasher(fresh);
  for (const label of fresh.targets.keys()) expect(hash(label)).toBe(freshHash(label));
  return graph;
}

const files: Files = {
  'a/BUILD': `
genrule(name = "one", srcs = {"x": ["one.txt"], "y": [":two"]}, outs = {"o": ["out"]}, cmd = "\\$X é", provides = {"go": [":two"]}, labels = ["l"])
genrule(name = "two", srcs = glob(["*.dat"]), tools = ["bash"], visibility = ["PUBLIC"])
gentest(name = "test", test_cmd = "x", data = ["one.txt"], flaky = True)
`,
  'a/one.txt': '1',
  'a/x.dat': '',
  'b/BUILD': 'filegroup(name = "link", srcs = ["link"])\nfilegroup(name = "folder", srcs = ["folder"])\n',
  'b/link': 'link:../a/one.txt',
  'b/folder/f': '',
};

describe('a kept graph', () => {
  it('is the same as an evaluated one, and is used when the same state is seen again', async () => {
    const workspace = createWorkspace(files);
    workspace.commit();
    await checked(workspace);
    expect(snapshots()).toHaveLength(1);
    await checked(workspace);
    expect(snapshots()).toHaveLength(1);
  });

  it.each<[string, (workspace: TestWorkspace) => void]>([
    ['a source', (w) => w.write({ 'a/one.txt': '2' })],
    ['a source, twice', (w) => w.write({ 'a/one.txt': '3' })],
    ['a mode', (w) => w.chmod('a/one.txt', 0o755)],
    ['a link', (w) => w.write({ 'b/link': 'link:../a/x.dat' })],
    ['an untracked file that a glob takes', (w) => w.write({ 'a/new name.dat': '' })],
    ['an untracked file in a folder that is a source', (w) => w.write({ 'b/folder/g': '' })],
    ['a deleted file', (w) => w.write({ 'b/folder/f': null, 'b/folder/h': '' })],
    ['a BUILD file', (w) => w.write({ 'b/BUILD': 'filegroup(name = "only", srcs = ["link"])' })],
    ['a new package', (w) => w.write({ 'c/BUILD': 'genrule(name = "c")' })],
    ['the index alone', (w) => w.git('add', '--all')],
    ['the configuration', (w) => w.write({ 'banksman.yaml': 'name: other\n' })],
  ])('tells an edit of %s', async (_, edit) => {
    const workspace = createWorkspace(files);
    workspace.commit();
    await checked(workspace);
    workspace.write({ 'a/one.txt': '2' });
    await checked(workspace);
    edit(workspace);
    await checked(workspace);
    await checked(workspace);
    workspace.commit();
    await checked(workspace);
  });

  it('tells an edit of an ignored file that is named, and of what an ignored link leads to', async () => {
    const workspace = createWorkspace({
      '.gitignore': 'secret*\n',
      BUILD: 'genrule(name = "x", srcs = ["secret.txt"])\ngenrule(name = "y", cmd = read_json("secret.json"))',
      'secret.txt': '1',
      'secret.json': '"1"',
    });
    workspace.commit();
    await checked(workspace);
    workspace.write({ 'secret.txt': '2' });
    await checked(workspace);
    workspace.write({ 'secret.json': '"2"' });
    await checked(workspace);
  });

  it('is not made anew for what builds have made, unless a target names it', async () => {
    const workspace = createWorkspace({
      BUILD: 'genrule(name = "x", srcs = ["banksman-out/kept"])',
      'banksman-out/kept': '1',
    });
    workspace.commit();
    workspace.write({ 'banksman-out/gen/x': '1' });
    await checked(workspace);
    expect(snapshots()).toEqual([expect.stringMatching(/-clean$/)]);
    workspace.write({ 'banksman-out/gen/y': '1' });
    await checked(workspace);
    expect(snapshots()).toHaveLength(1);
    workspace.write({ 'banksman-out/kept': '2' });
    await checked(workspace);
  });

  it('tells edits that git was told not to look at', async () => {
    for (const flag of ['--assume-unchanged', '--skip-worktree']) {
      const workspace = createWorkspace(files);
      workspace.commit();
      await checked(workspace);
      workspace.git('update-index', flag, 'a/one.txt');
      workspace.write({ 'a/one.txt': 'other' });
      await checked(workspace);
    }
  });

  it('tells another commit that a submodule stands at, and edits in it', async () => {
    const inner = createWorkspace({ x: '1' });
    inner.commit();
    const workspace = createWorkspace({ BUILD: 'genrule(name = "x", srcs = ["module"])' });
    workspace.git('submodule', '--quiet', 'add', inner.root, 'module');
    workspace.commit();
    await checked(workspace);
    workspace.write({ 'module/x': '2' });
    await checked(workspace);
    workspace.write({ 'module/x': '3' });
    await checked(workspace);
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], {
        cwd: join(workspace.root, 'module'),
      });
    git('commit', '--quiet', '--all', '--message', 'x');
    await checked(workspace);
  });

  it('is shared by a commit and a clean work tree, also where the workspace is no whole repository', async () => {
    const workspace = createWorkspace(files);
    const base = workspace.commit();
    workspace.write({ 'a/one.txt': '2' });
    const head = workspace.commit();
    const since = async (to?: string) =>
      (await affectedSince(await openWorkspace(workspace.root), { ...options, since: base, to })).targets;
    const expected = ['//a:one', '//a:test', '//b:link'];
    expect(await since(head)).toEqual(expected);
    // That of the base, and that of the commit in its light.
    expect(snapshots()).toHaveLength(2);
    expect(await since(head)).toEqual(expected);
    expect(await since()).toEqual(expected);
    expect(snapshots()).toHaveLength(2);
  });

  it('is not kept of a state with errors, or of one that knows more than the files', async () => {
    const broken = createWorkspace({ BUILD: 'genrule(name = "x", deps = [":none"])' });
    broken.commit();
    await faultsOf(() => load(broken));
    const beyond = createWorkspace({ BUILD: 'genrule(name = "x", cmd = git_commit())' });
    beyond.commit();
    await checked(beyond);
    const unborn = createWorkspace(files);
    await checked(unborn);
    await checked(createWorkspace(files, { git: false }));
    expect(snapshots()).toEqual([]);
  });

  it('is made anew where the file is damaged', async () => {
    const workspace = createWorkspace(files);
    workspace.commit();
    await checked(workspace);
    for (const length of [0, 3, 100, 1000]) {
      truncateSync(snapshots()[0]!, length);
      await checked(workspace);
    }
  });

  it('is only a help: where it can not be written, the answer comes all the same', async () => {
    const workspace = createWorkspace(files);
    workspace.commit();
    writeFileSync(join(cache, 'graphs'), 'a file in the way');
    const said: string[] = [];
    const progress = { ...silent, say: (line: string) => said.push(line) };
    const { targets } = await loadWholeGraph(await openWorkspace(workspace.root), { ...options, progress });
    expect(targets.size).toBe(5);
    expect(said).toEqual([expect.stringContaining('could not be kept')]);
  });

  it('shows the place of a target as it was', async () => {
    const workspace = createWorkspace(files);
    workspace.commit();
    await load(workspace);
    const { graph } = await load(workspace);
    const fresh = await workspace.load();
    expect({ ...graph.targets.get('//a:two')!.place }).toEqual(fresh.targets.get('//a:two')!.place);
  });

  it('of a commit is kept also where it was evaluated in the light of another: the next look evaluates nothing', async () => {
    const workspace = createWorkspace(files);
    const base = workspace.commit();
    workspace.write({ 'a/one.txt': '2' });
    const head = workspace.commit();
    const since = async () => affectedSince(await openWorkspace(workspace.root), { ...options, since: base, to: head });
    await since();
    const before = snapshots().map((place) => statSync(place).ino);
    expect(before).toHaveLength(2);
    await since();
    expect(snapshots().map((place) => statSync(place).ino)).toEqual(before);
  });

  it('goes when many newer ones have been made', async () => {
    const workspace = createWorkspace({ BUILD: 'genrule(name = "x", srcs = ["f"])', f: '' });
    workspace.commit();
    for (let at = 0; at < 27; at++) {
      // Another configuration: no graph of the former ones is of use.
      workspace.write({ 'banksman.yaml': `name: x${at}\n` });
      await load(workspace);
    }
    expect(snapshots()).toHaveLength(24);
  });
});

describe('affected, where nothing is kept', () => {
  const since = async (workspace: TestWorkspace, base: string) =>
    affectedSince(await openWorkspace(workspace.root), { ...options, since: base });

  it('keeps the base, in whose light the later side is evaluated', async () => {
    const workspace = createWorkspace(files);
    const base = workspace.commit();
    workspace.write({ 'a/one.txt': '2' });
    expect((await since(workspace, base)).targets).toEqual(['//a:one', '//a:test', '//b:link']);
    expect(snapshots()).toHaveLength(1);
  });

  it('tells what is wrong with the base, and with the later side', async () => {
    const workspace = createWorkspace({ ...files, 'c/BUILD': 'x = [' });
    const base = workspace.commit();
    workspace.write({ 'c/BUILD': null });
    expect((await since(workspace, base)).note).toContain('c/BUILD:1');
    const good = workspace.commit();
    workspace.write({ 'a/one.txt': null });
    expect((await faultsOf(() => since(workspace, good)))[0]).toMatchObject({ code: 'graph/missing-source' });
  });
});
