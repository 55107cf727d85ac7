import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../disk/index.ts';
import { changedPaths, hidesChanges, treeOf } from './git/objects.ts';
import { findRepository, type Repository } from './git/repository.ts';
import type { LoadOptions } from './load.ts';
import type { SourceTree } from './tree.ts';
import type { Workspace } from './types.ts';

/** A state of a workspace's files that has a name. */
export interface NamedState {
  /** Where its graph is kept. */
  readonly place: string;
  /** Of a work tree: the paths of all files that are not as git's index has them, and perhaps more. */
  readonly changes: ReadonlySet<string>;
}

/** Paths that differ from HEAD beyond which a work tree is not worth a name. */
const maximumChanges = 2000;

/**
 * Where the graph of a workspace in one state is kept: a file named by all that evaluation depends on, which are the files (by
 * the id of git's tree, and what differs from it), the configuration, the built-in rules and this program itself.
 *
 * @param revision a commit; undefined for the work tree
 * @param tree the work tree, where no revision is given: a fresh one, that has not looked at any file yet
 * @returns undefined where the state has no name: no repository, no commit, too many changes, or files that git was told not
 *   to look at
 */
export async function nameState(
  workspace: Workspace,
  options: Pick<LoadOptions, 'ruleFiles' | 'cache'>,
  revision: string | undefined,
  tree?: SourceTree,
): Promise<NamedState | undefined> {
  if (options.cache === undefined) return undefined;
  const repository = findRepository(workspace.root);
  if (repository === undefined || indexSize(repository) < options.cache.minimumIndex) return undefined;
  const found =
    revision === undefined
      ? await workTreeState(repository, tree!)
      : { state: await treeOf(repository, revision), changes: [] };
  if (found === undefined) return undefined;
  const { root: _root, place: _place, environments: _environments, registry: _registry, ...configuration } = workspace;
  const key = createHash('sha256')
    .update(JSON.stringify([found.state, configuration, options.ruleFiles, process.platform, process.arch, ownCode()]))
    .digest('hex');
  const folder = createHash('sha256').update(workspace.root).digest('hex').slice(0, 32);
  return { place: cacheFolder('graphs', folder, key), changes: new Set(found.changes) };
}

function indexSize({ folder }: Repository): number {
  return statSync(join(folder, 'index'), { throwIfNoEntry: false })?.size ?? 0;
}

async function workTreeState(
  repository: Repository,
  tree: SourceTree,
): Promise<{ readonly state: string; readonly changes: readonly string[] } | undefined> {
  const answers = await Promise.all([
    treeOf(repository, 'HEAD').catch(() => undefined),
    changedPaths(repository),
    hidesChanges(repository),
  ]);
  const [head, changes, hidden] = answers;
  if (head === undefined || hidden || changes.length > maximumChanges) return undefined;
  // A clean work tree is the same as its commit, and has the same name.
  if (changes.length === 0) return { state: head, changes };
  const contents = changes.sort().map((path) => [path, tree.contentHash(path) ?? null]);
  return { state: JSON.stringify([head, contents]), changes };
}

/** This program's own part in what a graph looks like: a change of the evaluator makes all graphs anew. */
function ownCode(): string {
  const parts: string[] = [];
  for (const folder of [import.meta.dirname, join(import.meta.dirname, '../language')]) {
    for (const name of readdirSync(folder).sort()) {
      if (!name.endsWith('.ts')) continue;
      const { size, mtimeMs } = statSync(join(folder, name));
      parts.push(`${name} ${size} ${mtimeMs}`);
    }
  }
  return parts.join('\n');
}
