import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { bounded } from '../bounded.ts';
import { type Compression, decompress } from '../debian/decompress.ts';
import type { Digest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { nameOf, readLayerRecord, writeLayerRecord } from '../layer-record.ts';
import type { BlobStore } from '../store.ts';
import { ByteReader } from '../tar/bytes.ts';
import { blockSize, checksum } from '../tar/header.ts';
import { readTar } from '../tar/read.ts';
import { type FileStretch, readStretch } from '../tar/write.ts';
import type { Changes } from './changes.ts';
import { CopyProblem } from './copy-problem.ts';
import { type IndexedEntry, remembered } from './layer-tree.ts';
import type { Owner } from './owner.ts';
import { type FileNode, partsOf, resolvePath } from './tree.ts';

/** An archive that ADD unpacks: its entries, and where their contents lie uncompressed. */
export interface UnpackedArchive {
  readonly path: string;
  /** Names the uncompressed bytes. */
  readonly identity: string;
  readonly entries: readonly IndexedEntry[];
}

/** Bounds of an archive in a context: what people add is far below. */
const limits = { entries: 200_000, totalSize: 8 * 1024 ** 3 };
const archiveVersion = 1;

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

/**
 * What ADD makes of a file: undefined where its content is no tar archive, compressed or not, whatever its name says. An archive is
 * uncompressed into the store, and refused where it is hostile: then nothing is left of it.
 *
 * @param what names it in faults
 * @throws ImageFault image/bad-archive, image/too-large
 */
export async function unpackArchive(
  store: BlobStore,
  file: FileNode,
  what: string,
): Promise<UnpackedArchive | undefined> {
  const { bytes, identity } = file.content;
  // What stands in the Dockerfile itself is text.
  if (bytes instanceof Uint8Array || file.size === 0) return undefined;
  const source = () => streamOf(bytes, file.size);
  const compression = compressionOf(await readNode({ bytes, size: Math.min(file.size, 8) }));
  if (!(await beginsAsTar(decompress(source(), compression, what)))) return undefined;
  if (bytes.gitId !== undefined) return await unpackCopy(store, { bytes, size: file.size }, what);
  if (compression === 'none') {
    const entries = await remembered(store, `archive-${archiveVersion}`, nameOf(identity), () =>
      entriesOf(source(), what, bytes.offset),
    );
    return { path: bytes.path, identity, entries };
  }
  const kept = await remembered(store, `unpacked-${archiveVersion}`, nameOf(identity), () => keep());
  if ((await store.size(kept.digest)) === kept.size)
    return { path: store.path(kept.digest), identity: kept.digest, entries: kept.entries };
  const again = await keep();
  return { path: store.path(again.digest), identity: again.digest, entries: again.entries };

  async function keep(): Promise<{ digest: Digest; size: number; entries: readonly IndexedEntry[] }> {
    // Read once to see that it is harmless, before a byte of it is written.
    const entries = await entriesOf(boundedArchive(decompress(source(), compression, what), file.size, what), what, 0);
    const stored = await store.put(boundedArchive(decompress(source(), compression, what), file.size, what), {
      durable: false,
    });
    return { ...stored, entries };
  }
}

/** The same of a source in the workspace, which may be edited while it is read: a copy of it is looked at, named by its own sum. */
async function unpackCopy(
  store: BlobStore,
  { bytes, size }: { readonly bytes: FileStretch; readonly size: number },
  what: string,
): Promise<UnpackedArchive | undefined> {
  const name = nameOf(['copy', bytes.gitId, size]);
  let copy = await readLayerRecord(store, name);
  const isNew = copy === undefined;
  if (copy === undefined) {
    let differs = false;
    copy = await store.put(
      readStretch(bytes, size, () => (differs = true)),
      { durable: false },
    );
    if (!differs) await writeLayerRecord(store, name, copy);
  }
  const { digest } = copy;
  const content = { bytes: { path: store.path(digest), offset: 0 }, identity: digest };
  try {
    return await unpackArchive(store, { type: 'file', mode: 0o644, uid: 0, gid: 0, size, content }, what);
  } catch (error) {
    if (isNew) await store.remove(digest);
    throw error;
  }
}

/** Whoever runs such a program becomes its owner, root mostly: chmod(2), set-user-ID and set-group-ID. */
const setId = 0o6000;

/**
 * Puts what an archive holds below a folder: as `tar -x`, in favour of the archive, and without the bits by which a program runs as its owner.
 *
 * @returns paths in the archive that had them
 * @throws CopyProblem
 */
export function applyArchive(
  changes: Changes,
  archive: UnpackedArchive,
  target: readonly string[],
  owner: Owner | undefined,
): string[] {
  const inTheWay = changes.makeFolders(target, owner ?? { uid: 0, gid: 0 });
  if (inTheWay !== undefined) throw new CopyProblem('bad-destination', `/${inTheWay.join('/')} is not a folder`);
  const placed = new Map<string, string[]>();
  const lowered: string[] = [];
  for (const entry of archive.entries) {
    const parts = partsOf(entry.path);
    const above = resolvePath(changes.tree, [...target, ...parts.slice(0, -1)]);
    if (above === undefined)
      throw new CopyProblem('bad-destination', `${entry.path} lies below a link that leads in circles`);
    const blocked = changes.makeFolders(above, owner ?? { uid: 0, gid: 0 });
    if (blocked !== undefined) throw new CopyProblem('bad-destination', `/${blocked.join('/')} is not a folder`);
    const place = parts.length === 0 ? [...target] : [...above, parts.at(-1) ?? ''];
    placed.set(entry.path, place);
    const there = changes.tree.at(place);
    const owned = { mode: entry.mode, uid: owner?.uid ?? entry.uid, gid: owner?.gid ?? entry.gid };
    if (entry.type === 'directory') {
      const children = there?.type === 'directory' ? there.children : new Map();
      changes.put(place, { ...owned, type: 'directory', children });
      continue;
    }
    if (there?.type === 'directory') {
      throw new CopyProblem('bad-destination', `the archive has a file in place of the folder /${place.join('/')}`);
    }
    if (entry.type === 'symlink') changes.put(place, { ...owned, mode: 0o777, type: 'symlink', target: entry.target });
    else if (entry.type === 'hardlink') putHardLink(changes, place, placed.get(entry.target), entry.path);
    else {
      if ((entry.mode & setId) !== 0) lowered.push(entry.path);
      changes.put(place, {
        ...owned,
        mode: entry.mode & ~setId,
        type: 'file',
        size: entry.size,
        content: {
          bytes: { path: archive.path, offset: entry.offset },
          identity: `${archive.identity}+${entry.offset}+${entry.size}`,
        },
      });
    }
  }
  return lowered;
}

function putHardLink(
  changes: Changes,
  place: readonly string[],
  target: readonly string[] | undefined,
  path: string,
): void {
  const file = target && changes.tree.at(target);
  if (target === undefined || file?.type !== 'file') {
    throw new CopyProblem('bad-source', `the archive's hard link ${path} leads to no file of it`);
  }
  const linked = file.linked ?? {};
  if (file.linked === undefined) changes.put(target, { ...file, linked });
  changes.put(place, { ...file, linked });
}

async function entriesOf(source: AsyncIterable<Uint8Array>, what: string, begin: number): Promise<IndexedEntry[]> {
  const entries: IndexedEntry[] = [];
  for await (const { path, type, mode, uid, gid, size, target, offset } of readTar(source, what, limits)) {
    entries.push({ path, type, mode, uid, gid, size, target, offset: begin + offset });
  }
  return entries;
}

/** The same, and no more than entries within the limits can have. */
function boundedArchive(source: AsyncIterable<Uint8Array>, packed: number, what: string): AsyncGenerator<Uint8Array> {
  return bounded(source, packed, what, limits.totalSize + limits.entries * 2 * blockSize);
}

function streamOf({ path, offset }: { readonly path: string; readonly offset: number }, size: number) {
  return createReadStream(path, { start: offset, end: offset + size - 1, highWaterMark: 256 * 1024 });
}

function compressionOf(bytes: Buffer): Compression {
  return magics.find(([, magic]) => magic.every((byte, index) => bytes[index] === byte))?.[0] ?? 'none';
}

/** The first block is a header with the sum that it names. What can't be decompressed is no archive. */
async function beginsAsTar(source: AsyncIterable<Uint8Array>): Promise<boolean> {
  const reader = new ByteReader(source, '');
  try {
    const block = await reader.take(blockSize);
    if (block === undefined || block.every((byte) => byte === 0)) return false;
    const written = /^[ \0]*([0-7]+)[ \0]/.exec(block.toString('latin1', 148, 157))?.[1];
    return written !== undefined && Number.parseInt(written, 8) === checksum(block);
  } catch (error) {
    if (error instanceof ImageFault && error.code === 'image/bad-archive') return false;
    throw error;
  } finally {
    await reader.close();
  }
}

/** Bytes of a file of a tree. */
export async function readNode(file: {
  readonly bytes: FileNode['content']['bytes'];
  readonly size: number;
}): Promise<Buffer> {
  if (file.bytes instanceof Uint8Array) return Buffer.from(file.bytes.subarray(0, file.size));
  const handle = await open(file.bytes.path, 'r');
  try {
    const buffer = Buffer.alloc(file.size);
    const { bytesRead } = await handle.read(buffer, 0, file.size, file.bytes.offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
