import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  createWorkspace,
  type Files,
  faultsOf,
  openTestWorkspace,
  type TestWorkspace,
  testRules,
} from '../test-workspace.ts';
import { openWorkspace } from '../workspace/workspace.ts';
import { type Affected, affectedSince } from './affected.ts';

async function since(workspace: TestWorkspace, revision: string, to?: string): Promise<Affected> {
  return affectedSince(await openWorkspace(workspace.root), { ruleFiles: testRules, since: revision, to });
}

/** Commits `before`, applies `edit`, and returns what the edit affects: of the dirty work tree, and when committed. */
async function affectedBy(before: Files, edit: (workspace: TestWorkspace) => void): Promise<readonly string[]> {
  const workspace = createWorkspace(before);
  const base = workspace.commit();
  edit(workspace);
  const dirty = await since(workspace, base);
  const head = workspace.commit();
  const committed = await since(workspace, base, head);
  const clean = await since(workspace, base);
  expect(dirty.note).toBeUndefined();
  expect(committed.targets).toEqual(dirty.targets);
  expect(clean.targets).toEqual(dirty.targets);
  expect((await since(workspace, head)).targets).toEqual([]);
  return dirty.targets;
}

const two: Files = {
  'a/BUILD': 'genrule(name = "one", srcs = ["one.txt"])\ngenrule(name = "two", srcs = ["two.txt"])',
  'a/one.txt': '1',
  'a/two.txt': '2',
};

describe('affected', () => {
  it.each<[string, Files, (workspace: TestWorkspace) => void, string[]]>([
    ['an edit of a source', two, (w) => w.write({ 'a/one.txt': '1!' }), ['//a:one']],
    ['nothing', two, () => {}, []],
    ['a file that no target reads', two, (w) => w.write({ 'a/README': 'x' }), []],
    ['an empty file in place of a full one', two, (w) => w.write({ 'a/one.txt': '' }), ['//a:one']],
    ['the executable bit', two, (w) => w.chmod('a/one.txt', 0o755), ['//a:one']],
    ['the times of a file', two, (w) => w.write({ 'a/one.txt': '1' }), []],
    [
      'a link that leads elsewhere, to the same content',
      { ...two, 'a/one.txt': 'link:x', 'a/x': 'same', 'a/y': 'same' },
      (w) => w.write({ 'a/one.txt': 'link:y' }),
      ['//a:one'],
    ],
    [
      'the file behind a link',
      { ...two, 'a/one.txt': 'link:../b/x', 'b/x': '1' },
      (w) => w.write({ 'b/x': '2' }),
      ['//a:one'],
    ],
    [
      'a link in place of a file of the same content',
      { ...two, 'a/x': '1' },
      (w) => w.write({ 'a/one.txt': 'link:x' }),
      ['//a:one'],
    ],
    [
      'a comment and blank lines in a BUILD file',
      two,
      (w) => w.write({ 'a/BUILD': `# comment\n\n${two['a/BUILD']}\n# end\n` }),
      [],
    ],
    [
      'an order of targets and words that change nothing',
      two,
      (w) =>
        w.write({
          'a/BUILD':
            'genrule(name = "two", srcs = ["two.txt"], labels = ["x"], visibility = ["PUBLIC"])\ngenrule(name = "one", srcs = ["one" + ".txt"])',
        }),
      [],
    ],
    [
      'a command',
      {
        'a/BUILD':
          'genrule(name = "x", cmd = "a", outs = ["o"])\ngenrule(name = "y", deps = [":x"])\ngenrule(name = "z")',
      },
      (w) =>
        w.write({
          'a/BUILD':
            'genrule(name = "x", cmd = "b", outs = ["o"])\ngenrule(name = "y", deps = [":x"])\ngenrule(name = "z")',
        }),
      ['//a:x', '//a:y'],
    ],
    ['a new target', two, (w) => w.write({ 'b/BUILD': 'genrule(name = "new")' }), ['//b:new']],
    ['a target that is gone', two, (w) => w.write({ 'a/BUILD': 'genrule(name = "one", srcs = ["one.txt"])' }), []],
    [
      'a glob that gains a file',
      {
        'a/BUILD': 'genrule(name = "g", srcs = glob(["*.go"]))\ngenrule(name = "t", srcs = glob(["*.txt"]))',
        'a/x.go': '',
        'a/x.txt': '',
      },
      (w) => w.write({ 'a/y.go': '' }),
      ['//a:g'],
    ],
    [
      'a glob that loses a file',
      {
        'a/BUILD': 'genrule(name = "g", srcs = glob(["*.go"]))\ngenrule(name = "t", srcs = glob(["*.txt"]))',
        'a/x.go': '',
        'a/y.go': '',
        'a/x.txt': '',
      },
      (w) => w.write({ 'a/y.go': null }),
      ['//a:g'],
    ],
    [
      'a renamed file',
      { 'a/BUILD': 'genrule(name = "g", srcs = glob(["*.go"]))', 'a/x.go': 'same' },
      (w) => w.git('mv', 'a/x.go', 'a/z.go'),
      ['//a:g'],
    ],
    [
      'a folder that becomes a package of its own and leaves the glob around it',
      { 'a/BUILD': 'genrule(name = "g", srcs = glob(["**/*.go"]))', 'a/x.go': '', 'a/sub/y.go': '' },
      (w) => w.write({ 'a/sub/BUILD': 'genrule(name = "s", srcs = ["y.go"])' }),
      ['//a/sub:s', '//a:g'],
    ],
    [
      'a BUILD file that moves with its folder',
      { 'a/BUILD': 'genrule(name = "x", srcs = ["f"])', 'a/f': '1' },
      (w) => w.git('mv', 'a', 'b'),
      ['//b:x'],
    ],
    [
      'build_defs, where only one user of two comes out otherwise',
      {
        'defs/x.build_defs': 'def mine(name, loud):\n    genrule(name = name, cmd = "shout" if loud else "whisper")\n',
        'a/BUILD': 'subinclude("//defs:x.build_defs")\nmine("x", True)',
        'b/BUILD': 'subinclude("//defs:x.build_defs")\nmine("x", False)',
      },
      (w) =>
        w.write({
          'defs/x.build_defs':
            'def mine(name, loud):\n    # louder\n    genrule(name = name, cmd = "SHOUT" if loud else "whisper")\n',
        }),
      ['//a:x'],
    ],
    [
      'a generated source, through a chain',
      {
        'a/BUILD':
          'genrule(name = "gen", srcs = ["in"], outs = ["gen.go"], visibility = ["PUBLIC"])\ngenrule(name = "other", visibility = ["PUBLIC"])',
        'b/BUILD': 'genrule(name = "lib", srcs = ["//a:gen"], visibility = ["PUBLIC"])',
        'c/BUILD': 'genrule(name = "bin", deps = ["//b:lib"])\ngenrule(name = "other", srcs = ["//a:other"])',
        'a/in': '1',
      },
      (w) => {
        w.write({ 'a/in': '2', 'c/BUILD': 'genrule(name = "bin", deps = ["//b:lib"])\ngenrule(name = "other")' });
      },
      ['//a:gen', '//b:lib', '//c:bin', '//c:other'],
    ],
    [
      'a file behind a chain of filegroups',
      {
        'a/BUILD':
          'filegroup(name = "f1", srcs = ["f"])\nfilegroup(name = "f2", srcs = [":f1"], visibility = ["PUBLIC"])\nfilegroup(name = "g", srcs = ["g"])',
        'b/BUILD':
          'filegroup(name = "alias", srcs = ["//a:f2"])\ngenrule(name = "x", srcs = [":alias"])\ngenrule(name = "y")',
        'a/f': '1',
        'a/g': '1',
      },
      (w) => w.write({ 'a/f': '2' }),
      ['//a:f1', '//a:f2', '//b:alias', '//b:x'],
    ],
    [
      'data of a test',
      {
        'a/BUILD': 'gentest(name = "t", test_cmd = "x", data = ["d"])\ngentest(name = "u", test_cmd = "x")',
        'a/d': '1',
      },
      (w) => w.write({ 'a/d': '2' }),
      ['//a:t'],
    ],
    [
      'a file in a folder that is a source',
      { 'a/BUILD': 'genrule(name = "x", srcs = ["folder"])', 'a/folder/deep/f': '1' },
      (w) => w.write({ 'a/folder/deep/g': '' }),
      ['//a:x'],
    ],
    [
      'a key of the configuration, for those who read it',
      {
        'banksman.yaml': 'name: test\nconfig: { a: 1, b: 1 }\n',
        'a/BUILD':
          'genrule(name = "x", cmd = str(CONFIG.A))\ngenrule(name = "y", cmd = str(CONFIG.B))\ngenrule(name = "z")',
      },
      (w) => w.write({ 'banksman.yaml': 'name: test\n# comment\nconfig: { a: 2, b: 1 }\n' }),
      ['//a:x'],
    ],
    [
      'one entry of a lock file, for the target made of it',
      {
        'a/BUILD': 'for key, value in read_json("lock.json").items():\n    genrule(name = key, cmd = value)\n',
        'a/lock.json': '{"one": "1", "two": "2"}',
      },
      (w) => w.write({ 'a/lock.json': '{"two": "2.1", "one": "1"}' }),
      ['//a:two'],
    ],
    [
      'what a provider gives to those that require it',
      {
        'a/BUILD':
          'genrule(name = "p", provides = {"go": [":g"]}, srcs = ["p"])\ngenrule(name = "g", srcs = ["g"])\ngenrule(name = "x", deps = [":p"], requires = ["go"])\ngenrule(name = "y", deps = [":p"])',
        'a/p': '1',
        'a/g': '1',
      },
      (w) => w.write({ 'a/g': '2' }),
      ['//a:g', '//a:x'],
    ],
    [
      'an ignored file that nobody commits',
      { ...two, '.gitignore': '*.log\n', 'b/BUILD': 'genrule(name = "g", srcs = glob(["*"]))', 'b/x': '' },
      (w) => w.write({ 'b/y.log': '' }),
      [],
    ],
  ])('%s', async (_, before, edit, expected) => expect(await affectedBy(before, edit)).toEqual(expected));

  it('fails where a deleted target or file is still used, and names the user', async () => {
    const workspace = createWorkspace({
      ...two,
      'b/BUILD': 'genrule(name = "x", deps = ["//a:pub"])',
      'a/BUILD': `${two['a/BUILD']}\ngenrule(name = "pub", visibility = ["PUBLIC"])`,
    });
    workspace.commit();
    workspace.write({ 'a/BUILD': two['a/BUILD']!, 'a/one.txt': null });
    expect(await faultsOf(() => since(workspace, 'HEAD'))).toMatchObject([
      { code: 'graph/missing-source', place: { file: 'a/BUILD' } },
      { code: 'graph/missing-target', place: { file: 'b/BUILD' } },
    ]);
  });

  it('compares a merge with each of its parents', async () => {
    const workspace = createWorkspace(two);
    workspace.commit();
    workspace.git('switch', '--quiet', '--create', 'side');
    workspace.write({ 'a/one.txt': 'side' });
    const side = workspace.commit();
    workspace.git('switch', '--quiet', 'main');
    workspace.write({ 'a/two.txt': 'main' });
    const main = workspace.commit();
    workspace.git('merge', '--quiet', '--no-edit', 'side');
    expect((await since(workspace, main, 'HEAD')).targets).toEqual(['//a:one']);
    expect((await since(workspace, side, 'HEAD')).targets).toEqual(['//a:two']);
    expect((await since(workspace, 'HEAD^1', 'HEAD')).targets).toEqual(['//a:one']);
  });

  it('compares histories that have nothing in common', async () => {
    const workspace = createWorkspace(two);
    workspace.commit();
    workspace.git('switch', '--quiet', '--orphan', 'other');
    workspace.write({ 'banksman.yaml': 'name: test\n', ...two, 'a/one.txt': 'other' });
    workspace.commit();
    expect((await since(workspace, 'main')).targets).toEqual(['//a:one']);
  });

  it.each<[string, Files, string]>([
    ['a broken BUILD file', { ...two, 'b/BUILD': 'x = [' }, 'b/BUILD:1'],
    ['a missing dependency', { ...two, 'b/BUILD': 'genrule(name = "x", deps = ["//a:none"])' }, '//a:none'],
    ['no banksman.yaml', { ...two, 'banksman.yaml': null, README: '' }, 'it has no banksman.yaml'],
    ['a broken banksman.yaml', { ...two, 'banksman.yaml': 'nam: x\n' }, 'banksman.yaml:1'],
  ])('counts everything after a commit with %s, and says so', async (_, before, said) => {
    const workspace = createWorkspace(before);
    const base = workspace.commit();
    workspace.write({ 'banksman.yaml': 'name: test\n', 'b/BUILD': 'genrule(name = "x")' });
    const result = await since(workspace, base);
    expect(result.targets).toEqual(['//a:one', '//a:two', '//b:x']);
    expect(result.note).toContain(base.slice(0, 12));
    expect(result.note).toContain(said);
  });

  it('counts the version of a tool, where it is told', async () => {
    const workspace = createWorkspace(two);
    workspace.commit();
    const { affected } = await import('./affected.ts');
    const { createTargetHasher } = await import('../hash/hash.ts');
    const graph = await workspace.load();
    expect(affected(graph, graph)).toEqual([]);
    const hash = (version: string) =>
      createTargetHasher(graph, { extraInputs: (target) => (target.name === 'one' ? version : '') });
    expect(hash('1')('//a:one')).not.toBe(hash('2')('//a:one'));
    expect(hash('1')('//a:two')).toBe(hash('2')('//a:two'));
  });

  it('takes a submodule as the commit that it stands at', async () => {
    const inner = createWorkspace({ x: '1' });
    inner.commit();
    const workspace = createWorkspace({
      BUILD:
        'genrule(name = "uses", srcs = ["module"])\ngenrule(name = "inside", srcs = ["module/x"])\ngenrule(name = "not")',
    });
    workspace.git('submodule', '--quiet', 'add', inner.root, 'module');
    const base = workspace.commit();
    inner.write({ x: '2' });
    const next = inner.commit();
    execFileSync('git', ['-c', 'protocol.file.allow=always', 'fetch', '--quiet'], {
      cwd: join(workspace.root, 'module'),
    });
    execFileSync('git', ['checkout', '--quiet', next], { cwd: join(workspace.root, 'module') });
    expect((await since(workspace, base)).targets).toEqual(['//:inside', '//:uses']);
    const head = workspace.commit();
    expect((await since(workspace, base, head)).targets).toEqual(['//:inside', '//:uses']);
    expect((await since(workspace, head)).targets).toEqual([]);
  });

  it('says of a shallow clone that the commit is not in it, and works once that is fetched', async () => {
    const origin = createWorkspace(two);
    const base = origin.commit();
    origin.write({ 'a/one.txt': 'changed' });
    origin.commit();
    const root = mkdtempSync(join(tmpdir(), 'banksman-shallow-'));
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    execFileSync('git', ['clone', '--quiet', '--depth=1', `file://${origin.root}`, root]);
    const clone = openTestWorkspace(root);
    expect(await faultsOf(() => since(clone, base))).toMatchObject([
      { code: 'graph/shallow-clone', next: expect.stringContaining('git fetch --unshallow') },
    ]);
    clone.git('fetch', '--quiet', '--unshallow');
    expect((await since(clone, base)).targets).toEqual(['//a:one']);
  });

  it('does not touch the work tree, the index or the objects', async () => {
    const workspace = createWorkspace(two);
    const base = workspace.commit();
    workspace.write({ 'a/one.txt': 'changed', 'a/untracked': '' });
    const state = () =>
      execFileSync('find', ['.', '-printf', '%p %s %T@ %C@ %m\\n'], { cwd: workspace.root, encoding: 'utf8' });
    const before = state();
    expect((await since(workspace, base)).targets).toEqual(['//a:one']);
    expect((await since(workspace, base, 'HEAD')).targets).toEqual([]);
    expect(state()).toBe(before);
  });

  it('counts users of a tool that is a target when the tool changes', async () => {
    const files: Files = {
      'tools/BUILD': 'genrule(name = "compiler", srcs = ["VERSION"], visibility = ["PUBLIC"])',
      'tools/VERSION': '1',
      'a/BUILD': 'genrule(name = "x", tools = ["//tools:compiler"])\ngenrule(name = "y", tools = ["bash"])',
    };
    expect(await affectedBy(files, (w) => w.write({ 'tools/VERSION': '2' }))).toEqual(['//a:x', '//tools:compiler']);
  });

  it('counts only the users of the one third-party library whose lock entry changes', async () => {
    const lock = (one: string) => JSON.stringify({ packages: { one, two: '2.0' } });
    const files: Files = {
      'third_party/BUILD':
        'for name, version in read_json("lock.json")["packages"].items():\n    genrule(name = name, cmd = "fetch " + name + " " + version, visibility = ["PUBLIC"])\n',
      'third_party/lock.json': lock('1.0'),
      'a/BUILD':
        'genrule(name = "x", deps = ["//third_party:one"])\ngenrule(name = "y", deps = ["//third_party:two"])\ngenrule(name = "z", srcs = [":x"])',
    };
    expect(await affectedBy(files, (w) => w.write({ 'third_party/lock.json': lock('1.1') }))).toEqual([
      '//a:x',
      '//a:z',
      '//third_party:one',
    ]);
  });
});
