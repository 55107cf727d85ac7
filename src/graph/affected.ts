import { isFault } from '../fault/index.ts';
import { type HashedTargets, loadCommit, loadWholeGraph, type StatedGraph } from './cached-load.ts';
import { openCommit, repositoryOf } from './commit-tree.ts';
import { readText } from './data-file.ts';
import { type Explanation, explain } from './explain.ts';
import { GraphFault } from './fault.ts';
import { readCommitFile, resolveRevision } from './git/objects.ts';
import { createTargetHasher, type HashOptions } from './hash.ts';
import { type Graph, type LoadOptions, loadGraph } from './load.ts';
import type { SourceTree } from './tree.ts';
import type { Label, Target, Workspace } from './types.ts';
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
  /** All targets of the later side. */
  readonly after: Graph['targets'];
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
  const earlier = await commitSide(workspace, options.since);
  const { to, progress: _, ...quiet } = options;
  const later = to === undefined ? undefined : await commitSide(workspace, to);
  let before: HashedTargets | undefined;
  let note: string | undefined;
  try {
    before = await loadSide(earlier, quiet);
  } catch (error) {
    note = brokenNote(earlier.name, error);
  }
  // The later side is evaluated in the light of the earlier one, where that is known.
  const from = before?.indexed;
  const after =
    later === undefined ? await loadWholeGraph(workspace, options, from) : await loadSide(later, options, from);
  if (before === undefined) {
    return { targets: [...after.targets.keys()].sort(), ...(note !== undefined && { note }), after: after.targets };
  }
  const { targets, hash } = before;
  const differs = (label: Label) => !targets.has(label) || hash(label) !== after.hash(label);
  return { targets: [...after.targets.keys()].filter(differs).sort(), after: after.targets };
}

/** A commit of which nothing but its id need have been read. */
interface CommitSide {
  readonly name: string;
  readonly commit: string;
  /** All its files; opened once. */
  tree(): Promise<SourceTree>;
  /** @throws GraphFault where it has none */
  workspace(): Promise<Workspace>;
}

async function commitSide({ root, buildFiles }: Workspace, revision: string): Promise<CommitSide> {
  const repository = repositoryOf(root);
  const commit = await resolveRevision(repository, revision);
  let opened: Promise<SourceTree> | undefined;
  const tree = () => (opened ??= openCommit(root, commit, buildFiles));
  return {
    name: `commit ${commit.slice(0, 12)}`,
    commit,
    tree,
    async workspace() {
      const found = await workspaceAt(root, async (path) => {
        const file = await readCommitFile(repository, commit, path);
        // Alone where it is a plain file; the whole commit is listed to follow a link.
        return file === 'other' ? readText(await tree(), path) : file?.toString('utf8');
      });
      if (found === undefined) throw new GraphFault('graph/no-workspace', `it has no ${workspaceFile}`);
      return found;
    },
  };
}

async function loadSide(side: CommitSide, options: LoadOptions, near?: StatedGraph): Promise<HashedTargets> {
  return loadCommit(await side.workspace(), side.commit, options, side.tree, near);
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
  const { since, to, identify } = options;
  const earlier = await commitSide(workspace, since);
  const load = async (side: CommitSide) => loadGraph(await side.workspace(), { ...options, tree: await side.tree() });
  const after = to === undefined ? await loadGraph(workspace, options) : await load(await commitSide(workspace, to));
  try {
    const before = await load(earlier);
    const extraInputs = await identify?.([before, after]);
    return { before, after, hashing: extraInputs === undefined ? {} : { extraInputs } };
  } catch (error) {
    return { before: undefined, after, hashing: {}, note: brokenNote(earlier.name, error) };
  }
}

/** @throws the error itself where it is no fault of the commit */
function brokenNote(name: string, error: unknown): string {
  if (!isFault(error)) throw error;
  const { file, line } = error.place ?? {};
  const where = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
  return `${name} can't be evaluated, so everything counts as affected: ${error.message}${where}`;
}
