import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../disk/index.ts';
import { outputFolder } from '../files/source-tree.ts';
import type { SourceTree } from '../files/tree.ts';
import { type ChangedPath, changedPaths, hidesChanges, treeDifference, treeOf } from '../git/objects.ts';
import { findRepository, type Repository } from '../git/repository.ts';
import type { LoadOptions } from '../load/load.ts';
import type { Workspace } from '../types.ts';
import { keepsGraphs } from './large.ts';
import { setupOf, shortHash } from './setup.ts';

/** What of a work tree is not as its commit. */
export interface Change extends ChangedPath {
  /** What stands there, see `SourceTree.contentHash`; null where nothing does. */
  readonly hash: string | null;
}

/** A state of a workspace's files that has a name. */
export interface NamedState {
  /** Where its graph is kept. */
  readonly place: string;
  /** Names all that evaluation depends on beside the files. */
  readonly setup: string;
  /** Id of git's tree that the files are, or stand on. */
  readonly tree: string;
  /** What differs from that tree: nothing in a commit. */
  readonly changes: readonly Change[];
}

/** Paths that differ from HEAD beyond which a work tree is not worth a name. */
const maximumChanges = 2000;

/**
 * Where the graph of a workspace in one state is kept: a file named by all that evaluation depends on, which are the files (by
 * the id of git's tree, and what differs from it), the configuration, the built-in rules and this program itself.
 *
 * @param tree the work tree: a fresh one, that has not looked at any file yet
 * @returns undefined where the state has no name: no repository, no commit, too many changes, or files that git was told not
 *   to look at
 */
export async function nameState(
  workspace: Workspace,
  options: Pick<LoadOptions, 'ruleFiles' | 'cache'>,
  tree: SourceTree,
): Promise<NamedState | undefined> {
  const repository = findRepository(workspace.root);
  if (repository === undefined || !keepsGraphs(workspace, options.cache)) return undefined;
  const found = await workTreeState(repository, tree);
  return found && named(workspace, options, found);
}

/** The same of a commit, by the id of its tree: undefined where graphs are not kept, or it has no files of the workspace. */
export function nameCommit(
  workspace: Workspace,
  options: Pick<LoadOptions, 'ruleFiles' | 'cache'>,
  tree: string | undefined,
): NamedState | undefined {
  return options.cache === undefined || tree === undefined
    ? undefined
    : named(workspace, options, { tree, changes: [] });
}

function named(
  workspace: Workspace,
  options: Pick<LoadOptions, 'ruleFiles'>,
  found: Pick<NamedState, 'tree' | 'changes'>,
): NamedState {
  const setup = setupOf(workspace, options);
  // A clean work tree is the same as its commit, and has the same name.
  const dirty = found.changes.length === 0 ? 'clean' : shortHash(found.changes.map(({ path, hash }) => [path, hash]));
  const folder = shortHash(workspace.root);
  return { ...found, setup, place: cacheFolder('graphs', folder, `${setup}-${found.tree}-${dirty}`) };
}

/** Where the graph that was used last is kept; undefined where there is none of this setup. */
export function lastUsed(workspace: Workspace, options: Pick<LoadOptions, 'ruleFiles' | 'cache'>): string | undefined {
  if (!keepsGraphs(workspace, options.cache)) return undefined;
  return statesNear(workspace, { setup: setupOf(workspace, options), tree: '' })[0]?.place;
}

async function workTreeState(
  repository: Repository,
  tree: SourceTree,
): Promise<{ readonly tree: string; readonly changes: readonly Change[] } | undefined> {
  // What builds have made is no source, whether git ignores it or not.
  const looking = changedPaths(repository, outputFolder);
  const answers = await Promise.all([
    treeOf(repository, 'HEAD').catch(() => undefined),
    looking,
    hidesChanges(repository),
  ]);
  const [head, changes, hidden] = answers;
  if (head === undefined || hidden || changes.length > maximumChanges) return undefined;
  const sorted = changes.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return { tree: head, changes: sorted.map((each) => ({ ...each, hash: tree.contentHash(each.path) ?? null })) };
}

/** States of the same setup whose graphs are kept, the likeliest to be near first. */
export function statesNear(
  workspace: Workspace,
  state: Pick<NamedState, 'setup' | 'tree'>,
): { place: string; tree: string }[] {
  const folder = cacheFolder('graphs', shortHash(workspace.root));
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const found = names.flatMap((name) => {
    const [setup, tree] = name.split('-');
    if (setup !== state.setup || tree === undefined) return [];
    const place = join(folder, name);
    return { place, tree, used: statSync(place, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  });
  const isSame = (tree: string) => Number(tree === state.tree);
  return found.sort((a, b) => isSame(b.tree) - isSame(a.tree) || b.used - a.used);
}

/**
 * What differs between two states, by path, and whether both have a plain file there. Where both work trees have changed a file
 * it is told unless it is the same now.
 *
 * @returns undefined where git can't tell: the earlier tree has been collected as garbage
 */
export async function differenceOf(
  workspace: Workspace,
  before: { readonly tree: string; readonly changes: readonly Change[] },
  after: { readonly tree: string; readonly changes: readonly Change[] },
): Promise<Map<string, boolean> | undefined> {
  const difference = new Map<string, boolean>();
  const repository = findRepository(workspace.root)!;
  try {
    for (const { path, sameKind } of await treeDifference(repository, before.tree, after.tree)) {
      difference.set(path, sameKind);
    }
  } catch {
    return undefined;
  }
  const earlier = new Map(before.changes.map((each) => [each.path, each]));
  for (const { path, sameKind, hash } of after.changes) {
    const known = earlier.get(path);
    earlier.delete(path);
    if (known !== undefined && known.hash === hash) difference.delete(path);
    else difference.set(path, sameKind && known?.sameKind !== false && difference.get(path) !== false);
  }
  for (const { path, sameKind } of earlier.values()) {
    difference.set(path, sameKind && difference.get(path) !== false);
  }
  return difference;
}
