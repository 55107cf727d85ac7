import { filesOf } from '../evaluate/dependency.ts';
import type { SourceTree } from '../files/tree.ts';
import { definitionHash } from '../hash/hash.ts';
import { lastPart, liesIn, parentPath } from '../paths.ts';
import type { Package, RuleFile, Target, Workspace } from '../types.ts';
import type { EvaluatedAgain } from './evaluate-again.ts';
import { combine, hashLength, type IndexedGraph, type PackageReading } from './indexed-graph.ts';
import { LazyMap } from './lazy-map.ts';

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
  const evaluated =
    outdated.evaluate.size === 0
      ? unchanged(before)
      : // Where only files differ that builds read, nothing is loaded that evaluates.
        await (await import('./evaluate-again.ts')).evaluateAgain(workspace, before, outdated.evaluate, tree, options);
  if (evaluated === undefined) return undefined;
  const { index, packages, firsts, moved, loaded, renewed, readings } = evaluated;
  const { labels, positions, needs, targets } = index;

  const definitions = carryHashes(before.definitions, moved, labels.length);
  const hashes = carryHashes(before.hashes, moved, labels.length);
  const changed = new Set(renewed);
  for (const name of new Set([...loaded.keys(), ...outdated.hash])) {
    for (const target of packages.get(name)?.targets.values() ?? []) {
      const position = positions.get(target.label)!;
      const at = position * hashLength;
      const now = definitionHash({ tree, targets }, target);
      if (definitions.toString('hex', at, at + hashLength) === now) continue;
      definitions.write(now, at, 'hex');
      changed.add(position);
    }
  }
  const known = new Uint8Array(labels.length).fill(1);
  const dependants = changed.size === 0 ? undefined : needs.reversed();
  const pending = [...changed];
  for (const position of pending) known[position] = 0;
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const dependant of dependants!.of(at)) {
      if (known[dependant] === 0) continue;
      known[dependant] = 0;
      pending.push(dependant);
    }
  }
  combine({ labels, needs }, definitions, hashes, labels.keys(), known);

  const graph: IndexedGraph = {
    ...index,
    packages,
    firsts,
    definitions,
    hashes,
    readings: new LazyMap(firsts, (name) => readings.get(name) ?? before.readings.get(name)),
    everywhere: before.everywhere,
    separable: true,
    extra: extraNow(before, loaded, readings, tree),
    kept: (name) => (loaded.has(name) ? undefined : before.kept?.(name)),
  };
  return { graph, tree, evaluated: loaded.size };
}

function unchanged({ targets, labels, positions, needs, names, packages, firsts }: IndexedGraph): EvaluatedAgain {
  const index = { targets, labels, positions, needs, names };
  return { index, packages, firsts, moved: undefined, loaded: new Map(), renewed: [], readings: new Map() };
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

function carryHashes(hashes: Buffer, moved: Int32Array | undefined, count: number): Buffer {
  if (moved === undefined) return Buffer.from(hashes);
  const carried = Buffer.alloc(count * hashLength);
  moved.forEach((position, former) => {
    if (position !== -1) hashes.copy(carried, position * hashLength, former * hashLength, (former + 1) * hashLength);
  });
  return carried;
}

/** Files that git doesn't tell of: those known, as they are now, and those of the evaluated packages. */
function extraNow(
  before: IndexedGraph,
  loaded: ReadonlyMap<string, Package>,
  readings: ReadonlyMap<string, PackageReading>,
  tree: SourceTree,
): IndexedGraph['extra'] {
  const paths = new Set(before.extra.map(([path]) => path));
  const evaluated = [...loaded.values()].flatMap((each) => [...each.targets.values()]);
  for (const path of lookedAt(evaluated, readings.values())) if (!tree.isTracked(path)) paths.add(path);
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
