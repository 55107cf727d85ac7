import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Repository } from './repository.ts';

/** The files that git tracks: of each the id of its content and the state of the file when it was hashed. */
export interface Index {
  /** Nanoseconds: a file modified at or after this moment may have changed unseen. See git's racy-git documentation. */
  readonly written: bigint;
  /** In the order of their paths' bytes. */
  paths(): Iterable<string>;
  /** The entry of a file, by number; undefined for what is not tracked. */
  find(path: string): number | undefined;
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

/**
 * Reads git's index, so that the hashes that git has computed already need no reading of files.
 *
 * @returns undefined where there is none, or it is in a form (split, sparse) whose entries don't tell everything: files
 *   are hashed then as if git had never seen them
 * @see gitformat-index(5), versions 2 to 4
 */
export function readIndex(repository: Repository): Index | undefined {
  const path = join(repository.folder, 'index');
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const data = readFileSync(path);
  const idLength = repository.objectFormat === 'sha1' ? 20 : 32;
  const starts = entriesOf(data, idLength);
  return starts && indexOf(data, starts, idLength, stat.mtimeNs);
}

/** Where each file's entry begins. */
function entriesOf(data: Buffer, idLength: number): ReadonlyMap<string, number> | undefined {
  if (data.length < 12 || data.toString('latin1', 0, 4) !== 'DIRC') return undefined;
  const version = data.readUInt32BE(4);
  if (version < 2 || version > 4) return undefined;
  const count = data.readUInt32BE(8);
  const starts = new Map<string, number>();
  let at = 12;
  let previous: Buffer = Buffer.alloc(0);
  for (let number = 0; number < count; number++) {
    const start = at;
    const fixed = 40 + idLength + 2;
    if (at + fixed > data.length) return undefined;
    const flags = data.readUInt16BE(at + 40 + idLength);
    at += fixed;
    let skipped = false;
    if (version >= 3 && (flags & 0x4000) !== 0) {
      skipped = (data.readUInt16BE(at) & 0x4000) !== 0;
      at += 2;
    }
    let path: Buffer;
    if (version === 4) {
      const [strip, next] = variableInteger(data, at);
      const end = data.indexOf(0, next);
      if (end === -1) return undefined;
      path = Buffer.concat([previous.subarray(0, previous.length - strip), data.subarray(next, end)]);
      at = end + 1;
    } else {
      const end = data.indexOf(0, at);
      if (end === -1) return undefined;
      path = data.subarray(at, end);
      // Entries are padded with 1 to 8 zero bytes to a multiple of 8.
      at = start + ((end - start + 8) & ~7);
    }
    previous = path;
    const mode = data.readUInt32BE(start + 24);
    // A folder as an entry: a sparse index.
    if (mode === 0o40000) return undefined;
    const stage = (flags >> 12) & 3;
    // A file in conflict has several entries and no one content; one that is not checked out has none on the disk.
    if (stage !== 0 || skipped) continue;
    starts.set(path.toString('utf8'), start);
  }
  // Extensions follow: a split index keeps most entries elsewhere.
  while (at + 8 <= data.length - idLength) {
    if (data.toString('latin1', at, at + 4) === 'link') return undefined;
    at += 8 + data.readUInt32BE(at + 4);
  }
  return starts;
}

/** Of hundreds of thousands of entries few are asked for: each is read then. */
function indexOf(data: Buffer, starts: ReadonlyMap<string, number>, idLength: number, written: bigint): Index {
  const nanoseconds = (offset: number) =>
    BigInt(data.readUInt32BE(offset)) * 1_000_000_000n + BigInt(data.readUInt32BE(offset + 4));
  return {
    written,
    paths: () => starts.keys(),
    find: (path) => starts.get(path),
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
