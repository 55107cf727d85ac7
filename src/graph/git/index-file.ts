import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Repository } from './repository.ts';

/** The files that git tracks: of each the id of its content and the state of the file when it was hashed. */
export interface Index {
  /** Nanoseconds: a file modified at or after this moment may have changed unseen. See git's racy-git documentation. */
  readonly written: bigint;
  /** Whether git was told not to look at some files (`update-index --assume-unchanged`, `--skip-worktree`). */
  readonly hidesChanges: boolean;
  /** The entry of a file, by number; undefined for what is not tracked. */
  find(path: string): number | undefined;
  /** Whether something below a folder is tracked. */
  hasBelow(folder: string): boolean;
  /** Octal as git writes it: 0o100644, 0o100755, 0o120000 (link), 0o160000 (submodule). */
  modeOf(entry: number): number;
  /** In hex. */
  idOf(entry: number): string;
  stateOf(entry: number): FileState;
}

export interface FileState {
  /** Nanoseconds. */
  readonly changed: bigint;
  readonly modified: bigint;
  /** Lower 32 bits of each. */
  readonly inode: number;
  readonly size: number;
}

let last: { readonly key: string; readonly index: Index | undefined } | undefined;

/**
 * Reads git's index, so that the hashes that git has computed already need no reading of files. Git writes a new file each time: one
 * that was read before, and is still the same, is not read again.
 *
 * @returns undefined where there is none, or it is in a form (split, sparse) whose entries don't tell everything: files
 *   are hashed then as if git had never seen them
 * @see gitformat-index(5), versions 2 to 4
 */
export function readIndex(repository: Repository): Index | undefined {
  const path = join(repository.folder, 'index');
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const key = [path, stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ');
  if (last?.key !== key) {
    const data = readFileSync(path);
    const idLength = repository.objectFormat === 'sha1' ? 20 : 32;
    const entries = entriesOf(data, idLength);
    last = { key, index: entries && indexOf(data, entries, idLength, stat.mtimeNs) };
  }
  return last.index;
}

/** The entries, in the order of their paths' bytes. */
interface Entries {
  /** Where each begins. */
  readonly starts: readonly number[];
  /** Of version 4, which tells of each path only what differs from the one before; else paths stand where entries do. */
  readonly paths: readonly Buffer[] | undefined;
  readonly hidesChanges: boolean;
}

function entriesOf(data: Buffer, idLength: number): Entries | undefined {
  if (data.length < 12 || data.toString('latin1', 0, 4) !== 'DIRC') return undefined;
  const version = data.readUInt32BE(4);
  if (version < 2 || version > 4) return undefined;
  const count = data.readUInt32BE(8);
  const starts: number[] = [];
  const paths: Buffer[] = [];
  let hidesChanges = false;
  let at = 12;
  let previous: Buffer = Buffer.alloc(0);
  for (let number = 0; number < count; number++) {
    const start = at;
    const fixed = 40 + idLength + 2;
    if (at + fixed > data.length) return undefined;
    const flags = data.readUInt16BE(at + 40 + idLength);
    at += fixed;
    let skipped = false;
    if (isExtended(version, flags)) {
      skipped = (data.readUInt16BE(at) & 0x4000) !== 0;
      at += 2;
    }
    if (version === 4) {
      const [strip, next] = variableInteger(data, at);
      const end = data.indexOf(0, next);
      if (end === -1) return undefined;
      previous = Buffer.concat([previous.subarray(0, previous.length - strip), data.subarray(next, end)]);
      at = end + 1;
    } else {
      const end = pathEnd(data, at, flags);
      if (end === -1) return undefined;
      // Entries are padded with 1 to 8 zero bytes to a multiple of 8.
      at = start + ((end - start + 8) & ~7);
    }
    const mode = data.readUInt32BE(start + 24);
    // A folder as an entry: a sparse index.
    if (mode === 0o40000) return undefined;
    hidesChanges ||= skipped || (flags & 0x8000) !== 0;
    const stage = (flags >> 12) & 3;
    // A file in conflict has several entries and no one content; one that is not checked out has none on the disk.
    if (stage !== 0 || skipped) continue;
    starts.push(start);
    if (version === 4) paths.push(previous);
  }
  // Extensions follow: a split index keeps most entries elsewhere.
  while (at + 8 <= data.length - idLength) {
    if (data.toString('latin1', at, at + 4) === 'link') return undefined;
    at += 8 + data.readUInt32BE(at + 4);
  }
  return { starts, paths: version === 4 ? paths : undefined, hidesChanges };
}

function isExtended(version: number, flags: number): boolean {
  return version >= 3 && (flags & 0x4000) !== 0;
}

/** The flags hold the length of the path, where it is not too long for that. */
function pathEnd(data: Buffer, start: number, flags: number): number {
  const length = flags & 0xfff;
  return length < 0xfff && data[start + length] === 0 ? start + length : data.indexOf(0, start);
}

/** Files asked for from which on all are put into a map. */
const many = 1000;

/** Of hundreds of thousands of entries most often few are asked for: each is looked for and read then. */
function indexOf(data: Buffer, { starts, paths, hidesChanges }: Entries, idLength: number, written: bigint): Index {
  const version = data.readUInt32BE(4);
  const nanoseconds = (offset: number) =>
    BigInt(data.readUInt32BE(offset)) * 1_000_000_000n + BigInt(data.readUInt32BE(offset + 4));
  const pathAt = (place: number): Buffer => {
    if (paths !== undefined) return paths[place]!;
    const start = starts[place]!;
    const flags = data.readUInt16BE(start + 40 + idLength);
    const from = start + 40 + idLength + (isExtended(version, flags) ? 4 : 2);
    return data.subarray(from, pathEnd(data, from, flags));
  };
  /** The place of the first entry that does not come before a path. */
  const placeOf = (path: Buffer): number => {
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (pathAt(middle).compare(path) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const lookFor = (path: string): number | undefined => {
    const bytes = Buffer.from(path);
    const place = placeOf(bytes);
    return place < starts.length && pathAt(place).equals(bytes) ? starts[place] : undefined;
  };
  let all: ReadonlyMap<string, number> | undefined;
  let asked = 0;
  return {
    written,
    hidesChanges,
    find(path) {
      if (all === undefined && ++asked <= many) return lookFor(path);
      all ??= new Map(starts.map((start, place) => [pathAt(place).toString('utf8'), start]));
      return all.get(path);
    },
    hasBelow(folder) {
      const bytes = Buffer.from(`${folder}/`);
      const place = placeOf(bytes);
      return place < starts.length && pathAt(place).subarray(0, bytes.length).equals(bytes);
    },
    modeOf: (start) => data.readUInt32BE(start + 24),
    idOf: (start) => data.toString('hex', start + 40, start + 40 + idLength),
    stateOf: (start) => ({
      changed: nanoseconds(start),
      modified: nanoseconds(start + 8),
      inode: data.readUInt32BE(start + 20),
      size: data.readUInt32BE(start + 36),
    }),
  };
}

/** The offset encoding of version 4: 7 bits a byte, each continued one counting from 1. */
function variableInteger(data: Buffer, start: number): [value: number, next: number] {
  let at = start;
  let byte = data[at++] ?? 0;
  let value = byte & 0x7f;
  while ((byte & 0x80) !== 0) {
    byte = data[at++] ?? 0;
    value = ((value + 1) << 7) | (byte & 0x7f);
  }
  return [value, at];
}
