import { isFault } from '../fault/index.ts';
import { openCommit } from './commit-tree.ts';
import { readText } from './data-file.ts';
import { GraphFault } from './fault.ts';
import { createTargetHasher, type HashOptions } from './hash.ts';
import { type Graph, type LoadOptions, loadGraph } from './load.ts';
import type { SourceTree } from './tree.ts';
import type { Label, Workspace } from './types.ts';
import { openWorkTree } from './work-tree.ts';
import { parseWorkspace, workspaceFile } from './workspace.ts';

/** Targets of `after` that are new or whose hash differs, sorted. */
export function affected(before: Graph, after: Graph, options: HashOptions = {}): Label[] {
  const hashBefore = createTargetHasher(before, options);
  const hashAfter = createTargetHasher(after, options);
  return [...after.targets.keys()]
    .filter((label) => !before.targets.has(label) || hashBefore(label) !== hashAfter(label))
    .sort();
}

export interface Affected {
  readonly targets: readonly Label[];
  /** Said to the person: why every target counts as affected. */
  readonly note?: string;
  readonly after: Graph;
}

export interface SinceOptions extends Omit<LoadOptions, 'tree'>, HashOptions {
  /** A revision as git knows them. */
  readonly since: string;
  /** The work tree unless told. */
  readonly to?: string | undefined;
}

/**
 * What changed since a commit. Commits are read from git's objects; the work tree is not touched. Where the earlier
 * commit can't be evaluated, every target is affected, and the note says so.
 *
 * @throws GraphFault for an unknown revision, a shallow clone, no repository; GraphFault | LanguageFault where the later
 *   side is wrong
 */
export async function affectedSince(workspace: Workspace, options: SinceOptions): Promise<Affected> {
  const beforeTree = await openCommit(workspace.root, options.since, workspace.buildFiles);
  const afterTree =
    options.to === undefined
      ? await openWorkTree(workspace.root)
      : await openCommit(workspace.root, options.to, workspace.buildFiles);
  const afterWorkspace = options.to === undefined ? workspace : await workspaceOf(afterTree, workspace.root);
  const after = await loadGraph(afterWorkspace, { ...options, tree: afterTree });
  let before: Graph;
  try {
    const { progress: _, ...quiet } = options;
    before = await loadGraph(await workspaceOf(beforeTree, workspace.root), { ...quiet, tree: beforeTree });
  } catch (error) {
    if (!isFault(error)) throw error;
    const { file, line } = error.place ?? {};
    const where = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
    return {
      targets: [...after.targets.keys()].sort(),
      note: `${beforeTree.name} can't be evaluated, so everything counts as affected: ${error.message}${where}`,
      after,
    };
  }
  const targets = affected(before, after, options);
  await afterTree.save();
  return { targets, after };
}

async function workspaceOf(tree: SourceTree, root: string): Promise<Workspace> {
  const text = readText(tree, workspaceFile);
  if (text === undefined) throw new GraphFault('graph/no-workspace', `it has no ${workspaceFile}`);
  return parseWorkspace(root, { file: workspaceFile, text, internal: false });
}
