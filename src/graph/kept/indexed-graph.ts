import type { Reading } from '../evaluate/record.ts';
import type { SourceTree } from '../files/tree.ts';
import { combinedHash, definitionHash, dependencyLine } from '../hash/hash.ts';
import type { Graph } from '../load/load.ts';
import { indexTargets, type NumberLists, type TargetIndex } from '../load/target-index.ts';
import type { Label, Package } from '../types.ts';

/** Bytes of one hash. */
export const hashLength = 32;

/** What the evaluation of a package looked at beyond its own folder, see `Reading`. */
export interface PackageReading {
  readonly files: readonly string[];
  readonly packages: readonly string[];
  readonly said: readonly string[];
}

/**
 * A whole graph with the hashes of its targets and with what its packages looked at: enough to be kept, and to have another
 * state of the files evaluated in its light.
 */
export interface IndexedGraph extends TargetIndex {
  readonly packages: ReadonlyMap<string, Package>;
  /** The name of each package with the position of its first target; packages are in order. */
  readonly firsts: ReadonlyMap<string, number>;
  /** By position, `hashLength` bytes each: hashes of the targets' own parts, see `definitionHash`. */
  readonly definitions: Buffer;
  /** The same of the targets themselves. */
  readonly hashes: Buffer;
  readonly readings: ReadonlyMap<string, PackageReading>;
  /** What every package depends on. */
  readonly everywhere: PackageReading;
  /** Whether each package stands on its own, see `PackageLoader.isSeparable`. */
  readonly separable: boolean;
  /** Files that were looked at and that git doesn't tell of by itself, with what they were. */
  readonly extra: readonly (readonly [path: string, hash: string | null])[];
  /** A package's targets as they are kept, where it was read from there. */
  readonly kept?: (packageName: string) => Buffer | undefined;
}

export interface HashedTargets {
  readonly targets: Graph['targets'];
  readonly hash: (label: Label) => string;
}

/** The hash of a target, in hex, by its label. */
export function hashOf(graph: Pick<IndexedGraph, 'positions' | 'hashes'>): (label: Label) => string {
  return (label) => {
    const at = graph.positions.get(label)! * hashLength;
    return graph.hashes.toString('hex', at, at + hashLength);
  };
}

type Hashes = Pick<IndexedGraph, 'hashes'>;

/** Whether targets of two graphs, by their positions, have one hash. */
export function hasSameHash(one: Hashes, position: number, other: Hashes, otherPosition: number): boolean {
  const [at, otherAt] = [position * hashLength, otherPosition * hashLength];
  return one.hashes.compare(other.hashes, otherAt, otherAt + hashLength, at, at + hashLength) === 0;
}

/** Everything that evaluation had to say, in the order of packages. */
export function linesSaid(graph: Pick<IndexedGraph, 'everywhere' | 'readings' | 'packages'>): string[] {
  const lines = new Set(graph.everywhere.said);
  for (const name of graph.packages.keys()) for (const line of graph.readings.get(name)?.said ?? []) lines.add(line);
  return [...lines];
}

/** @param readings of the packages' evaluation */
export function indexGraph(
  graph: Graph,
  readings: { readonly everywhere: Reading; readonly packages: ReadonlyMap<string, Reading> },
  separable: boolean,
  extra: IndexedGraph['extra'],
): IndexedGraph {
  const index = indexTargets(graph.targets);
  const definitions = Buffer.alloc(index.labels.length * hashLength);
  let position = 0;
  const firsts = new Map<string, number>();
  for (const { name, targets } of graph.packages.values()) {
    firsts.set(name, position);
    for (const target of targets.values()) {
      definitions.write(definitionHash(graph, target), position++ * hashLength, 'hex');
    }
  }
  const hashes = Buffer.alloc(definitions.length);
  combine(index, definitions, hashes, index.labels.keys(), new Uint8Array(index.labels.length));
  return {
    ...index,
    packages: graph.packages,
    firsts,
    definitions,
    hashes,
    readings: new Map([...readings.packages].map(([name, reading]) => [name, plainReading(reading)])),
    everywhere: plainReading(readings.everywhere),
    separable,
    extra,
  };
}

export function plainReading(reading: Reading): PackageReading {
  return { files: [...reading.files], packages: [...reading.packages], said: reading.said };
}

/**
 * Fills in the hashes of targets, dependencies first, with a stack of its own.
 *
 * @param known by position: 1 where `hashes` has the hash already
 */
export function combine(
  { labels, needs }: { readonly labels: readonly Label[]; readonly needs: NumberLists },
  definitions: Buffer,
  hashes: Buffer,
  wanted: Iterable<number>,
  known: Uint8Array,
): void {
  const hex = (from: Buffer, position: number) =>
    from.toString('hex', position * hashLength, (position + 1) * hashLength);
  const stack: number[] = [];
  for (const each of wanted) {
    if (known[each] === 1) continue;
    stack.push(each);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const before = stack.length;
      for (const need of needs.of(top)) if (known[need] === 0) stack.push(need);
      if (stack.length > before) continue;
      stack.pop();
      if (known[top] === 1) continue;
      const lines: string[] = [];
      for (const need of needs.of(top)) lines.push(dependencyLine(labels[need]!, hex(hashes, need)));
      hashes.write(combinedHash(hex(definitions, top), lines), top * hashLength, 'hex');
      known[top] = 1;
    }
  }
}

/** Whether the files that git doesn't tell of by itself are as they were. */
export function isStillSo({ extra }: Pick<IndexedGraph, 'extra'>, tree: SourceTree): boolean {
  return extra.every(([path, hash]) => (tree.contentHash(path) ?? null) === hash);
}
