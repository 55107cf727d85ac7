import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createWorkspace, type TestWorkspace } from '../test-workspace.ts';
import { readIndex } from './index-file.ts';
import { findRepository } from './repository.ts';

const indexOf = (workspace: TestWorkspace) => readIndex(findRepository(workspace.root)!);

/** Names whose bytes stand in another order than their letters, one longer than its length has room for, one with a line break. */
const names = [
  'a',
  'a-b/x',
  'a.c',
  'a0',
  'a/x',
  'a/é',
  'b\n"c',
  'deep/and/deeper',
  '😀',
  'ﬀ',
  `${'long/'.repeat(850)}x`,
];

function added(): TestWorkspace {
  const workspace = createWorkspace({});
  // Git is told of them, so that none need lie on the disk: a system has its own bound on the length of a path.
  const id = execFileSync('git', ['hash-object', '-w', '--stdin'], {
    cwd: workspace.root,
    input: 'x',
    encoding: 'utf8',
  }).trim();
  for (const name of names) workspace.git('update-index', '--add', '--cacheinfo', `100644,${id},${name}x`);
  return workspace;
}

describe('the index', () => {
  it.each([2, 3, 4])('of version %i finds every file, and no other', (version) => {
    const workspace = added();
    writeFileSync(join(workspace.root, 'late'), '');
    workspace.git('add', '--intent-to-add', 'late');
    workspace.git('update-index', '--index-version', String(version));
    const index = indexOf(workspace)!;
    for (let round = 0; round < 100; round++) {
      for (const name of names) {
        expect(index.find(`${name}x`)).toBeTypeOf('number');
        expect(index.modeOf(index.find(`${name}x`)!)).toBe(0o100644);
        expect(index.find(name)).toBeUndefined();
        expect(index.find(`${name}xx`)).toBeUndefined();
      }
    }
    expect(index.hasBelow('a')).toBe(true);
    expect(index.hasBelow('deep/and')).toBe(true);
    expect(index.hasBelow('deep/an')).toBe(false);
    expect(index.hasBelow('ax')).toBe(false);
    expect(index.hasBelow('zzz')).toBe(false);
  });

  it('tells of files that git was told not to look at', () => {
    const workspace = added();
    expect(indexOf(workspace)!.hidesChanges).toBe(false);
    workspace.git('update-index', '--assume-unchanged', 'ax');
    expect(indexOf(workspace)!.hidesChanges).toBe(true);
    workspace.git('update-index', '--no-assume-unchanged', 'ax');
    expect(indexOf(workspace)!.hidesChanges).toBe(false);
    workspace.git('update-index', '--skip-worktree', 'ax');
    const index = indexOf(workspace)!;
    expect(index.hidesChanges).toBe(true);
    // It need not lie on the disk.
    expect(index.find('ax')).toBeUndefined();
  });

  it('is read again when git has written another one', () => {
    const workspace = added();
    const before = indexOf(workspace);
    expect(indexOf(workspace)).toBe(before);
    workspace.git('rm', '--quiet', '--cached', 'ax');
    expect(indexOf(workspace)!.find('ax')).toBeUndefined();
    expect(before!.find('ax')).toBeTypeOf('number');
  });
});
