import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { ImageFault } from '../fault.ts';
import { comparePaths, parentOf, type TarHeader } from './entry.ts';
import { encodeHeader, endOfArchive, padding } from './header.ts';

/** Where a file's bytes come from: memory, or a stretch of a file on disk. */
export type Content = Uint8Array | FileStretch;

export interface FileStretch {
  readonly path: string;
  readonly offset: number;
  /** The id that git gives to these bytes, for a file that somebody may write to meanwhile: what is read is held against it. */
  readonly gitId?: string | undefined;
  /** A name for these bytes, the same wherever they lie: what was made of them once is known by it. */
  readonly identity?: string | undefined;
}

/** An entry of an archive to be written. */
export interface LayerEntry extends TarHeader {
  /** For files. */
  readonly content?: Content;
}

/** Root's, and 0o644 or 0o755, unless told. */
interface Owner {
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export function fileEntry(path: string, content: Uint8Array | string, owner: Owner = {}): LayerEntry {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const { mode = 0o644, uid = 0, gid = 0 } = owner;
  return { path, type: 'file', mode, uid, gid, size: bytes.length, target: '', content: bytes };
}

export function directoryEntry(path: string, owner: Owner = {}): LayerEntry {
  const { mode = 0o755, uid = 0, gid = 0 } = owner;
  return { path, type: 'directory', mode, uid, gid, size: 0, target: '' };
}

export function symlinkEntry(path: string, target: string): LayerEntry {
  return { path, type: 'symlink', mode: 0o777, uid: 0, gid: 0, size: 0, target };
}

/**
 * The entries as a layer holds them: sorted by the bytes of their paths, with each parent folder once, and each hard link
 * behind the file that it names (the first name of a file carries the content).
 *
 * @param known folders of layers below: a parent that is one of them keeps its mode and owner
 * @throws ImageFault image/bad-file where two entries claim a path, or something lies below a file
 */
export function arrange(
  entries: readonly LayerEntry[],
  known: ReadonlyMap<string, LayerEntry> = new Map(),
): LayerEntry[] {
  const byPath = new Map<string, LayerEntry>();
  for (const entry of entries) {
    const before = byPath.get(entry.path);
    if (before === undefined) byPath.set(entry.path, entry);
    else if (before.type !== 'directory' || entry.type !== 'directory') throw claimedTwice(entry.path);
  }
  firstNameHoldsContent(byPath);
  for (const path of [...byPath.keys()]) addParents(byPath, path, known);
  byPath.delete('');
  return [...byPath.values()].sort((a, b) => comparePaths(a.path, b.path));
}

function addParents(byPath: Map<string, LayerEntry>, path: string, known: ReadonlyMap<string, LayerEntry>): void {
  for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) {
    const there = byPath.get(parent);
    if (there === undefined) byPath.set(parent, known.get(parent) ?? directoryEntry(parent));
    else if (there.type !== 'directory') {
      throw new ImageFault('image/bad-file', `/${path} can't lie below /${parent}, which is a ${there.type}`);
    }
  }
}

function firstNameHoldsContent(byPath: Map<string, LayerEntry>): void {
  const names = new Map<string, string[]>();
  for (const entry of byPath.values()) {
    if (entry.type !== 'hardlink') continue;
    const list = names.get(entry.target) ?? [];
    list.push(entry.path);
    names.set(entry.target, list);
  }
  for (const [holder, links] of names) {
    const file = byPath.get(holder);
    if (file?.type !== 'file') {
      throw new ImageFault('image/bad-file', `/${links[0]} is a hard link to /${holder}, which is not a file`);
    }
    const first = [holder, ...links].sort(comparePaths)[0] ?? holder;
    if (first === holder) continue;
    byPath.set(first, { ...file, path: first });
    for (const path of [holder, ...links]) {
      if (path === first) continue;
      const { content: _, ...header } = file;
      byPath.set(path, { ...header, path, type: 'hardlink', size: 0, target: first });
    }
  }
}

function claimedTwice(path: string): ImageFault {
  return new ImageFault('image/bad-file', `two files claim the path /${path}`);
}

/** Bytes read from disk at a time. */
const pieceSize = 256 * 1024;

/**
 * The archive's bytes, in constant memory. Entries are written in the order given; `arrange` them first.
 *
 * @param differs hears of files whose bytes were not those of their `gitId`: they were changed, or git holds them in another form
 */
export async function* writeTar(
  entries: Iterable<LayerEntry>,
  differs?: (path: string) => void,
): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    yield encodeHeader(entry);
    if (entry.type !== 'file' || entry.size === 0) continue;
    if (entry.content === undefined) throw new Error(`the entry ${entry.path} has a size and no content`);
    if (entry.content instanceof Uint8Array) yield entry.content;
    else yield* readStretch(entry.content, entry.size, differs);
    yield padding(entry.size);
  }
  yield endOfArchive;
}

/** The content of a small file, read at once: waiting for a thread would take longer. */
function smallStretch(path: string, offset: number, size: number): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(size);
    for (let done = 0; done < size; ) {
      const count = readSync(file, buffer, done, size - done, offset + done);
      if (count === 0) throw shorter(path);
      done += count;
    }
    return buffer;
  } finally {
    closeSync(file);
  }
}

/** The header has promised a size; a file that shrank meanwhile must not make a crooked archive. */
function shorter(path: string): ImageFault {
  return new ImageFault('image/bad-file', `${path} became shorter while it was read`);
}

/**
 * The bytes of a stretch, in pieces.
 *
 * @param differs hears that they are not those of its `gitId`
 * @throws ImageFault image/bad-file where the file ends before
 */
export async function* readStretch(
  content: FileStretch,
  size: number,
  differs: (path: string) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const { gitId } = content;
  if (gitId === undefined) {
    yield* stretch(content, size);
    return;
  }
  const hash = createHash(gitId.length === 40 ? 'sha1' : 'sha256').update(`blob ${size}\0`);
  for await (const piece of stretch(content, size)) {
    hash.update(piece);
    yield piece;
  }
  if (hash.digest('hex') !== gitId) differs(content.path);
}

async function* stretch({ path, offset }: FileStretch, size: number): AsyncGenerator<Uint8Array> {
  if (size <= pieceSize) {
    yield smallStretch(path, offset, size);
    return;
  }
  const file = await open(path, 'r');
  try {
    for (let done = 0; done < size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(pieceSize, size - done));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset + done);
      if (bytesRead === 0) throw shorter(path);
      done += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
