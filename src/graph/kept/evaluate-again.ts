import { PackageLoader } from '../evaluate/packages.ts';
import { joinFaults } from '../evaluate/place.ts';
import { buildFileOf } from '../files/glob.ts';
import { createMountedTree } from '../files/mounted-tree.ts';
import type { SourceTree } from '../files/tree.ts';
import { checkDependencies, checkFiles, checkOutputs, findCycles } from '../load/check.ts';
import { NumberLists, neighboursOf, type TargetIndex } from '../load/target-index.ts';
import { splitLabel } from '../names/label.ts';
import { childPath, lastPart, liesIn, parentPath } from '../paths.ts';
import type { Label, Package, RuleFile, Target, Workspace } from '../types.ts';
import { type IndexedGraph, type PackageReading, plainReading } from './indexed-graph.ts';
import { LazyMap } from './lazy-map.ts';

/** What a graph has become by evaluating some of its packages again. Nothing is hashed yet. */
export interface EvaluatedAgain {
  readonly index: TargetIndex;
  readonly packages: ReadonlyMap<string, Package>;
  readonly firsts: ReadonlyMap<string, number>;
  /** The position of each former target now, -1 where it is gone; undefined where all stand where they stood. */
  readonly moved: Int32Array | undefined;
  /** The packages that were evaluated, and are still there. */
  readonly loaded: ReadonlyMap<string, Package>;
  /** Positions of targets that something new may reach. */
  readonly renewed: Iterable<number>;
  /** Of the evaluated packages. */
  readonly readings: ReadonlyMap<string, PackageReading>;
}

/**
 * Some packages evaluated again, with all others as they were. What is new, and what depends on what looks otherwise from outside, is
 * checked.
 *
 * @param names of the packages; those that are no more are left out of the graph
 * @returns undefined where everything has to be evaluated
 * @throws GraphFault | LanguageFault as loadGraph
 */
export async function evaluateAgain(
  workspace: Workspace,
  before: IndexedGraph,
  outdated: ReadonlySet<string>,
  tree: SourceTree,
  options: { readonly ruleFiles: readonly RuleFile[]; readonly say: (line: string) => void },
): Promise<EvaluatedAgain | undefined> {
  const { buildFiles } = workspace;
  const loader = new PackageLoader(workspace, {
    ruleFiles: options.ruleFiles,
    tree: createMountedTree(tree),
    say: options.say,
  });
  const loaded = new Map<string, Package>();
  for (const name of outdated) {
    const found = isPackage(workspace, tree, name) ? loader.load(name) : undefined;
    if (found !== undefined) loaded.set(name, found);
  }
  if (!loader.isSeparable) return undefined;

  const names = packageNames(before, outdated, loaded);
  const { labels, positions, firsts, moved } = hasSameTargets(before, outdated, loaded)
    ? { ...before, moved: undefined }
    : renumber(before, names, loaded);
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
  const reconsidered = dependantsOf(before, reshaped(before, outdated, loaded))
    .map((position) => targetOf(before.labels[position]!))
    .filter((target) => target !== undefined && !loaded.has(target.package)) as Target[];

  const broken = new Set(loader.faults.keys());
  const made = (name: string) => packageOf(name)?.targets.values() ?? [];
  const checked = { targets, tree, buildFiles, broken, made };
  const faults = [
    ...loader.faults.values(),
    ...[...evaluated, ...reconsidered].flatMap((target) => checkDependencies(checked, target)),
    ...evaluated.flatMap((target) => checkFiles(checked, target)),
    ...checkOutputs(besideOutputs(packages, names, loaded), targetOf),
  ];
  const neighbours = new Map(
    [...evaluated, ...reconsidered].map((target) => [
      positions.get(target.label)!,
      neighboursOf(targets, positions, target),
    ]),
  );
  const index = {
    targets,
    labels,
    positions,
    needs: carryLists(before.needs, moved, labels.length, neighbours, (each) => each.needs),
    names: carryLists(before.names, moved, labels.length, neighbours, (each) => each.names),
  };
  faults.push(...findCycles(index, neighbours.keys()));
  if (faults.length > 0) throw joinFaults(faults);
  const readings = new Map([...loaded.keys()].map((name) => [name, plainReading(loader.recorder.packages.get(name)!)]));
  return { index, packages, firsts, moved, loaded, renewed: neighbours.keys(), readings };
}

/** Whether the evaluated packages are all there with the targets that they had, in the same order. */
function hasSameTargets(
  before: IndexedGraph,
  outdated: ReadonlySet<string>,
  loaded: ReadonlyMap<string, Package>,
): boolean {
  const ends = endsOf(before);
  return [...outdated].every((name) => {
    const [first, end, now] = [before.firsts.get(name), ends.get(name), loaded.get(name)];
    if (first === undefined || now === undefined) return first === undefined && now === undefined;
    let at = first;
    for (const { label } of now.targets.values()) if (at === end || before.labels[at++] !== label) return false;
    return at === end;
  });
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
  readonly labels: readonly Label[];
  readonly positions: ReadonlyMap<Label, number>;
  readonly firsts: ReadonlyMap<string, number>;
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

interface Neighbours {
  readonly needs: readonly number[];
  readonly names: readonly number[];
}

function carryLists(
  lists: NumberLists,
  moved: Int32Array | undefined,
  count: number,
  renewed: ReadonlyMap<number, Neighbours>,
  pick: (neighbours: Neighbours) => readonly number[],
): NumberLists {
  if (moved === undefined) {
    const isSame = ([position, neighbours]: [number, Neighbours]) => {
      const [was, is] = [lists.of(position), pick(neighbours)];
      return was.length === is.length && is.every((each, at) => each === was[at]);
    };
    if ([...renewed].every(isSame)) return lists;
  }
  const sizes = new Uint32Array(count);
  const former = new Int32Array(count).fill(-1);
  const size = lists.starts.length - 1;
  for (let each = 0; each < size; each++) {
    const position = moved === undefined ? each : moved[each]!;
    if (position === -1) continue;
    former[position] = each;
    sizes[position] = lists.end(each) - lists.start(each);
  }
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
    for (let place = lists.start(each); place < lists.end(each); place++) {
      const value = lists.at(place);
      values[at++] = moved === undefined ? value : moved[value]!;
    }
  }
  return new NumberLists(starts, values);
}
