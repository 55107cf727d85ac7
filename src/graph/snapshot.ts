import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import { decodeTargets, encodeTargets } from './encode-target.ts';
import { splitLabel } from './label.ts';
import type { Graph } from './load.ts';
import type { SourceTree } from './tree.ts';
import type { Label, Package, Target } from './types.ts';

/**
 * A graph on the disk: names of packages and targets and the hashes of targets at once, the targets themselves as they are
 * asked for. The file: length of the header (4 bytes), the header (JSON), 32 bytes of hash for each target, the packages.
 */
interface Header {
  readonly format: typeof format;
  readonly packages: readonly (readonly [name: string, file: string, length: number, targets: readonly string[]])[];
  /** Files beside those that the state speaks of, with what they were: `undefined` in JSON is null. */
  readonly extra: readonly (readonly [path: string, hash: string | null])[];
  readonly said: readonly string[];
}

const format = 'banksman graph 1';
const hashLength = 32;
/** Snapshots kept of one workspace. Those not used for longest go. */
const kept = 24;

/** A kept graph. Its targets are decoded when they are asked for. */
export interface Snapshot {
  readonly packages: Graph['packages'];
  readonly targets: Graph['targets'];
  readonly hash: (label: Label) => string;
  /** What evaluation had to say. */
  readonly said: readonly string[];
  /** Whether the files that the state of the tree says nothing of are as they were. */
  isStillSo(tree: SourceTree): boolean;
  /** Whether there are such files. */
  readonly needsTree: boolean;
}

/**
 * @param place the file
 * @param source gives the text of a BUILD file, for the places of faults
 * @returns undefined where there is none that can be read
 */
export function readSnapshot(place: string, source: (file: string) => string | undefined): Snapshot | undefined {
  let data: Buffer;
  let header: Header;
  let start: number;
  try {
    data = readFileSync(place);
    start = 4 + data.readUInt32LE(0);
    header = JSON.parse(data.toString('utf8', 4, start)) as Header;
    if (header.format !== format) return undefined;
    const now = new Date();
    utimesSync(place, now, now);
  } catch {
    // None, or one that cannot be read: it is made anew.
    return undefined;
  }
  const order = new Map<Label, number>();
  const entries = new Map<string, { file: string; offset: number; length: number; names: readonly string[] }>();
  let count = 0;
  for (const [name, , , names] of header.packages) for (const each of names) order.set(`//${name}:${each}`, count++);
  let offset = start + count * hashLength;
  for (const [name, file, length, names] of header.packages) {
    entries.set(name, { file, offset, length, names });
    offset += length;
  }
  if (offset !== data.length) return undefined;

  const loaded = new Map<string, Package>();
  const packageOf = (name: string): Package | undefined => {
    let found = loaded.get(name);
    const entry = entries.get(name);
    if (found === undefined && entry !== undefined) {
      const text = data.toString('utf8', entry.offset, entry.offset + entry.length);
      found = { name, file: entry.file, targets: decodeTargets(text, name, entry.file, source) };
      loaded.set(name, found);
    }
    return found;
  };
  const targetOf = (label: Label): Target | undefined => {
    if (!order.has(label)) return undefined;
    const { package: packageName, name } = splitLabel(label);
    return packageOf(packageName)?.targets.get(name);
  };
  return {
    packages: new LazyMap(entries, packageOf),
    targets: new LazyMap(order, targetOf),
    hash: (label) => {
      const at = start + order.get(label)! * hashLength;
      return data.toString('hex', at, at + hashLength);
    },
    said: header.said,
    needsTree: header.extra.length > 0,
    isStillSo: (tree) => header.extra.every(([path, hash]) => (tree.contentHash(path) ?? null) === hash),
  };
}

/** @param extra files that the state of the tree says nothing of, but that were read */
export async function writeSnapshot(
  place: string,
  graph: Graph,
  hash: (label: Label) => string,
  extra: readonly string[],
  said: readonly string[],
): Promise<void> {
  const hashes: string[] = [];
  const bodies: Buffer[] = [];
  const packages: Header['packages'][number][] = [];
  for (const { name, file, targets } of graph.packages.values()) {
    const body = Buffer.from(encodeTargets(targets.values(), file));
    bodies.push(body);
    packages.push([name, file, body.length, [...targets.keys()]]);
    for (const { label } of targets.values()) hashes.push(hash(label));
  }
  const header: Header = {
    format,
    packages,
    extra: extra.map((path) => [path, graph.tree.contentHash(path) ?? null]),
    said,
  };
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  mkdirSync(dirname(place), { recursive: true });
  await writeAtomically(place, Buffer.concat([length, text, Buffer.from(hashes.join(''), 'hex'), ...bodies]));
  trim(dirname(place));
}

function trim(folder: string): void {
  const files = readdirSync(folder).map((name) => join(folder, name));
  const used = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const ages = new Map(files.map((path) => [path, used(path)]));
  for (const path of files.sort((a, b) => ages.get(b)! - ages.get(a)!).slice(kept)) rmSync(path, { force: true });
}

/** A map whose keys are known and whose values are made when they are asked for. */
class LazyMap<Key, Value> implements ReadonlyMap<Key, Value> {
  private readonly known: ReadonlyMap<Key, unknown>;
  private readonly make: (key: Key) => Value | undefined;

  constructor(known: ReadonlyMap<Key, unknown>, make: (key: Key) => Value | undefined) {
    this.known = known;
    this.make = make;
  }

  get size(): number {
    return this.known.size;
  }

  get(key: Key): Value | undefined {
    return this.make(key);
  }

  has(key: Key): boolean {
    return this.known.has(key);
  }

  keys(): MapIterator<Key> {
    return this.known.keys() as MapIterator<Key>;
  }

  values(): MapIterator<Value> {
    return this.made((_, value) => value);
  }

  entries(): MapIterator<[Key, Value]> {
    return this.made((key, value) => [key, value]);
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries();
  }

  forEach(body: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    for (const key of this.known.keys()) body(this.make(key)!, key, this);
  }

  private made<T>(give: (key: Key, value: Value) => T): MapIterator<T> {
    const { known, make } = this;
    function* each(): Generator<T> {
      for (const key of known.keys()) yield give(key, make(key)!);
    }
    return each() as MapIterator<unknown> as MapIterator<T>;
  }
}
