import { isFault, nearest } from '../../fault/index.ts';
import type { Progress } from '../../progress/index.ts';
import { dependenciesOf } from '../evaluate/dependency.ts';
import { BuildNeeded, type BuiltIncludes, type BuiltText } from '../evaluate/included.ts';
import { type LoadFault, PackageLoader } from '../evaluate/packages.ts';
import { joinFaults } from '../evaluate/place.ts';
import { GraphFault } from '../fault.ts';
import { createMountedTree } from '../files/mounted-tree.ts';
import type { SourceTree } from '../files/tree.ts';
import { openWorkTree } from '../files/work-tree.ts';
import {
  builtFolderOf,
  builtPartOf,
  formatPattern,
  type LabelPattern,
  nearestLabel,
  packageLabel,
  parsePattern,
  splitLabel,
} from '../names/label.ts';
import type { Label, Package, RuleFile, Target, Workspace } from '../types.ts';
import { checkTargets, lockAdvice } from './check.ts';
import { type GrowingTargets, growTargets } from './grow.ts';

/** Evaluated and checked packages. Immutable. */
export interface Graph {
  readonly workspace: Workspace;
  readonly tree: SourceTree;
  readonly packages: ReadonlyMap<string, Package>;
  /** In the order of packages, and in each as its BUILD file makes them. */
  readonly targets: ReadonlyMap<Label, Target>;
  /** For a build, where targets have `post_build` functions and these are at hand: not where the graph was kept. */
  readonly grow?: () => GrowingTargets;
}

export interface LoadOptions {
  readonly ruleFiles: readonly RuleFile[];
  /** The work tree unless told. */
  readonly tree?: SourceTree;
  /** Hears what BUILD files say with `log.warning`. */
  readonly progress?: Progress;
  /** Whether whole graphs are kept on the disk; not unless told. */
  readonly cache?: GraphCacheOptions | undefined;
  /**
   * Hears what is wrong, all faults in one: the graph is then what could be loaded, unchecked, and may name targets that it does not have.
   * For looking at it, never for hashes or builds. Without it what is wrong is thrown.
   */
  readonly keepGoing?: ((fault: LoadFault) => void) | undefined;
  /** Builds what BUILD files include, and subrepos; without it, needing what is built is a fault. */
  readonly build?: BuildIncluded | undefined;
}

/** Builds targets whose outputs evaluation needs, from the files of the graph's tree, which can be a commit's. */
export interface BuildIncluded {
  /** Files that are included, in the order of the target's outputs. */
  texts(request: BuildRequest): Promise<readonly BuiltText[]>;
  /**
   * The folder that a target makes: its only output, or that of the target's name.
   *
   * @returns its absolute path; nobody changes it while this program runs
   */
  folder(request: BuildRequest): Promise<string>;
}

export interface BuildRequest {
  /** What the target reaches. */
  readonly graph: Graph;
  readonly label: Label;
  readonly progress: Progress | undefined;
}

export interface GraphCacheOptions {
  /**
   * Bytes of git's index from which on whole graphs are kept by what git says of the files. Of smaller workspaces, and of parts of large
   * ones, what evaluation looked at is looked at again: that is sooner done than git can say what changed.
   */
  readonly minimumIndex: number;
}

/**
 * Evaluates every package of the workspace and checks the whole graph.
 *
 * @throws GraphFault | LanguageFault: the first fault by place, with all others found among its `others`
 */
export async function loadGraph(workspace: Workspace, options: LoadOptions): Promise<Graph> {
  return (await evaluateGraph(workspace, options)).graph;
}

/** The same, with what evaluated it. */
export async function evaluateGraph(
  workspace: Workspace,
  options: LoadOptions,
): Promise<{ readonly graph: Graph; readonly loader: PackageLoader }> {
  const evaluation = await openEvaluation(workspace, options);
  return evaluation.attempt((loader) => {
    const packages = new Map<string, Package>();
    const targets = new Map<Label, Target>();
    const names = loader.find('');
    // A package may tell that a folder read before is a subrepo, so that its packages have to be read again.
    for (const name of names) loader.load(name);
    const loaded = withNeeded(loader, names);
    loader.runPreBuild(loaded.flatMap((each) => [...each.targets.values()].map(({ label }) => label)));
    for (const each of loaded) {
      packages.set(each.name, each);
      for (const target of each.targets.values()) targets.set(target.label, target);
    }
    const reached = { packages, targets };
    return { graph: checkedGraph(evaluation, loader, reached, [...loader.faults.values()], options.keepGoing), loader };
  });
}

/** Packages by these names, and those in folders that are left out, subrepos mostly, as far as the others need them. */
function withNeeded(loader: PackageLoader, names: readonly string[]): Package[] {
  const wanted = new Set(names);
  const loaded: Package[] = [];
  for (const name of wanted) {
    const each = loader.load(name);
    if (each === undefined) continue;
    loaded.push(each);
    if (!loader.leavesOut) continue;
    for (const target of each.targets.values()) {
      for (const { label } of dependenciesOf(target)) wanted.add(splitLabel(label).package);
    }
  }
  const found = new Set(names);
  loader.wentOut = loaded.some(({ name }) => !found.has(name));
  return loaded;
}

/**
 * Every target, unchecked: for commands that mend what makes the graph as a whole wrong, such as a lock file without a
 * package that is already depended on.
 *
 * @throws GraphFault | LanguageFault where a package can't be evaluated
 */
export async function loadUnchecked(workspace: Workspace, options: LoadOptions): Promise<ReadonlyMap<Label, Target>> {
  const evaluation = await openEvaluation(workspace, options);
  return evaluation.attempt((loader) => {
    const targets = loader.find('').flatMap((name) => [...(loader.load(name)?.targets.values() ?? [])]);
    // What a package that is wrong would have asked for is not known: a lock without it would be wrong, too.
    if (loader.faults.size > 0) throw joinFaults([...loader.faults.values()]);
    return new Map(targets.map((target) => [target.label, target]));
  });
}

/**
 * Evaluates only the packages that the wanted targets reach. For commands on a few targets of a large workspace.
 *
 * @param patterns labels or patterns relative to the package `options.from` (the root unless told)
 * @returns the graph of what the labels reach, and the labels that the patterns match, each once, in the order of the
 *   patterns
 * @throws GraphFault | LanguageFault, as loadGraph, for the packages that were needed
 */
export async function loadTargets(
  workspace: Workspace,
  patterns: readonly string[],
  options: LoadOptions & { readonly from?: string },
): Promise<{ readonly graph: Graph; readonly labels: readonly Label[] }> {
  return evaluateTargets(workspace, patterns, options);
}

/** The same, with what evaluated it. */
export async function evaluateTargets(
  workspace: Workspace,
  patterns: readonly string[],
  options: LoadOptions & { readonly from?: string },
): Promise<{ readonly graph: Graph; readonly labels: readonly Label[]; readonly loader: PackageLoader }> {
  const evaluation = await openEvaluation(workspace, options);
  return evaluation.attempt((loader) => {
    const faults: LoadFault[] = [];
    const labels = new Set<Label>();
    for (const text of patterns) {
      try {
        const pattern = parsePattern(text, loader.scope(options.from ?? ''));
        for (const label of wantedLabels(loader, pattern)) labels.add(label);
      } catch (error) {
        if (!(error instanceof GraphFault)) throw error;
        faults.push(error);
      }
    }
    const reached = reachedBy(loader, labels);
    const graph = checkedGraph(evaluation, loader, reached, [...faults, ...loader.faults.values()], options.keepGoing);
    return { graph, labels: [...labels], loader };
  });
}

interface Reached {
  readonly packages: Map<string, Package>;
  readonly targets: Map<Label, Target>;
}

/**
 * All that targets depend on, `pre_build` functions having run.
 *
 * @param partly a package that waits for one of its own targets counts as far as it was evaluated
 */
function reachedBy(loader: PackageLoader, labels: Iterable<Label>, partly = false): Reached {
  const packages = new Map<string, Package>();
  const targets = new Map<Label, Target>();
  const pending = [...labels].reverse();
  const reach = () => {
    for (let label = pending.pop(); label !== undefined; label = pending.pop()) {
      if (targets.has(label)) continue;
      const { package: packageName, name } = splitLabel(label);
      const loaded = (partly ? loader.unfinished.get(packageName) : undefined) ?? loader.load(packageName);
      if (loaded === undefined) continue;
      packages.set(packageName, loaded);
      const target = loaded.targets.get(name);
      if (target === undefined) continue;
      targets.set(label, target);
      for (const { label: next } of dependenciesOf(target)) pending.push(next);
      for (const provided of Object.values(target.provides)) pending.push(...provided);
    }
  };
  reach();
  // What `pre_build` functions add is reached too, and may have such functions in turn.
  for (
    let changed = loader.runPreBuild(targets.keys());
    changed.size > 0;
    changed = loader.runPreBuild(targets.keys())
  ) {
    for (const label of [...targets.keys()]) {
      if (!changed.has(splitLabel(label).package)) continue;
      targets.delete(label);
      pending.push(label);
    }
    reach();
  }
  return { packages, targets };
}

/** One evaluation of one source tree. */
interface Evaluation {
  readonly workspace: Workspace;
  readonly tree: SourceTree;
  /**
   * Evaluates, and again from where that stopped because something that is included had to be built first. What was evaluated
   * is not evaluated again.
   *
   * @throws GraphFault | LanguageFault
   */
  attempt<T>(body: (loader: PackageLoader) => T): Promise<T>;
}

async function openEvaluation(workspace: Workspace, options: LoadOptions): Promise<Evaluation> {
  const { ruleFiles, progress, build } = options;
  const tree = createMountedTree(options.tree ?? openWorkTree(workspace.root));
  const said = new Set<string>();
  const say = (line: string) => {
    if (said.has(line)) return;
    said.add(line);
    progress?.say(line);
  };
  const built: BuiltIncludes | undefined = build && { texts: new Map(), folders: new Map() };
  const open = (preloads: boolean) => new PackageLoader(workspace, { ruleFiles, tree, say, built, preloads });
  let whole: PackageLoader | undefined;
  let bare: PackageLoader | undefined;
  const main = () => (whole ??= open(true));
  // What every BUILD file includes is built without it.
  const forBuilding = () => {
    if (whole !== undefined) return whole;
    bare ??= open(false);
    return bare;
  };

  const attempt = async <T>(
    loader: () => PackageLoader,
    body: (loader: PackageLoader) => T,
    path: readonly Label[],
  ): Promise<T> => {
    for (let again = false; ; ) {
      try {
        return body(loader());
      } catch (error) {
        if (!(error instanceof BuildNeeded)) throw error;
        // The package of what is to be built needs that itself: what it made before counts.
        const isOwn = error.label === path.at(-1) && loader().unfinished.has(splitLabel(error.label).package);
        if (isOwn && !again) {
          again = true;
          continue;
        }
        await provide(error, path);
      }
    }
  };

  const provide = async (needed: BuildNeeded, path: readonly Label[]): Promise<void> => {
    const { label, subrepo } = needed;
    if (subrepo === undefined) built!.texts.set(label, await madeOf(needed, path, (request) => build!.texts(request)));
    else built!.folders.set(label, await madeOf(needed, path, (request) => build!.folder(request)));
  };

  const madeOf = async <T>(
    { label, place, subrepo }: BuildNeeded,
    path: readonly Label[],
    make: (request: BuildRequest) => Promise<T>,
  ): Promise<T | GraphFault> => {
    const what = subrepo === undefined ? `${label} can't be included` : `the subrepo ${subrepo} can't be made`;
    if (path.includes(label)) {
      if (subrepo !== undefined) {
        return new GraphFault('graph/cycle', `the subrepo ${subrepo} is needed to make ${label}, which makes it`, {
          place,
          notes: [[...path.slice(path.indexOf(label)), label].join(' needs ')],
          next: `take what ${label} is made of out of the subrepo, or what includes files of the subrepo out of that package`,
        });
      }
      return new GraphFault('graph/cycle', `${label} can't be included by what it is made of`, {
        place,
        notes: [[...path.slice(path.indexOf(label)), label].join(' needs ')],
        next: 'include it elsewhere, or take what it is made of out of that package',
      });
    }
    try {
      const graph = await attempt(forBuilding, (loader) => graphOf(loader, label), [...path, label]);
      if (!graph.targets.has(label)) {
        throw new GraphFault('graph/missing-target', `there is no target ${label}`, { place });
      }
      return await make({ graph, label, progress });
    } catch (error) {
      if (!isFault(error)) throw error;
      return new GraphFault('graph/subinclude', `${what}: ${error.message}`, {
        place,
        related: [
          ...(error.place === undefined ? [] : [{ message: 'the reason', place: error.place }]),
          ...error.related,
        ],
        notes: error.notes,
        next: error.next,
        cause: error,
        others: error.others,
      });
    }
  };

  /** What one target reaches: what is wrong elsewhere does not matter. */
  const graphOf = (loader: PackageLoader, label: Label): Graph => {
    const reached = reachedBy(loader, [label], true);
    const named = [...reached.targets.values()].flatMap((target) => dependenciesOf(target).map((each) => each.label));
    const packages = new Set([label, ...named].map((each) => splitLabel(each).package));
    const faults = [...packages].flatMap((name) => loader.faults.get(name) ?? []);
    return checkedGraph({ workspace, tree }, loader, reached, faults);
  };

  return { workspace, tree, attempt: (body) => attempt(main, body, []) };
}

function checkedGraph(
  { workspace, tree }: Pick<Evaluation, 'workspace' | 'tree'>,
  loader: PackageLoader,
  { packages, targets }: Reached,
  found: readonly LoadFault[],
  keepGoing?: LoadOptions['keepGoing'],
): Graph {
  const broken = new Set(loader.faults.keys());
  const made = (name: string) => packages.get(name)?.targets.values() ?? [];
  const faults = [...found, ...checkTargets({ targets, tree, buildFiles: workspace.buildFiles, broken, made })];
  if (faults.length > 0) {
    const all = joinFaults(faults);
    if (keepGoing === undefined) throw all;
    keepGoing(all);
    return Object.freeze({ workspace, tree, packages, targets });
  }
  const graph: Graph = { workspace, tree, packages, targets };
  const isFixed = [...targets.values()].every(({ postBuild }) => postBuild === undefined);
  return Object.freeze(isFixed ? graph : { ...graph, grow: () => growTargets(graph, loader) });
}

/** Labels that a pattern of a person selects. @throws GraphFault where it selects nothing that exists */
function wantedLabels(loader: PackageLoader, pattern: LabelPattern): Label[] {
  if (pattern.kind === 'below') {
    const names = loader.find(pattern.package);
    if (names.length === 0 && pattern.package !== '') throw noPackage(loader, pattern, pattern.package);
    return names.flatMap((name) => [...(loader.load(name)?.targets.values() ?? [])].map(({ label }) => label));
  }
  const { package: packageName, name } =
    pattern.kind === 'target' ? splitLabel(pattern.label) : { ...pattern, name: undefined };
  const loaded = loader.load(packageName);
  if (loaded === undefined) {
    // The reason is among the loader's faults.
    if (loader.faults.has(packageName)) return [];
    throw noPackage(loader, pattern, packageName);
  }
  const all = [...loaded.targets.values()].map(({ label }) => label);
  if (pattern.kind === 'package') return all;
  if (name !== undefined && loaded.targets.has(name)) return [pattern.label];
  const near = nearestLabel(pattern.label, new Map(all.map((label) => [label, true])));
  const lock = lockAdvice(pattern.label, loaded.targets.values());
  const others = `${loaded.file} makes ${all.filter((label) => !splitLabel(label).name.startsWith('_')).join(', ') || 'no targets'}`;
  throw new GraphFault('graph/missing-target', `there is no target ${pattern.label}`, {
    place: { file: loaded.file },
    notes: lock === undefined ? [] : [near === undefined ? others : `or ${lock}`],
    next: near === undefined ? (lock ?? others) : `did you mean ${near}?`,
  });
}

function noPackage(loader: PackageLoader, pattern: LabelPattern, packageName: string): GraphFault {
  const built = builtPartOf(packageName);
  const near = nearest(packageName, loader.find(built === undefined ? '' : builtFolderOf(built.subrepo)));
  const without =
    built === undefined
      ? `create //${packageName} by a BUILD file in that folder`
      : `look at the files of the subrepo ${built.subrepo}: it has no BUILD file in ${built.below || 'its root'}`;
  return new GraphFault(
    'graph/missing-package',
    `${formatPattern(pattern)} selects nothing: there is no package ${packageLabel(packageName)}`,
    { next: near === undefined ? without : `did you mean ${packageLabel(near)}?` },
  );
}
