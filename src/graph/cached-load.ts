import { filesOf } from './dependency.ts';
import { createTargetHasher } from './hash.ts';
import { type Graph, type LoadOptions, loadGraph } from './load.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';
import { nameState } from './state.ts';
import type { SourceTree } from './tree.ts';
import type { Label, Workspace } from './types.ts';
import { openWorkTree } from './work-tree.ts';

/** The targets of a workspace and their hashes, without what tools add to these. */
export interface HashedTargets {
  readonly targets: Graph['targets'];
  readonly hash: (label: Label) => string;
}

export interface HashedGraph extends HashedTargets {
  readonly graph: Graph;
}

/**
 * The whole graph of the work tree: as it was kept when this state was last seen, else evaluated, and kept.
 *
 * @throws GraphFault | LanguageFault as loadGraph
 */
export async function loadWholeGraph(workspace: Workspace, options: LoadOptions): Promise<HashedGraph> {
  const tree = options.tree ?? (await openWorkTree(workspace.root));
  const state = options.tree === undefined ? await nameState(workspace, options, undefined, tree) : undefined;
  const place = state?.place;
  const known = place === undefined ? undefined : readSnapshot(place, (file) => tree.read(file)?.toString('utf8'));
  if (known?.isStillSo(tree)) {
    for (const line of known.said) options.progress?.say(line);
    const { packages, targets, hash } = known;
    return { graph: { workspace, tree, packages, targets }, targets, hash };
  }
  // Git has just looked at every file: nobody need do so again.
  const looked = state === undefined ? tree : await openWorkTree(workspace.root, state.changes);
  return evaluate(workspace, options, place, looked, async () => {
    // Files may change while they are read: kept is only what is still so.
    return (await nameState(workspace, options, undefined, await openWorkTree(workspace.root)))?.place === place;
  });
}

/** The targets of a commit, in the same way. */
export async function loadCommit(
  workspace: Workspace,
  revision: string,
  options: LoadOptions,
  open: () => Promise<SourceTree>,
): Promise<HashedTargets> {
  const place = (await nameState(workspace, options, revision))?.place;
  const known = place === undefined ? undefined : readSnapshot(place, () => undefined);
  if (known && (!known.needsTree || known.isStillSo(await open()))) {
    for (const line of known.said) options.progress?.say(line);
    return known;
  }
  return evaluate(workspace, options, place, await open(), async () => true);
}

/** Functions of BUILD files that know more than the files: what they give belongs to a commit, not to a tree. */
const beyondFiles = /\bgit_(branch|commit|show|state|tags)\b/;

async function evaluate(
  workspace: Workspace,
  options: LoadOptions,
  place: string | undefined,
  tree: SourceTree,
  isStillSo: () => Promise<boolean>,
): Promise<HashedGraph> {
  const read = new Set<string>();
  const said: string[] = [];
  let keepable = place !== undefined;
  const noting: SourceTree = {
    ...tree,
    read(path) {
      const bytes = tree.read(path);
      if (keepable && !read.has(path)) {
        read.add(path);
        if (bytes?.includes('git_') && beyondFiles.test(bytes.toString('utf8'))) keepable = false;
      }
      return bytes;
    },
  };
  const say = (line: string) => {
    said.push(line);
    options.progress?.say(line);
  };
  const progress = { begin: (name: string) => options.progress?.begin(name) ?? silentTask, say };
  const graph = await loadGraph(workspace, { ...options, tree: place === undefined ? tree : noting, progress });
  const hash = createTargetHasher(graph);
  if (place !== undefined && keepable) {
    for (const target of graph.targets.values()) for (const path of filesOf(target)) read.add(path);
    const extra = [...read].filter((path) => !tree.isTracked(path));
    for (const label of graph.targets.keys()) hash(label);
    try {
      if (await isStillSo()) await writeSnapshot(place, graph, hash, extra, said);
    } catch (error) {
      // A full disk, say. The answer is there all the same.
      options.progress?.say(`note: the graph could not be kept for the next time: ${(error as Error).message}`);
    }
  }
  await tree.save();
  return { graph, targets: graph.targets, hash };
}

const silentTask = { update() {}, done() {}, fail() {} };
