import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { childPath } from '../paths.ts';
import { createWorkspace, faultsOf, openTestWorkspace, type TestWorkspace } from '../test-workspace.ts';
import { openCommit } from './commit-tree.ts';
import type { SourceTree } from './tree.ts';
import { openWorkTree } from './work-tree.ts';

/** Everything that a tree says of itself. */
function described(tree: SourceTree, folder = ''): Record<string, readonly unknown[]> {
  const found: Record<string, readonly unknown[]> = {};
  for (const { name, kind } of tree.list(folder)) {
    const path = childPath(folder, name);
    found[path] = [kind, tree.contentHash(path), tree.read(path)?.toString('hex')];
    if (kind === 'folder') Object.assign(found, described(tree, path));
  }
  return found;
}

async function bothTrees(workspace: TestWorkspace): Promise<[SourceTree, SourceTree]> {
  return [openWorkTree(workspace.root), await openCommit(workspace.root, 'HEAD')];
}

const everyKind = {
  'a/file.txt': 'text',
  'a/empty': '',
  'a/run.sh': '#!/bin/sh\n',
  'a/link': 'link:file.txt',
  'a/dangling': 'link:nothing',
  'a/outside': 'link:/etc/hostname',
  'a/self': 'link:.',
  'a/loop1': 'link:loop2',
  'a/loop2': 'link:loop1',
  'b/folder-link': 'link:../a',
  'c/ä ö.txt': 'name with a space',
  'a.txt': 'sorts beside a/',
};

describe('a work tree and its commit', () => {
  it('say the same of every kind of file', async () => {
    const workspace = createWorkspace(everyKind);
    workspace.chmod('a/run.sh', 0o755);
    workspace.commit();
    const [work, commit] = await bothTrees(workspace);
    expect(described(work)).toEqual(described(commit));
    expect(Object.keys(described(work))).toContain('a/run.sh');
    for (const path of ['b/folder-link/file.txt', 'a', 'a/nothing', 'a/file.txt/x', 'b/folder-link/nothing', '']) {
      expect(work.contentHash(path), path).toEqual(commit.contentHash(path));
      expect(work.kind(path), path).toEqual(commit.kind(path));
      expect(work.read(path)?.toString(), path).toEqual(commit.read(path)?.toString());
    }
    expect(work.read('b/folder-link/link')?.toString()).toBe('text');
    expect(work.read('a/outside')).toBeUndefined();
    expect(work.read('a/loop1')).toBeUndefined();
  });

  it.each(['2', '4'])('agree whether git or this program hashed the files (index version %s)', async (version) => {
    const workspace = createWorkspace(everyKind);
    workspace.commit();
    workspace.git('update-index', '--index-version', version);
    // An index written later than the files vouches for them.
    await new Promise((resolve) => setTimeout(resolve, 20));
    workspace.git('update-index', '--force-write-index');
    const [work, commit] = await bothTrees(workspace);
    expect(described(work)).toEqual(described(commit));
    workspace.write({ 'a/file.txt': 'TEXT' });
    const [changed] = await bothTrees(workspace);
    expect(changed.contentHash('a/file.txt')).not.toBe(commit.contentHash('a/file.txt'));
    expect(changed.contentHash('a/link')).not.toBe(commit.contentHash('a/link'));
    expect(changed.contentHash('b/folder-link')).not.toBe(commit.contentHash('b/folder-link'));
  });

  it('agree in a repository of SHA-256', async () => {
    const workspace = createWorkspace(everyKind, { git: false });
    workspace.git('init', '--quiet', '--object-format=sha256');
    workspace.commit();
    workspace.write({ 'a/new': 'x' });
    workspace.git('add', '.');
    workspace.commit();
    const [work, commit] = await bothTrees(workspace);
    expect(described(work)).toEqual(described(commit));
  });

  it('agree in a workspace below the top of its repository', async () => {
    const outer = createWorkspace({
      '.gitignore': '*.log\n',
      'inner/banksman.yaml': 'name: inner\n',
      'inner/a/x': '1',
      'inner/a/y.log': 'ignored',
    });
    outer.commit();
    const inner = openTestWorkspace(join(outer.root, 'inner'));
    const [work, commit] = await bothTrees(inner);
    expect(described(work)).toEqual(described(commit));
    expect(Object.keys(described(work))).toEqual(['a', 'a/x', 'banksman.yaml']);
  });

  it('tell an empty file from a missing one, and a file from one that is executable', async () => {
    const workspace = createWorkspace({ empty: '', script: 'x' });
    const tree = openWorkTree(workspace.root);
    expect(tree.contentHash('empty')).toBeDefined();
    expect(tree.contentHash('missing')).toBeUndefined();
    const before = tree.contentHash('script');
    workspace.chmod('script', 0o755);
    expect(openWorkTree(workspace.root).contentHash('script')).not.toBe(before);
  });

  it('tell a link by where it leads, though the content is the same', async () => {
    const workspace = createWorkspace({ one: 'same', two: 'same', link: 'link:one' });
    const before = openWorkTree(workspace.root).contentHash('link');
    workspace.write({ link: 'link:two' });
    expect(openWorkTree(workspace.root).contentHash('link')).not.toBe(before);
  });

  it('take a submodule as the commit it stands at', async () => {
    const library = createWorkspace({ 'lib/x': '1' });
    const first = library.commit();
    const workspace = createWorkspace();
    workspace.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', library.root, 'vendor/lib');
    workspace.commit();
    const [work, commit] = await bothTrees(workspace);
    expect(commit.contentHash('vendor/lib')).toBe(`submodule ${first}`);
    expect(described(work)).toEqual(described(commit));
    expect(work.contentHash('vendor/lib/lib/x')).toBe(commit.contentHash('vendor/lib/lib/x'));
    workspace.write({ 'vendor/lib/lib/x': '2' });
    expect(openWorkTree(workspace.root).contentHash('vendor/lib')).not.toBe(commit.contentHash('vendor/lib'));
  });
});

describe('openWorkTree', () => {
  it('lists what git would take in, and nothing else', async () => {
    const workspace = createWorkspace({
      '.gitignore': '*.log\n/build/\n!keep.log\nnode_modules\ndocs/**/draft\n# comment\n\\#hash\n',
      'a.log': '',
      'keep.log': '',
      'sub/b.log': '',
      'sub/keep.log': '',
      'build/x': '',
      'sub/build/x': '',
      'node_modules/m/x': '',
      'docs/a/b/draft': '',
      'docs/draft': '',
      'docs/final': '',
      '#hash': '',
      'sub/.gitignore': '!b.log\nc\n',
      'sub/c': '',
      'forced/tracked.log': '',
      'forced/other.log': '',
      'banksman-out/gen/x': '',
      'nested/.git/HEAD': 'ref: refs/heads/x\n',
      'nested/x': '',
    });
    workspace.git('add', '--force', 'forced/tracked.log');
    workspace.git('add', '--intent-to-add', 'forced/tracked.log');
    writeFileSync(join(workspace.root, '.git/info/exclude'), 'private\n');
    workspace.write({ private: '' });
    const listed = Object.entries(described(openWorkTree(workspace.root)))
      .filter(([, [kind]]) => kind !== 'folder')
      .map(([path]) => path);
    const git = workspace
      .git('ls-files', '--cached', '--others', '--exclude-standard', '-z')
      .split('\0')
      .filter((path) => path !== '');
    // What git doesn't know: this program's own folder of outputs.
    const expected = git.filter((path) => !path.startsWith('banksman-out/') && !path.startsWith('nested'));
    expect(listed.sort()).toEqual(expected.sort());
    expect(listed).toContain('forced/tracked.log');
    expect(listed).not.toContain('forced/other.log');
  });

  it('works without a repository, and keeps hashes for the next run', async () => {
    const cache = createWorkspace({}, { git: false }).root;
    const before = process.env.BANKSMAN_CACHE;
    process.env.BANKSMAN_CACHE = cache;
    try {
      const workspace = createWorkspace({ 'a/x': '1', '.gitignore': 'ignored\n' }, { git: false });
      await new Promise((resolve) => setTimeout(resolve, 80));
      const first = openWorkTree(workspace.root);
      const hash = first.contentHash('a/x');
      await first.save();
      expect(existsSync(join(cache, 'source-hashes'))).toBe(true);
      expect(openWorkTree(workspace.root).contentHash('a/x')).toBe(hash);
      workspace.write({ 'a/x': '2' });
      expect(openWorkTree(workspace.root).contentHash('a/x')).not.toBe(hash);
    } finally {
      if (before === undefined) delete process.env.BANKSMAN_CACHE;
      else process.env.BANKSMAN_CACHE = before;
    }
  });

  it('sees a change that leaves size and modification time as they were', async () => {
    const workspace = createWorkspace({ 'a/x': '1' });
    workspace.commit();
    const before = openWorkTree(workspace.root).contentHash('a/x');
    const { utimesSync, statSync } = await import('node:fs');
    const path = join(workspace.root, 'a/x');
    const { atime, mtime } = statSync(path);
    writeFileSync(path, '2');
    utimesSync(path, atime, mtime);
    expect(openWorkTree(workspace.root).contentHash('a/x')).not.toBe(before);
  });

  it('takes no empty folder for content', async () => {
    const workspace = createWorkspace({ 'a/x': '1' });
    const before = openWorkTree(workspace.root).contentHash('a');
    mkdirSync(join(workspace.root, 'a/b/c'), { recursive: true });
    expect(openWorkTree(workspace.root).contentHash('a')).toBe(before);
  });

  it('has no folder in which git sees no file, as the commit has none', async () => {
    const workspace = createWorkspace({
      'a/x': '1',
      '.gitignore': '*.o\nout/\n',
      'c/d/f.o': '',
      'out/f': '',
      'a/toEmpty': 'link:b',
      'a/toIgnored': 'link:../out',
    });
    mkdirSync(join(workspace.root, 'a/b/c'), { recursive: true });
    workspace.commit();
    const trees = [openWorkTree(workspace.root), await openCommit(workspace.root, 'HEAD')];
    for (const path of ['a/b', 'a/b/c', 'c', 'c/d', 'out', 'a/toEmpty', 'a/toIgnored', 'a', '']) {
      const [work, commit] = trees.map((tree) => [tree.kind(path), tree.contentHash(path)]);
      expect(work, path).toEqual(commit);
    }
    expect(trees[0]!.kind('a/b')).toBeUndefined();
    // What is ignored can still be named.
    expect(trees[0]!.kind('c/d/f.o')).toBe('file');
  });
});

describe('openCommit', () => {
  it('leaves a dirty work tree, its index and its locks alone', async () => {
    const workspace = createWorkspace({ 'a/x': 'committed' });
    workspace.commit();
    workspace.write({ 'a/x': 'dirty', 'a/new': '' });
    const status = workspace.git('status', '--porcelain');
    const tree = await openCommit(workspace.root, 'HEAD');
    expect(tree.read('a/x')?.toString()).toBe('committed');
    expect(tree.kind('a/new')).toBeUndefined();
    expect(workspace.git('status', '--porcelain')).toBe(status);
  });

  it.each(['nothing', '--help', 'HEAD~99', '-x', 'HEAD:a', ''])('refuses the revision %j', async (revision) => {
    const workspace = createWorkspace({ 'a/x': '' });
    workspace.commit();
    expect(await faultsOf(() => openCommit(workspace.root, revision))).toMatchObject([
      { code: 'graph/unknown-revision' },
    ]);
  });

  it('says of a repository without a commit that there is nothing to compare with', async () => {
    const workspace = createWorkspace({ 'a/x': '' });
    const [fault] = await faultsOf(() => openCommit(workspace.root, 'HEAD'));
    expect(fault).toMatchObject({ code: 'graph/unknown-revision', next: expect.stringContaining('without a commit') });
  });

  it('tells a clone whose history was cut off from an unknown commit', async () => {
    const origin = createWorkspace({ x: '1' });
    const first = origin.commit();
    origin.write({ x: '2' });
    origin.commit();
    const workspace = createWorkspace({}, { git: false });
    workspace.git('clone', '--quiet', '--depth=1', `file://${origin.root}`, 'clone');
    const clone = join(workspace.root, 'clone');
    const [fault] = await faultsOf(() => openCommit(clone, first));
    expect(fault).toMatchObject({ code: 'graph/shallow-clone' });
    expect(fault?.next).toContain('--unshallow');
    expect((await openCommit(clone, 'HEAD')).read('x')?.toString()).toBe('2');
  });

  it('says that there is no repository', async () => {
    const workspace = createWorkspace({}, { git: false });
    expect(await faultsOf(() => openCommit(workspace.root, 'HEAD'))).toMatchObject([{ code: 'graph/no-repository' }]);
  });
});
