import { mkdirSync, readFileSync, utimesSync } from 'node:fs';
import { dirname } from 'node:path';
import { keepRecent, writeAtomically } from '../../disk/index.ts';
import { NumberLists } from '../load/target-index.ts';
import { splitLabel } from '../names/label.ts';
import type { Label, Package, Target } from '../types.ts';
import { decodeTargets, encodeTargets } from './encode-target.ts';
import { hashLength, type IndexedGraph, type PackageReading } from './indexed-graph.ts';
import { LazyMap } from './lazy-map.ts';
import type { Change } from './state.ts';

/**
 * A graph on the disk: names of packages and targets, their hashes and dependencies at once, the targets themselves as they are
 * asked for. The file: length of the header (4 bytes), the header (JSON) padded to a multiple of 4, then for all targets the
 * hashes of their own parts, their hashes, what they need and what they name (see `NumberLists`), then the packages.
 */
interface Header {
  readonly format: typeof format;
  readonly packages: readonly HeaderPackage[];
  /** Of all readings, which refer to them by number. */
  readonly paths: readonly string[];
  readonly everywhere: HeaderReading;
  readonly separable: boolean;
  readonly extra: IndexedGraph['extra'];
  readonly changes: readonly Change[];
  readonly needs: number;
  readonly names: number;
}

type HeaderReading = readonly [files: readonly number[], packages: readonly number[], said: readonly string[]];

type HeaderPackage = readonly [
  name: string,
  file: string,
  length: number,
  targets: readonly string[],
  reading: HeaderReading | 0,
];

const format = 'banksman graph 2';
/** Snapshots kept of one workspace. Those not used for longest go. */
const kept = 24;
/** Those of all workspaces together, of ones that are gone too. A graph of 100,000 targets takes some 50 MB. */
const keptBytes = 2 * 1024 ** 3;

/** A kept graph. Its targets are decoded when they are asked for. */
export interface Snapshot extends IndexedGraph {
  /** What of the work tree was not as the commit that it stands on. */
  readonly changes: readonly Change[];
}

/**
 * @param place the file
 * @param source gives the text of a BUILD file, for the places of faults
 * @returns undefined where there is none that can be read
 */
export function readSnapshot(place: string, source: (file: string) => string | undefined): Snapshot | undefined {
  try {
    const data = readFileSync(place);
    const found = decode(data, source);
    const now = new Date();
    utimesSync(place, now, now);
    return found;
  } catch {
    // None, or one that cannot be read: it is made anew.
    return undefined;
  }
}

function decode(data: Buffer, source: (file: string) => string | undefined): Snapshot | undefined {
  const length = data.readUInt32LE(0);
  const header = JSON.parse(data.toString('utf8', 4, 4 + length)) as Header;
  if (header.format !== format) return undefined;
  const labels: Label[] = [];
  const positions = new Map<Label, number>();
  const firsts = new Map<string, number>();
  for (const [name, , , names] of header.packages) {
    firsts.set(name, labels.length);
    for (const each of names) {
      const label: Label = `//${name}:${each}`;
      positions.set(label, labels.length);
      labels.push(label);
    }
  }
  let at = 4 + length;
  const bytes = (count: number): Buffer => {
    at += count;
    if (at > data.length) throw new RangeError('the file is cut off');
    return data.subarray(at - count, at);
  };
  const numbers = (count: number): Uint32Array => {
    const part = bytes(count * 4);
    const copy = new Uint32Array(count);
    new Uint8Array(copy.buffer).set(part);
    return copy;
  };
  const definitions = bytes(labels.length * hashLength);
  const hashes = bytes(labels.length * hashLength);
  const needs = new NumberLists(numbers(labels.length + 1), numbers(header.needs));
  const names = new NumberLists(numbers(labels.length + 1), numbers(header.names));
  const entries = new Map<string, { file: string; offset: number; length: number; reading: HeaderReading | 0 }>();
  for (const [name, file, size, , reading] of header.packages) {
    entries.set(name, { file, offset: at, length: size, reading });
    at += size;
  }
  if (at !== data.length) return undefined;

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
    if (!positions.has(label)) return undefined;
    const { package: packageName, name } = splitLabel(label);
    return packageOf(packageName)?.targets.get(name);
  };
  const readingOf = (reading: HeaderReading | 0 | undefined): PackageReading => {
    if (reading === 0 || reading === undefined) return noReading;
    const [files, packages, said] = reading;
    const path = (each: number) => header.paths[each]!;
    return { files: files.map(path), packages: packages.map(path), said };
  };
  return {
    labels,
    positions,
    firsts,
    needs,
    names,
    definitions,
    hashes,
    packages: new LazyMap(entries, packageOf),
    targets: new LazyMap(positions, targetOf),
    readings: new LazyMap(entries, (name) => readingOf(entries.get(name)?.reading)),
    everywhere: readingOf(header.everywhere),
    separable: header.separable,
    extra: header.extra,
    changes: header.changes,
    kept(name) {
      const entry = entries.get(name);
      return entry && data.subarray(entry.offset, entry.offset + entry.length);
    },
  };
}

const noReading: PackageReading = { files: [], packages: [], said: [] };

/** @param changes what of the work tree is not as the commit that it stands on */
export async function writeSnapshot(place: string, graph: IndexedGraph, changes: readonly Change[]): Promise<void> {
  const paths = new Map<string, number>();
  const number = (path: string): number => {
    let found = paths.get(path);
    if (found === undefined) {
      found = paths.size;
      paths.set(path, found);
    }
    return found;
  };
  const written = ({ files, packages, said }: PackageReading): HeaderReading => [
    files.map(number),
    packages.map(number),
    said,
  ];
  const bodies: Buffer[] = [];
  const packages: HeaderPackage[] = [];
  const names = [...graph.firsts];
  names.forEach(([name, first], index) => {
    const { file, targets } = graph.packages.get(name)!;
    const body = graph.kept?.(name) ?? Buffer.from(encodeTargets(targets.values(), file));
    bodies.push(body);
    const skipped = name.length + 3;
    const own = graph.labels.slice(first, names[index + 1]?.[1]).map((label) => label.slice(skipped));
    const reading = graph.readings.get(name);
    const empty = reading === undefined || Object.values(reading).every((list) => list.length === 0);
    packages.push([name, file, body.length, own, empty ? 0 : written(reading)]);
  });
  const everywhere = written(graph.everywhere);
  const header: Header = {
    format,
    packages,
    paths: [...paths.keys()],
    everywhere,
    separable: graph.separable,
    extra: graph.extra,
    changes,
    needs: graph.needs.values.length,
    names: graph.names.values.length,
  };
  const text = Buffer.from(JSON.stringify(header));
  const padding = Buffer.alloc((4 - (text.length % 4)) % 4, ' ');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length + padding.length);
  const numbers = [graph.needs.starts, graph.needs.values, graph.names.starts, graph.names.values].map((each) =>
    Buffer.from(each.buffer, each.byteOffset, each.byteLength),
  );
  mkdirSync(dirname(place), { recursive: true });
  const parts = [length, text, padding, graph.definitions, graph.hashes, ...numbers, ...bodies];
  await writeAtomically(place, Buffer.concat(parts));
  const folder = dirname(place);
  keepRecent(folder, { files: kept });
  keepRecent(dirname(folder), { bytes: keptBytes });
}
