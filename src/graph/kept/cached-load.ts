import { openCommitPart } from '../files/commit-tree.ts';
import type { SourceTree } from '../files/tree.ts';
import { openWorkTree } from '../files/work-tree.ts';
import { createTargetHasher } from '../hash/hash.ts';
import type { Graph, LoadOptions } from '../load/load.ts';
import { parentPath } from '../paths.ts';
import type { Label, Workspace } from '../types.ts';
import { hashOf, type IndexedGraph, indexGraph, isStillSo, linesSaid } from './indexed-graph.ts';
import { keepsGraphs } from './large.ts';
import { isKept, loadObserved } from './observed-load.ts';
import { readSnapshot, type Snapshot, writeSnapshot } from './snapshot.ts';
import { differenceOf, lastUsed, type NamedState, nameCommit, nameState, statesNear } from './state.ts';

/** A graph with the state of the files that it is of. */
export interface StatedGraph {
  readonly state: Pick<NamedState, 'setup' | 'tree' | 'changes'>;
  readonly graph: IndexedGraph;
}

/** The targets of a workspace and their hashes, without what tools add to these. */
export interface HashedTargets {
  readonly targets: Graph['targets'];
  readonly hash: (label: Label) => string;
  /** Where the state has a name: for evaluating another one that is near. */
  readonly indexed?: StatedGraph;
}

export interface HashedGraph extends HashedTargets {
  readonly graph: Graph;
}

/** Packages evaluated from which on a graph is worth keeping, if another one was near. */
const worthKeeping = 50;
/** Targets of a graph that is written in no time: a commit's is kept in any case, since it is asked for again. */
const quicklyKept = 5000;
/** Kept graphs that are tried. */
const tried = 2;

/** What git says of the work tree while something else is done. */
export interface WorkTreeLook {
  readonly tree: SourceTree;
  /** Undefined where it has no name. */
  readonly state: Promise<NamedState | undefined>;
}

/** Begins to look at the work tree, where whole graphs are kept by what git says of it. */
export function lookAtWorkTree(workspace: Workspace, options: LoadOptions): WorkTreeLook | undefined {
  if (options.tree !== undefined || !keepsGraphs(workspace, options.cache)) return undefined;
  const tree = openWorkTree(workspace.root);
  const state = nameState(workspace, options, tree);
  // Whoever waits for it hears of an error; the other side may fail before.
  state.catch(() => {});
  return { tree, state };
}

/**
 * The whole graph of the work tree: as it was kept when this state was last seen, else evaluated as far as it differs from one
 * that was kept, else evaluated and kept.
 *
 * @param near a graph whose state may be near
 * @param look where it was begun before
 * @throws GraphFault | LanguageFault as loadGraph
 */
export async function loadWholeGraph(
  workspace: Workspace,
  options: LoadOptions,
  near?: StatedGraph,
  look: WorkTreeLook | undefined = lookAtWorkTree(workspace, options),
): Promise<HashedGraph> {
  if (look === undefined && isKept(options)) return withHashes(await loadObserved(workspace, options));
  const tree = look?.tree ?? options.tree ?? openWorkTree(workspace.root);
  if (look === undefined) return evaluate(workspace, options, undefined, tree, async () => false);
  // While git looks at the files: most often nothing has changed since the last time.
  const read = createSnapshotReader((file) => tree.read(file)?.toString('utf8'));
  const last = near === undefined ? lastUsed(workspace, options) : undefined;
  if (last !== undefined) read(last);
  const state = await look.state;
  if (state === undefined) return evaluate(workspace, options, undefined, tree, async () => false);
  // Git has just looked at every file: nobody need do so again.
  const looked = openWorkTree(workspace.root, new Set(state.changes.map(({ path }) => path)));
  return (
    known(workspace, options, state, tree, read) ??
    (await advanced(workspace, options, state, near, read, async () => looked)) ??
    (await evaluate(workspace, options, state, looked, async () => {
      // Files may change while they are read: kept is only what is still so.
      const again = await nameState(workspace, options, openWorkTree(workspace.root));
      return again?.place === state.place;
    }))
  );
}

async function withHashes(graph: Graph): Promise<HashedGraph> {
  const hash = createTargetHasher(graph);
  for (const label of graph.targets.keys()) hash(label);
  await graph.tree.save();
  return { graph, targets: graph.targets, hash };
}

/**
 * The targets of a commit, in the same way.
 *
 * @param revision its id, and that of its tree at the workspace's folder, where there is one
 */
export async function loadCommit(
  workspace: Workspace,
  revision: { readonly commit: string; readonly tree: string | undefined },
  options: LoadOptions,
  open: () => Promise<SourceTree>,
  near?: StatedGraph,
): Promise<HashedGraph> {
  const state = nameCommit(workspace, options, revision.tree);
  if (state === undefined) return evaluate(workspace, options, undefined, await open(), async () => false);
  const part = (folders: readonly string[]) =>
    openCommitPart(workspace.root, revision.commit, folders, workspace.buildFiles);
  const whole = part([]);
  // Places of targets show the text of BUILD files, which are as they were wherever they are not evaluated again.
  const read = createSnapshotReader((file) => whole.read(file)?.toString('utf8'));
  return (
    known(workspace, options, state, whole, read) ??
    (await advanced(workspace, options, state, near, read, async (folders) => part(folders))) ??
    (await evaluate(workspace, options, state, await open(), async () => true))
  );
}

type SnapshotReader = (place: string) => Snapshot | undefined;

/** Reads each kept graph once. */
function createSnapshotReader(source: (file: string) => string | undefined): SnapshotReader {
  const graphs = new Map<string, Snapshot | undefined>();
  return (place) => {
    if (!graphs.has(place)) graphs.set(place, readSnapshot(place, source));
    return graphs.get(place);
  };
}

/** The graph of just this state, where it was kept. */
function known(
  workspace: Workspace,
  options: LoadOptions,
  state: NamedState,
  tree: SourceTree,
  read: SnapshotReader,
): HashedGraph | undefined {
  const graph = read(state.place);
  if (graph === undefined || !isStillSo(graph, tree)) return undefined;
  for (const line of linesSaid(graph)) options.progress?.say(line);
  return hashed(workspace, tree, { state, graph });
}

function hashed(workspace: Workspace, tree: SourceTree, indexed: StatedGraph): HashedGraph {
  const { packages, targets } = indexed.graph;
  return { graph: { workspace, tree, packages, targets }, targets, hash: hashOf(indexed.graph), indexed };
}

/** The graph of this state in the light of one that is near. */
async function advanced(
  workspace: Workspace,
  options: LoadOptions,
  state: NamedState,
  near: StatedGraph | undefined,
  read: SnapshotReader,
  open: (folders: readonly string[]) => Promise<SourceTree>,
): Promise<HashedGraph | undefined> {
  for (const from of graphsNear(workspace, state, near, read)) {
    const difference = await differenceOf(workspace, from.state, state);
    if (difference === undefined) continue;
    const { extra } = from.graph;
    if (extra.length > 0) {
      const now = await open(extra.map(([path]) => parentPath(path)));
      for (const [path, hash] of extra) {
        if ((now.contentHash(path) ?? null) !== hash) difference.set(path, false);
      }
    }
    const { advance } = await import('./advance.ts');
    const found = await advance(workspace, from.graph, difference, {
      ruleFiles: options.ruleFiles,
      open,
      // Said below, with what the other packages said.
      say() {},
    });
    if (found === undefined) continue;
    for (const line of linesSaid(found.graph)) options.progress?.say(line);
    if (found.evaluated >= worthKeeping || (state.changes.length === 0 && found.graph.labels.length <= quicklyKept))
      await keep(state, found.graph, options);
    await found.tree.save();
    return hashed(workspace, found.tree, { state, graph: found.graph });
  }
  return undefined;
}

function* graphsNear(
  workspace: Workspace,
  state: NamedState,
  near: StatedGraph | undefined,
  read: SnapshotReader,
): Generator<StatedGraph> {
  if (near?.state.setup === state.setup) yield near;
  for (const { place, tree } of statesNear(workspace, state).slice(0, tried)) {
    const graph = read(place);
    if (graph !== undefined) yield { state: { setup: state.setup, tree, changes: graph.changes }, graph };
  }
}

async function keep(state: NamedState, graph: IndexedGraph, options: LoadOptions): Promise<void> {
  try {
    await writeSnapshot(state.place, graph, state.changes);
  } catch (error) {
    // A full disk, say. The answer is there all the same.
    options.progress?.say(`note: the graph could not be kept for the next time: ${(error as Error).message}`);
  }
}

/** @param state undefined where it has no name */
async function evaluate(
  workspace: Workspace,
  options: LoadOptions,
  state: NamedState | undefined,
  tree: SourceTree,
  isStillSo: () => Promise<boolean>,
): Promise<HashedGraph> {
  const { evaluateGraph } = await import('../load/load.ts');
  const { graph, loader } = await evaluateGraph(workspace, { ...options, tree });
  if (state === undefined) return withHashes(graph);
  const { lookedAt } = await import('./advance.ts');
  // Git looks at the files once more while hashes are computed.
  const still = loader.usesHistory ? Promise.resolve(false) : isStillSo();
  still.catch(() => {});
  await new Promise(setImmediate);
  const extra = new Set<string>();
  const looked = lookedAt(graph.targets.values(), [loader.recorder.everywhere, ...loader.recorder.packages.values()]);
  for (const path of looked) if (!tree.isTracked(path)) extra.add(path);
  for (const { file } of graph.packages.values()) if (!tree.isTracked(file)) extra.add(file);
  const whatTheyAre = [...extra].map((path) => [path, tree.contentHash(path) ?? null] as const);
  const indexed = indexGraph(graph, loader.recorder, loader.isSeparable, whatTheyAre);
  // What a BUILD file asks of git belongs to a commit, not to its files.
  if (await still) await keep(state, indexed, options);
  await tree.save();
  return { graph, targets: graph.targets, hash: hashOf(indexed), indexed: { state, graph: indexed } };
}
