import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, link, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { hashFile as sumOfFile } from '../disk/index.ts';
import { type Digest, digestOf, hexOf } from './digest.ts';
import { ImageFault } from './fault.ts';

/** What content is expected to be; what is not given is not checked. */
export interface Expected {
  readonly digest?: Digest | undefined;
  /** Bytes. */
  readonly size?: number | undefined;
  /** False for what can be made again: it is not waited for until the disk has it, which takes long on a busy one. */
  readonly durable?: boolean | undefined;
  /** The source itself ends in a fault where its bytes are not those of `digest` and `size`: they are not hashed again. */
  readonly sourceChecks?: boolean | undefined;
}

export interface Stored {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/**
 * Content-addressed files `<folder>/sha256/<hex>`. A blob appears whole, by rename(2), and is read-only; so several
 * processes may write at once, and kill -9 leaves at most a file in `<folder>/tmp`, which a later `openBlobStore` clears.
 */
export interface BlobStore {
  readonly folder: string;
  /** Where the blob lies or would lie. */
  path(digest: Digest): string;
  /** Bytes; undefined where it is not there. */
  size(digest: Digest): Promise<number | undefined>;
  /**
   * Stores a stream, in constant memory.
   * @throws ImageFault image/wrong-content where it is not what is expected; nothing is kept then
   */
  put(content: Uint8Array | string | AsyncIterable<Uint8Array>, expected?: Expected): Promise<Stored>;
  /**
   * Takes in a file after hashing it: by hard link, or by copy across file systems. The file must not be changed in
   * place afterwards. With an expected digest that the store has already, the file is not read.
   */
  putFile(path: string, expected?: Expected): Promise<Stored>;
  /** Takes in a file whose sum its writer has taken while it was written. It must not be changed afterwards. */
  adopt(path: string, stored: Stored): Promise<void>;
  /**
   * Streams a blob; `end` is inclusive. Reading the whole ends in image/wrong-content where the bytes on disk were damaged.
   * @throws ImageFault image/missing-blob
   */
  open(digest: Digest, range?: { readonly start: number; readonly end: number }): Promise<Readable>;
  /** A small blob whole, its sum checked. 4 MiB at most unless told. */
  read(digest: Digest, maximumBytes?: number): Promise<Buffer>;
  /** Puts the blob at `path` by hard link, or copy across file systems; atomic, replaces what is there. */
  linkTo(digest: Digest, path: string): Promise<void>;
  remove(digest: Digest): Promise<void>;
  /** Whether the blob came into the store by way of this object, whole and with its right sum. */
  isFresh(digest: Digest): boolean;
}

/** Age in milliseconds (since the last change of the inode: a link keeps the old mtime) after which a temporary file can't belong to a living writer. */
const staleAfter = 24 * 3600 * 1000;

/** Opens the store in the folder, which is made where it does not exist. The builder's is `cacheFolder('blobs')`. */
export async function openBlobStore(folder: string): Promise<BlobStore> {
  const temporaryFolder = join(folder, 'tmp');
  await mkdir(join(folder, 'sha256'), { recursive: true });
  await mkdir(temporaryFolder, { recursive: true });
  await clearStale(temporaryFolder);

  const path = (digest: Digest) => join(folder, 'sha256', hexOf(digest));
  const temporary = () => join(temporaryFolder, `${process.pid}-${randomBytes(8).toString('hex')}`);

  async function size(digest: Digest): Promise<number | undefined> {
    const found = await stat(path(digest)).catch(absent);
    return found?.isFile() ? found.size : undefined;
  }

  const fresh = new Set<Digest>();

  async function put(
    content: Uint8Array | string | AsyncIterable<Uint8Array>,
    expected: Expected = {},
  ): Promise<Stored> {
    const partial = temporary();
    const known = expected.sourceChecks === true ? expected.digest : undefined;
    const hash = known === undefined ? createHash('sha256') : undefined;
    let bytes = 0;
    try {
      const file = await open(partial, 'wx', 0o444);
      try {
        for await (const piece of joined(pieces(content))) {
          bytes += piece.length;
          if (expected.size !== undefined && bytes > expected.size) throw wrongSize(expected.size, 'more');
          hash?.update(piece);
          await writeWhole(file, piece);
        }
        await file.chmod(0o444);
        if (expected.durable !== false) await file.datasync();
      } finally {
        await file.close();
      }
      const digest: Digest = known ?? `sha256:${hash?.digest('hex')}`;
      const stored: Stored = { digest, size: bytes };
      check(stored, expected);
      await rename(partial, path(digest));
      fresh.add(digest);
      return stored;
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  async function putFile(source: string, expected: Expected = {}): Promise<Stored> {
    if (expected.digest !== undefined) {
      const there = await size(expected.digest);
      if (there !== undefined && (expected.size === undefined || expected.size === there)) {
        return { digest: expected.digest, size: there };
      }
    }
    const partial = temporary();
    try {
      await takeFile(source, partial);
      // Hashed after the link: what is hashed is what will lie in the store.
      const stored = await hashFile(partial);
      check(stored, expected);
      if ((await size(stored.digest)) === stored.size) await rm(partial);
      else {
        await chmod(partial, (await stat(partial)).mode & 0o555);
        await rename(partial, path(stored.digest));
      }
      return stored;
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  async function adopt(source: string, stored: Stored): Promise<void> {
    if ((await size(stored.digest)) === stored.size) return;
    const partial = temporary();
    try {
      await linkOrCopy(source, partial);
      await chmod(partial, 0o444);
      await rename(partial, path(stored.digest));
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  async function openBlob(digest: Digest, range?: { start: number; end: number }): Promise<Readable> {
    const length = await size(digest);
    if (length === undefined) throw missing(digest);
    const stream = createReadStream(path(digest), { ...range, highWaterMark: 256 * 1024 });
    if (range !== undefined && (range.start > 0 || range.end < length - 1)) return stream;
    return Readable.from(checked(stream, digest), { objectMode: false, highWaterMark: 256 * 1024 });
  }

  async function read(digest: Digest, maximumBytes = 4 * 1024 * 1024): Promise<Buffer> {
    const length = await size(digest);
    if (length === undefined) throw missing(digest);
    if (length > maximumBytes) {
      throw new ImageFault('image/too-large', `${digest} has ${length} bytes, ${maximumBytes} are the limit here`);
    }
    const parts: Uint8Array[] = [];
    for await (const piece of createReadStream(path(digest))) parts.push(piece);
    const whole = Buffer.concat(parts);
    if (digestOf(whole) !== digest) throw damaged(digest);
    return whole;
  }

  async function linkTo(digest: Digest, destination: string): Promise<void> {
    await mkdir(dirname(destination), { recursive: true });
    const partial = `${destination}.${randomBytes(6).toString('hex')}`;
    try {
      await linkOrCopy(path(digest), partial);
      await rename(partial, destination);
      // rename(2) of two links of one file leaves both names.
      await rm(partial, { force: true });
    } catch (error) {
      await rm(partial, { force: true });
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw missing(digest);
      throw error;
    }
  }

  return {
    folder,
    path,
    size,
    put,
    putFile,
    adopt,
    open: openBlob,
    read,
    linkTo,
    remove: (digest) => rm(path(digest), { force: true }),
    isFresh: (digest) => fresh.has(digest),
  };
}

/** SHA-256 and size of a file, in constant memory. */
export async function hashFile(path: string): Promise<Stored> {
  const { sha256, size } = await sumOfFile(path);
  return { digest: `sha256:${sha256}`, size };
}

/**
 * A link in place of a file is not taken as it is: what it leads to may change, and is not ours to make read-only.
 *
 * @throws ImageFault image/bad-file for a pipe or a device, which would be read for ever
 */
async function takeFile(source: string, destination: string): Promise<void> {
  const found = await stat(source);
  if (!found.isFile()) throw new ImageFault('image/bad-file', `${source} is not a file`);
  if ((await lstat(source)).isSymbolicLink()) await copyFile(source, destination);
  else await linkOrCopy(source, destination);
}

/** Hard link; a copy where the file system boundary or the limit of links forbids it. */
export async function linkOrCopy(source: string, destination: string): Promise<void> {
  try {
    await link(source, destination);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EXDEV' && code !== 'EMLINK' && code !== 'EPERM') throw error;
    await copyFile(source, destination);
  }
}

async function* checked(stream: AsyncIterable<Buffer>, digest: Digest): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  for await (const piece of stream) {
    hash.update(piece);
    yield piece;
  }
  if (`sha256:${hash.digest('hex')}` !== digest) throw damaged(digest);
}

async function* pieces(content: Uint8Array | string | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (typeof content === 'string') yield Buffer.from(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}

/** Bytes that are written at a time where they come in small pieces, such as the headers of an archive. */
const writeSize = 1024 * 1024;

/** Small pieces together: each is valid until the next is asked for. */
async function* joined(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let buffer: Buffer | undefined;
  let filled = 0;
  for await (const piece of source) {
    if (filled + piece.length > writeSize && filled > 0 && buffer !== undefined) {
      yield buffer.subarray(0, filled);
      filled = 0;
    }
    if (piece.length >= writeSize / 4) {
      // The order of bytes stays what it is.
      if (filled > 0 && buffer !== undefined) yield buffer.subarray(0, filled);
      filled = 0;
      yield piece;
      continue;
    }
    buffer ??= Buffer.allocUnsafe(writeSize);
    buffer.set(piece, filled);
    filled += piece.length;
  }
  if (filled > 0 && buffer !== undefined) yield buffer.subarray(0, filled);
}

/** write(2) may take less than it was given. */
async function writeWhole(
  file: { write(data: Uint8Array, offset: number): Promise<{ bytesWritten: number }> },
  piece: Uint8Array,
): Promise<void> {
  for (let offset = 0; offset < piece.length; ) {
    offset += (await file.write(piece, offset)).bytesWritten;
  }
}

async function clearStale(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(absent);
    if (found && Date.now() - found.ctimeMs > staleAfter) await rm(path, { recursive: true, force: true });
  }
}

function check(stored: Stored, expected: Expected): void {
  if (expected.size !== undefined && stored.size !== expected.size) {
    throw wrongSize(expected.size, stored.size);
  }
  if (expected.digest !== undefined && stored.digest !== expected.digest) {
    throw new ImageFault('image/wrong-content', `the content is ${stored.digest}, ${expected.digest} was expected`);
  }
}

function wrongSize(expected: number, actual: number | 'more'): ImageFault {
  return new ImageFault('image/wrong-content', `the content has ${actual} bytes, ${expected} were expected`);
}

function missing(digest: Digest): ImageFault {
  return new ImageFault('image/missing-blob', `the blob ${digest} is not in the store`, {
    next: 'build or pull again what it belongs to',
  });
}

function damaged(digest: Digest): ImageFault {
  return new ImageFault('image/wrong-content', `the blob ${digest} is damaged on disk: its bytes have another sum`, {
    next: 'remove that file from the store, then build or pull again; check the disk',
  });
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
