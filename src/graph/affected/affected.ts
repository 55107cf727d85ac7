import { isFault } from '../../fault/index.ts';
import { filesOf } from '../evaluate/dependency.ts';
import { GraphFault } from '../fault.ts';
import { openCommit, openCommitPart, repositoryOf } from '../files/commit-tree.ts';
import type { SourceTree } from '../files/tree.ts';
import { readCommitTop } from '../git/objects.ts';
import { createTargetHasher, type HashOptions } from '../hash/hash.ts';
import { type HashedGraph, loadCommit, loadWholeGraph, lookAtWorkTree, type StatedGraph } from '../kept/cached-load.ts';
import { hasSameHash } from '../kept/indexed-graph.ts';
import type { Graph, LoadOptions } from '../load/load.ts';
import { parentPath } from '../paths.ts';
import { findTarget } from '../query/query.ts';
import type { Label, Target, Workspace } from '../types.ts';
import { keptForm } from '../workspace/kept-form.ts';
import { pleaseConfigFiles } from '../workspace/please-files.ts';
import { workspaceAt, workspaceFile } from '../workspace/workspace.ts';
import type { Explanation } from './explain.ts';

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
}

/**
 * What changed since a commit. Commits are read from git's objects; the work tree is not touched. Where the earlier
 * commit can't be evaluated, every target is affected, and the note says so.
 *
 * @throws GraphFault for an unknown revision, a shallow clone, no repository; GraphFault | LanguageFault where the later
 *   side is wrong
 */
export async function affectedSince(workspace: Workspace, options: SinceOptions): Promise<Affected> {
  const { before, after, note } = await bothSides(workspace, options);
  if (before === undefined) {
    return { targets: [...after.targets.keys()].sort(), ...(note !== undefined && { note }), after: after.targets };
  }
  return { targets: [...after.targets.keys()].filter(differing(before, after)).sort(), after: after.targets };
}

/** Of hundreds of thousands of targets: hashes are compared as they are kept, where both sides are. */
function differing(before: HashedGraph, after: HashedGraph): (label: Label) => boolean {
  const [was, is] = [before.indexed?.graph, after.indexed?.graph];
  if (was === undefined || is === undefined) {
    return (label) => !before.targets.has(label) || before.hash(label) !== after.hash(label);
  }
  return (label) => {
    const former = was.positions.get(label);
    return former === undefined || !hasSameHash(was, former, is, is.positions.get(label)!);
  };
}

/**
 * Why a target counts as affected. `note` where that is since the earlier side can't be evaluated.
 *
 * @throws as `affectedSince`, and GraphFault graph/missing-target where the later side has no such target
 */
export async function explainSince(
  workspace: Workspace,
  label: Label,
  options: SinceOptions,
): Promise<Explanation & { readonly note?: string }> {
  const { earlier, later, before, after, note } = await bothSides(workspace, options);
  findTarget(after, label);
  if (before === undefined) {
    return { label, chain: [label], cause: undefined, otherChains: 0n, ...(note !== undefined && { note }) };
  }
  const { affectedBehind, explain } = await import('./explain.ts');
  const cone = affectedBehind(before, after, label);
  const files = cone.flatMap((each) => [before, after].flatMap(({ targets }) => lookedInto(targets.get(each))));
  const folders = [...new Set(files)];
  return explain(
    { ...before, workspace: await earlier.workspace(), tree: shows(before.graph.tree) ?? earlier.part(folders) },
    {
      ...after,
      workspace: later === undefined ? workspace : await later.workspace(),
      tree: later === undefined ? after.graph.tree : (shows(after.graph.tree) ?? later.part(folders)),
    },
    label,
    options.ruleFiles,
  );
}

/** A tree that shows files which are built: a commit alone does not have them. */
function shows(tree: SourceTree): SourceTree | undefined {
  return tree.placeOf === undefined ? undefined : tree;
}

/** Folders of which an explanation asks what is in them. */
function lookedInto(target: Target | undefined): string[] {
  return target === undefined ? [] : [target.package, ...filesOf(target).map(parentPath)];
}

interface Sides {
  readonly earlier: CommitSide;
  /** Undefined for the work tree. */
  readonly later: CommitSide | undefined;
  /** Undefined where it can't be evaluated; then `note` says why. */
  readonly before: HashedGraph | undefined;
  readonly after: HashedGraph;
  readonly note?: string;
}

async function bothSides(workspace: Workspace, options: SinceOptions): Promise<Sides> {
  const { to, progress: _, ...quiet } = options;
  // Git looks at the files while the earlier side is read.
  const looking = to === undefined ? lookAtWorkTree(workspace, options) : undefined;
  const earlier = await commitSide(workspace, options.since);
  const later = to === undefined ? undefined : await commitSide(workspace, to);
  let before: HashedGraph | undefined;
  let note: string | undefined;
  try {
    before = await loadSide(earlier, quiet);
  } catch (error) {
    note = brokenNote(earlier.name, error);
  }
  // The later side is evaluated in the light of the earlier one, where that is known.
  const from = before?.indexed;
  const after =
    later === undefined
      ? await loadWholeGraph(workspace, options, from, looking)
      : await loadSide(later, options, from);
  return { earlier, later, before, after, ...(note !== undefined && { note }) };
}

/** A commit of which nothing but its id need have been read. */
interface CommitSide {
  readonly name: string;
  readonly commit: string;
  /** Id of its tree at the workspace's folder. */
  readonly treeId: string | undefined;
  /** All its files; opened once. */
  tree(): Promise<SourceTree>;
  /** Its files, those of some folders listed at once. */
  part(folders: readonly string[]): SourceTree;
  /** @throws GraphFault where it has none */
  workspace(): Promise<Workspace>;
}

async function commitSide({ root, buildFiles }: Workspace, revision: string): Promise<CommitSide> {
  const early = [workspaceFile, ...pleaseConfigFiles()];
  const { commit, tree: treeId, files } = await readCommitTop(repositoryOf(root), revision, early);
  let opened: Promise<SourceTree> | undefined;
  const tree = () => (opened ??= openCommit(root, commit, buildFiles));
  return {
    name: `commit ${commit.slice(0, 12)}`,
    commit,
    treeId,
    tree,
    part: (folders) => openCommitPart(root, commit, folders, buildFiles),
    async workspace() {
      const read = async (path: string) => {
        const file = files.get(path);
        if (file !== 'other') return file?.toString('utf8');
        // The whole commit is listed to follow a link.
        const { readText } = await import('../files/data-file.ts');
        return readText(await tree(), path);
      };
      const found = await workspaceAt(root, read, keptForm);
      if (found === undefined) throw new GraphFault('graph/no-workspace', `it has no ${workspaceFile}`);
      return found;
    },
  };
}

async function loadSide(side: CommitSide, options: LoadOptions, near?: StatedGraph): Promise<HashedGraph> {
  const revision = { commit: side.commit, tree: side.treeId };
  return loadCommit(await side.workspace(), revision, options, side.tree, near);
}

/** @throws the error itself where it is no fault of the commit */
function brokenNote(name: string, error: unknown): string {
  if (!isFault(error)) throw error;
  const { file, line } = error.place ?? {};
  const where = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
  return `${name} can't be evaluated, so everything counts as affected: ${error.message}${where}`;
}
