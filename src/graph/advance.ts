import { checkDependencies, checkFiles, checkOutputs, findCycles } from './check.ts';
import { filesOf } from './dependency.ts';
import { buildFileOf } from './glob.ts';
import { definitionHash } from './hash.ts';
import { combine, hashLength, type IndexedGraph, type PackageReading, plainReading } from './indexed-graph.ts';
import { splitLabel } from './label.ts';
import { LazyMap } from './lazy-map.ts';
import { createMountedTree } from './mounted-tree.ts';
import { PackageLoader } from './packages.ts';
import { childPath, lastPart, parentPath } from './paths.ts';
import { joinFaults } from './place.ts';
import { NumberLists, neighboursOf } from './target-index.ts';
import type { SourceTree } from './tree.ts';
import type { Label, Package, RuleFile, Target, Workspace } from './types.ts';

export interface AdvanceOptions {
  readonly ruleFiles: readonly RuleFile[];
  readonly say: (line: string) => void;
  /**
   * The files now. It is asked for once it is known what will be looked at.
   *
   * @param folders where packages will be evaluated and files hashed
   */
  readonly open: (folders: readonly string[]) => SourceTree | Promise<SourceTree>;
}

/** An advanced graph, and how much of it was evaluated. */
export interface Advanced {
  readonly graph: IndexedGraph;
  readonly tree: SourceTree;
  readonly evaluated: number;
}

/**
 * The graph of another state of the same files: packages whose evaluation looked at what differs are evaluated again, targets
 * that something new reaches are hashed and checked again. The result is what evaluation of everything would give.
 *
 * @param difference paths that differ, and whether there was and is a plain file
 * @returns undefined where everything has to be evaluated
 * @throws GraphFault | LanguageFault as loadGraph
 */
export async function advance(
  workspace: Workspace,
  before: IndexedGraph,
  difference: ReadonlyMap<string, boolean>,
  options: AdvanceOptions,
): Promise<Advanced | undefined> {
  if (!before.separable) return undefined;
  const outdated = outdatedPackages(workspace, before, difference);
  if (outdated === undefined) return undefined;
  const folders = [...new Set([...outdated.evaluate, ...outdated.hash, ...[...difference.keys()].map(parentPath)])];
  const tree = await options.open(folders);
  const { buildFiles } = workspace;

  const loader = new PackageLoader(workspace, {
    ruleFiles: options.ruleFiles,
    tree: createMountedTree(tree),
    say: options.say,
  });
  const loaded = new Map<string, Package>();
  for (const name of outdated.evaluate) {
    const found = isPackage(workspace, tree, name) ? loader.load(name) : undefined;
    if (found !== undefined) loaded.set(name, found);
  }
  if (!loader.isSeparable) return undefined;

  const names = packageNames(before, outdated.evaluate, loaded);
  const numbered = renumber(before, names, loaded);
  const { labels, positions, firsts, moved } = numbered;
  const packageOf = (name: string) => loaded.get(name) ?? (firsts.has(name) ? before.packages.get(name) : undefined);
  const targetOf = (label: Label): Target | undefined => {
    if (!positions.has(label)) return undefined;
    const { package: packageName, name } = splitLabel(label);
    return packageOf(packageName)?.targets.get(name);
  };
  const packages = new LazyMap(firsts, packageOf);
  const targets = new LazyMap(positions, targetOf);

  // What depends on a target that looks otherwise from outside: its own definition is as before, what that means is not.
  const evaluated = [...loaded.values()].flatMap((each) => [...each.targets.values()]);
  const reconsidered = dependantsOf(before, reshaped(before, outdated.evaluate, loaded))
    .map((position) => targetOf(before.labels[position]!))
    .filter((target) => target !== undefined && !loaded.has(target.package)) as Target[];

  const broken = new Set(loader.faults.keys());
  const made = (name: string) => packageOf(name)?.targets.values() ?? [];
  const checked = { targets, tree, buildFiles, broken, made };
  const faults = [
    ...loader.faults.values(),
    ...[...evaluated, ...reconsidered].flatMap((target) => checkDependencies(checked, target)),
    ...evaluated.flatMap((target) => checkFiles(checked, target)),
    ...checkOutputs(besideOutputs(packages, names, loaded)),
  ];
  const renewed = new Map<number, Target>();
  for (const target of [...evaluated, ...reconsidered]) renewed.set(positions.get(target.label)!, target);
  const neighbours = new Map(
    [...renewed].map(([position, target]) => [position, neighboursOf(targets, positions, target)]),
  );
  const needs = carryLists(before.needs, moved, labels.length, neighbours, (each) => each.needs);
  const otherNames = carryLists(before.names, moved, labels.length, neighbours, (each) => each.names);
  const index = { targets, labels, positions, needs, names: otherNames };
  faults.push(...findCycles(index, renewed.keys()));
  if (faults.length > 0) throw joinFaults(faults);

  const definitions = carryHashes(before.definitions, moved, labels.length);
  const hashes = carryHashes(before.hashes, moved, labels.length);
  const changed = new Set(renewed.keys());
  for (const name of new Set([...loaded.keys(), ...outdated.hash])) {
    for (const target of packageOf(name)?.targets.values() ?? []) {
      const position = positions.get(target.label)!;
      const at = position * hashLength;
      const now = definitionHash({ tree, targets }, target);
      if (definitions.toString('hex', at, at + hashLength) === now) continue;
      definitions.write(now, at, 'hex');
      changed.add(position);
    }
  }
  const known = new Uint8Array(labels.length).fill(1);
  const dependants = needs.reversed();
  const pending = [...changed];
  for (const position of pending) known[position] = 0;
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const dependant of dependants.of(at)) {
      if (known[dependant] === 0) continue;
      known[dependant] = 0;
      pending.push(dependant);
    }
  }
  combine({ labels, needs }, definitions, hashes, labels.keys(), known);

  const readings = new Map<string, PackageReading>();
  for (const name of loaded.keys()) readings.set(name, plainReading(loader.recorder.packages.get(name)!));
  const graph: IndexedGraph = {
    ...index,
    packages,
    firsts,
    definitions,
    hashes,
    readings: new LazyMap(firsts, (name) => readings.get(name) ?? before.readings.get(name)),
    everywhere: before.everywhere,
    separable: true,
    extra: extraNow(before, evaluated, loader, tree),
    kept: (name) => (loaded.has(name) ? undefined : before.kept?.(name)),
  };
  return { graph, tree, evaluated: loaded.size };
}

/** Evaluating more than this part of the packages again costs as much as evaluating all. */
const worthwhile = 0.25;
/** In small graphs any number is worthwhile. */
const alwaysWorthwhile = 200;

interface Outdated {
  /** Packages to be evaluated again, or for the first time, or that are gone. */
  readonly evaluate: ReadonlySet<string>;
  /** Packages whose files differ, though evaluation can't see that. */
  readonly hash: ReadonlySet<string>;
}

function outdatedPackages(
  { buildFiles }: Workspace,
  { firsts, readings, everywhere }: IndexedGraph,
  difference: ReadonlyMap<string, boolean>,
): Outdated | undefined {
  if (everywhere.files.some((path) => difference.has(path))) return undefined;
  const evaluate = new Set<string>();
  const hash = new Set<string>();
  /** Paths that came or went or became of another kind: with them all that is below. */
  const roots = new Set<string>();
  for (const [path, sameKind] of difference) {
    const name = lastPart(path);
    // What is listed at all may differ anywhere below.
    if (name === '.gitignore' || name === '.gitmodules') return undefined;
    if (buildFiles.includes(name)) evaluate.add(parentPath(path));
    if (!sameKind) roots.add(path);
    for (let folder = path; folder !== ''; ) {
      folder = parentPath(folder);
      if (!firsts.has(folder)) continue;
      if (sameKind) hash.add(folder);
      else evaluate.add(folder);
    }
  }
  for (const name of firsts.keys()) {
    if (roots.size > 0 && liesIn(roots, name)) evaluate.add(name);
  }
  const lookers = new Map<string, string[]>();
  for (const name of firsts.keys()) {
    const { files, packages } = readings.get(name) ?? none;
    if (files.some((path) => difference.has(path))) evaluate.add(name);
    for (const other of packages) {
      const known = lookers.get(other);
      if (known === undefined) lookers.set(other, [name]);
      else known.push(name);
    }
  }
  for (const name of evaluate) for (const looker of lookers.get(name) ?? []) evaluate.add(looker);
  if (everywhere.packages.some((name) => evaluate.has(name))) return undefined;
  if (evaluate.size > Math.max(alwaysWorthwhile, firsts.size * worthwhile)) return undefined;
  return { evaluate, hash };
}

const none: PackageReading = { files: [], packages: [], said: [] };

function liesIn(roots: ReadonlySet<string>, path: string): boolean {
  for (let at = path; at !== ''; at = parentPath(at)) if (roots.has(at)) return true;
  return false;
}

/** Whether a search for packages from the root finds one there. */
function isPackage({ buildFiles, please }: Workspace, tree: SourceTree, name: string): boolean {
  const ignored = please?.ignoredFolders ?? [];
  if (ignored.some((each) => name === each || name.startsWith(`${each}/`))) return false;
  for (let folder = name; folder !== ''; folder = parentPath(folder)) {
    const entry = tree.list(parentPath(folder)).find((each) => each.name === lastPart(folder));
    if (entry?.kind !== 'folder') return false;
  }
  return buildFileOf(tree, name, buildFiles) !== undefined;
}

/** Names of all packages, in order. */
function packageNames(
  { firsts }: IndexedGraph,
  evaluate: ReadonlySet<string>,
  loaded: ReadonlyMap<string, Package>,
): readonly string[] {
  const names = [...firsts.keys()].filter((name) => !evaluate.has(name) || loaded.has(name));
  const added = [...loaded.keys()].filter((name) => !firsts.has(name));
  return added.length === 0 ? names : [...names, ...added].sort();
}

interface Numbered {
  readonly labels: Label[];
  readonly positions: Map<Label, number>;
  readonly firsts: Map<string, number>;
  /** The position of each former target now; -1 where it is gone. */
  readonly moved: Int32Array;
}

function renumber(before: IndexedGraph, names: readonly string[], loaded: ReadonlyMap<string, Package>): Numbered {
  const labels: Label[] = [];
  const positions = new Map<Label, number>();
  const firsts = new Map<string, number>();
  const moved = new Int32Array(before.labels.length).fill(-1);
  const ends = endsOf(before);
  const add = (label: Label, former: number | undefined) => {
    if (former !== undefined) moved[former] = labels.length;
    positions.set(label, labels.length);
    labels.push(label);
  };
  for (const name of names) {
    firsts.set(name, labels.length);
    const made = loaded.get(name);
    if (made !== undefined) {
      for (const { label } of made.targets.values()) add(label, before.positions.get(label));
      continue;
    }
    const end = ends.get(name)!;
    for (let position = before.firsts.get(name)!; position < end; position++) add(before.labels[position]!, position);
  }
  return { labels, positions, firsts, moved };
}

/** One behind the position of each package's last target. */
function endsOf({ firsts, labels }: IndexedGraph): Map<string, number> {
  const ends = new Map<string, number>();
  let open: string | undefined;
  for (const [name, first] of firsts) {
    if (open !== undefined) ends.set(open, first);
    open = name;
  }
  if (open !== undefined) ends.set(open, labels.length);
  return ends;
}

/** Former positions of targets that are gone, or that dependants see in another way. */
function reshaped(before: IndexedGraph, evaluate: ReadonlySet<string>, loaded: ReadonlyMap<string, Package>): number[] {
  const seen = (target: Target) =>
    JSON.stringify([target.visibility, target.testOnly, target.provides, Object.keys(target.namedOuts).sort()]);
  const found: number[] = [];
  for (const name of evaluate) {
    for (const former of before.firsts.has(name) ? before.packages.get(name)!.targets.values() : []) {
      const now = loaded.get(name)?.targets.get(former.name);
      if (now === undefined || seen(now) !== seen(former)) found.push(before.positions.get(former.label)!);
    }
  }
  return found;
}

/** Former positions of all that need or name some of these. */
function dependantsOf({ needs, names }: IndexedGraph, positions: readonly number[]): number[] {
  if (positions.length === 0) return [];
  const wanted = new Set(positions);
  const found: number[] = [];
  const count = needs.starts.length - 1;
  for (let position = 0; position < count; position++) {
    if (needs.of(position).some((each) => wanted.has(each)) || names.of(position).some((each) => wanted.has(each))) {
      found.push(position);
    }
  }
  return found;
}

/** Targets of all packages whose outputs could get in the way of those of the evaluated ones. */
function* besideOutputs(
  packages: ReadonlyMap<string, Package>,
  names: readonly string[],
  loaded: ReadonlyMap<string, Package>,
): Generator<Target> {
  const beside = new Set(loaded.keys());
  const outs = new Set<string>();
  for (const { name, targets } of loaded.values()) {
    for (let folder = name; folder !== ''; folder = parentPath(folder)) beside.add(parentPath(folder));
    for (const target of targets.values()) {
      for (const out of target.outs) {
        const path = childPath(name, out);
        outs.add(path);
        for (let folder = parentPath(path); folder !== name && folder !== ''; folder = parentPath(folder)) {
          beside.add(folder);
        }
      }
    }
  }
  // An output where another needs a folder: a package's own, or one on the way to it.
  for (const name of names) if (liesIn(outs, name)) beside.add(name);
  for (const name of names) if (beside.has(name)) yield* packages.get(name)!.targets.values();
}

function carryHashes(hashes: Buffer, moved: Int32Array, count: number): Buffer {
  const carried = Buffer.alloc(count * hashLength);
  moved.forEach((position, former) => {
    if (position === -1) return;
    carried.set(hashes.subarray(former * hashLength, (former + 1) * hashLength), position * hashLength);
  });
  return carried;
}

interface Neighbours {
  readonly needs: readonly number[];
  readonly names: readonly number[];
}

function carryLists(
  lists: NumberLists,
  moved: Int32Array,
  count: number,
  renewed: ReadonlyMap<number, Neighbours>,
  pick: (neighbours: Neighbours) => readonly number[],
): NumberLists {
  const sizes = new Uint32Array(count);
  const former = new Int32Array(count).fill(-1);
  moved.forEach((position, each) => {
    if (position === -1) return;
    former[position] = each;
    sizes[position] = lists.end(each) - lists.start(each);
  });
  for (const [position, neighbours] of renewed) sizes[position] = pick(neighbours).length;
  const starts = new Uint32Array(count + 1);
  for (let position = 0; position < count; position++) starts[position + 1] = starts[position]! + sizes[position]!;
  const values = new Uint32Array(starts[count]!);
  for (let position = 0; position < count; position++) {
    let at = starts[position]!;
    const own = renewed.get(position);
    if (own !== undefined) {
      for (const value of pick(own)) values[at++] = value;
      continue;
    }
    const each = former[position]!;
    for (let place = lists.start(each); place < lists.end(each); place++) values[at++] = moved[lists.at(place)]!;
  }
  return new NumberLists(starts, values);
}

/** Files that git doesn't tell of: those known, as they are now, and those of the evaluated packages. */
function extraNow(
  before: IndexedGraph,
  evaluated: readonly Target[],
  loader: PackageLoader,
  tree: SourceTree,
): IndexedGraph['extra'] {
  const paths = new Set(before.extra.map(([path]) => path));
  for (const path of lookedAt(evaluated, loader.recorder.packages.values())) {
    if (!tree.isTracked(path)) paths.add(path);
  }
  return [...paths].map((path) => [path, tree.contentHash(path) ?? null]);
}

/** All files that targets and evaluations have looked at. */
export function* lookedAt(
  targets: Iterable<Target>,
  readings: Iterable<{ readonly files: Iterable<string> }>,
): Generator<string> {
  for (const target of targets) yield* filesOf(target);
  for (const { files } of readings) yield* files;
}
