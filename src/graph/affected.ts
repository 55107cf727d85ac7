import { isFault } from '../fault/index.ts';
import { openCommit } from './commit-tree.ts';
import { readText } from './data-file.ts';
import { type Explanation, explain } from './explain.ts';
import { GraphFault } from './fault.ts';
import { createTargetHasher, type HashOptions } from './hash.ts';
import { type Graph, type LoadOptions, loadGraph } from './load.ts';
import type { SourceTree } from './tree.ts';
import type { Label, Target, Workspace } from './types.ts';
import { openWorkTree } from './work-tree.ts';
import { workspaceAt, workspaceFile } from './workspace.ts';

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

export interface SinceOptions extends Omit<LoadOptions, 'tree'> {
  /** A revision as git knows them. */
  readonly since: string;
  /** The work tree unless told. */
  readonly to?: string | undefined;
  /** Makes, for these graphs, `extraInputs` of HashOptions: what beside sources determines outputs. */
  readonly identify?: ((graphs: readonly Graph[]) => Promise<(target: Target) => string>) | undefined;
}

/**
 * What changed since a commit. Commits are read from git's objects; the work tree is not touched. Where the earlier
 * commit can't be evaluated, every target is affected, and the note says so.
 *
 * @throws GraphFault for an unknown revision, a shallow clone, no repository; GraphFault | LanguageFault where the later
 *   side is wrong
 */
export async function affectedSince(workspace: Workspace, options: SinceOptions): Promise<Affected> {
  const { before, after, hashing, note } = await bothSides(workspace, options);
  const targets = before === undefined ? [...after.targets.keys()].sort() : affected(before, after, hashing);
  await after.tree.save();
  return { targets, after, ...(note !== undefined && { note }) };
}

/** An explanation of why a target counts as affected. `note` where that is since the earlier side can't be evaluated. */
export async function explainSince(
  workspace: Workspace,
  label: Label,
  options: SinceOptions,
): Promise<Explanation & { readonly note?: string }> {
  const { before, after, hashing, note } = await bothSides(workspace, options);
  if (before !== undefined) return explain(before, after, label, { ...hashing, ruleFiles: options.ruleFiles });
  return { label, chain: [label], cause: undefined, otherChains: 0n, ...(note !== undefined && { note }) };
}

interface Sides {
  /** Undefined where it can't be evaluated; then `note` says why. */
  readonly before: Graph | undefined;
  readonly after: Graph;
  readonly hashing: HashOptions;
  readonly note?: string;
}

async function bothSides(workspace: Workspace, options: SinceOptions): Promise<Sides> {
  const beforeTree = await openCommit(workspace.root, options.since, workspace.buildFiles);
  const afterTree =
    options.to === undefined
      ? await openWorkTree(workspace.root)
      : await openCommit(workspace.root, options.to, workspace.buildFiles);
  const afterWorkspace = options.to === undefined ? workspace : await workspaceOf(afterTree, workspace.root);
  const after = await loadGraph(afterWorkspace, { ...options, tree: afterTree });
  const hashing = async (graphs: readonly Graph[]): Promise<HashOptions> => {
    const extraInputs = await options.identify?.(graphs);
    return extraInputs === undefined ? {} : { extraInputs };
  };
  try {
    const { progress: _, ...quiet } = options;
    const before = await loadGraph(await workspaceOf(beforeTree, workspace.root), { ...quiet, tree: beforeTree });
    return { before, after, hashing: await hashing([before, after]) };
  } catch (error) {
    if (!isFault(error)) throw error;
    const { file, line } = error.place ?? {};
    const where = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
    const note = `${beforeTree.name} can't be evaluated, so everything counts as affected: ${error.message}${where}`;
    return { before: undefined, after, hashing: {}, note };
  }
}

async function workspaceOf(tree: SourceTree, root: string): Promise<Workspace> {
  const found = await workspaceAt(root, (path) => readText(tree, path));
  if (found === undefined) throw new GraphFault('graph/no-workspace', `it has no ${workspaceFile}`);
  return found;
}
