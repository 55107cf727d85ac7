import { ImageFault } from '../fault.ts';
import { ByteReader, type ByteSource } from './bytes.ts';
import { type EntryType, parentOf, type TarHeader } from './entry.ts';
import { attributePrefix, blockSize, checksum } from './header.ts';

/** An entry as it is read. Its content must be used before the next entry is asked for; what is left of it is skipped. */
export interface ReadEntry extends TarHeader {
  /** Where the content begins in the uncompressed archive. */
  readonly offset: number;
  content(): AsyncGenerator<Uint8Array>;
}

/** Bounds against archives made to exhaust a machine. */
export interface TarLimits {
  readonly entries: number;
  /** Bytes of all contents together. */
  readonly totalSize: number;
}

/** The largest Debian packages have some 50,000 files and unpack to less than 4 GiB. */
export const defaultLimits: TarLimits = { entries: 500_000, totalSize: 16 * 1024 ** 3 };

/** Bytes of zeros behind an archive: tar fills its last record, of 10 kB mostly, and nobody's is longer than this. */
const maximumTail = 16 * 1024 ** 2;
/** Bytes; PATH_MAX of Linux. */
const maximumPath = 4096;
/** Bytes of one extended header: names and numbers only, so that this is generous. */
const maximumExtension = 64 * 1024;

/**
 * Reads a tar archive (ustar, pax, GNU long names) in constant memory, but for the paths.
 *
 * Refused: paths that are absolute or hold `..`, relative symbolic links that climb out of the root, hard links to
 * anything but an earlier file, something below what is no folder, a path twice, devices, pipes, sparse files, wrong
 * check sums, bytes after the end.
 *
 * @param what names the archive in faults
 * @param special for layers of images that others made, of which nothing is unpacked: is told of devices and pipes (`target` says
 * which), and then paths twice, absolute ones, and links that lead anywhere are taken too, as runtimes take them, and extended attributes
 * are told of
 * @throws ImageFault image/bad-archive, image/too-large
 */
export async function* readTar(
  source: ByteSource,
  what: string,
  limits: TarLimits = defaultLimits,
  special?: (entry: Omit<TarHeader, 'type'>) => void,
): AsyncGenerator<ReadEntry> {
  const reader = new ByteReader(source, what);
  try {
    yield* entriesOf(reader, what, limits, special);
  } finally {
    await reader.close();
  }
}

type Special = ((entry: Omit<TarHeader, 'type'>) => void) | undefined;

async function* entriesOf(
  reader: ByteReader,
  what: string,
  limits: TarLimits,
  special: Special,
): AsyncGenerator<ReadEntry> {
  const bad = (why: string) => new ImageFault('image/bad-archive', `${what} ${why}`);
  const seen = new Map<string, EntryType>();
  let extension: Extension = {};
  let count = 0;
  let extensions = 0;
  let total = 0;
  for (;;) {
    const block = await reader.take(blockSize);
    if (block === undefined) throw bad('ends without an end-of-archive mark');
    if (block.length < blockSize) throw bad('is cut off');
    if (isZero(block)) break;
    if (checksum(block) !== number(block, 148, 8, bad))
      throw bad(`has a damaged header at ${reader.position - blockSize}`);
    const flag = String.fromCharCode(block[156] ?? 0);
    const ownSize = number(block, 124, 12, bad);
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
      if (ownSize > maximumExtension) throw bad(`has an extended header of ${ownSize} bytes`);
      // A long name, a long target and a pax header for each entry, at most.
      extensions += 1;
      if (extensions > 3 * limits.entries)
        throw tooLarge(`${what} has more than ${3 * limits.entries} extended headers`);
      const body = (await reader.take(ownSize)) ?? Buffer.alloc(0);
      await reader.skip((blockSize - (ownSize % blockSize)) % blockSize);
      if (flag === 'x') extension = { ...extension, ...parsePax(body, bad) };
      else if (flag === 'L') extension = { ...extension, path: untilNul(body, bad) };
      else if (flag === 'K') extension = { ...extension, linkpath: untilNul(body, bad) };
      // A global header ('g') holds comments such as git's commit id. A path or size for all entries makes no sense, and some readers take it.
      else if (Object.keys(parsePax(body, bad)).length > 0) throw bad('says in a global header what each entry says');
      continue;
    }
    count += 1;
    if (count > limits.entries) throw tooLarge(`${what} has more than ${limits.entries} entries`);
    if (special !== undefined && (flag === '3' || flag === '4' || flag === '6')) {
      // As a file without content: only what it is differs.
      const header = parseHeader(block, '0', 0, { ...extension, size: 0 }, bad, true);
      extension = {};
      special({ ...header, target: kindOf(flag) });
      continue;
    }
    const header = parseHeader(block, flag, ownSize, extension, bad, special !== undefined);
    extension = {};
    total += header.size;
    if (total > limits.totalSize) throw tooLarge(`${what} unpacks to more than ${limits.totalSize} bytes`);
    if (special === undefined) {
      checkAgainst(seen, header, bad);
      seen.set(header.path, header.type);
    }
    const offset = reader.position;
    yield { ...header, offset, content: () => reader.stream(offset + header.size - reader.position) };
    await reader.skip(offset + Math.ceil(header.size / blockSize) * blockSize - reader.position);
  }
  const second = await reader.take(blockSize);
  if (second === undefined || second.length < blockSize || !isZero(second))
    throw bad('ends without an end-of-archive mark');
  let tail = 0;
  for (let rest = await reader.take(blockSize); rest !== undefined; rest = await reader.take(blockSize)) {
    if (!isZero(rest)) throw bad('has bytes after its end');
    tail += rest.length;
    if (tail > maximumTail) throw tooLarge(`${what} has more than ${maximumTail} bytes after its end`);
  }
}

interface Extension {
  readonly path?: string;
  readonly linkpath?: string;
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** What a file can do and what its owner has noted; not labels of the machine where a layer was made, nor marks of overlay file systems. */
function isKeptAttribute(name: string): boolean {
  return name === 'security.capability' || /^user\.(?!overlay\.)[!-~]{1,200}$/.test(name);
}

type Bad = (why: string) => ImageFault;

function parseHeader(
  block: Buffer,
  flag: string,
  ownSize: number,
  extension: Extension,
  bad: Bad,
  foreign: boolean,
): TarHeader {
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? utf8(block, 345, 155, bad) : '';
  const name = utf8(block, 0, 100, bad);
  const raw = extension.path ?? (prefix === '' ? name : `${prefix}/${name}`);
  const shown = JSON.stringify(raw.slice(0, 200));
  const type = typeOf(flag, raw);
  if (type === undefined) throw bad(`holds ${shown}, which is a ${kindOf(flag)}: an image has no use for it`);
  const size = extension.size ?? ownSize;
  if (type !== 'file' && size !== 0) throw bad(`has content for ${shown}, which is a ${type}`);
  const path = cleanPath(raw, bad, foreign);
  if (path === '' && type !== 'directory') throw bad(`has a ${type} in place of its root folder`);
  const link = type === 'symlink' || type === 'hardlink' ? (extension.linkpath ?? utf8(block, 157, 100, bad)) : '';
  return {
    path,
    type,
    mode: number(block, 100, 8, bad) & 0o7777,
    uid: extension.uid ?? number(block, 108, 8, bad),
    gid: extension.gid ?? number(block, 116, 8, bad),
    size,
    target:
      type === 'hardlink'
        ? cleanPath(link, bad, foreign)
        : type === 'symlink'
          ? cleanTarget(path, link, bad, foreign)
          : '',
    ...(foreign && type === 'file' && extension.attributes !== undefined && { attributes: extension.attributes }),
  };
}

function typeOf(flag: string, path: string): EntryType | undefined {
  if (flag === '0' || flag === '\0') return path.endsWith('/') ? 'directory' : 'file';
  if (flag === '1') return 'hardlink';
  if (flag === '2') return 'symlink';
  if (flag === '5') return 'directory';
  return undefined;
}

function kindOf(flag: string): string {
  const kinds: Readonly<Record<string, string>> = {
    3: 'character device',
    4: 'block device',
    6: 'named pipe',
    7: 'contiguous file',
    S: 'sparse file',
  };
  return kinds[flag] ?? `entry of the unknown type ${JSON.stringify(flag)}`;
}

/** `./usr/bin/` -> `usr/bin`. */
function cleanPath(raw: string, bad: Bad, foreign: boolean): string {
  const shown = JSON.stringify(raw.slice(0, 200));
  if (raw === '' || raw.includes('\0')) throw bad(`has an entry with the unusable name ${shown}`);
  if (Buffer.byteLength(raw) > maximumPath) throw bad(`has a path of more than ${maximumPath} bytes, ${shown}...`);
  if (raw.startsWith('/') && !foreign) throw bad(`has the absolute path ${shown}`);
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw bad(`has the path ${shown}, which leads out of the archive`);
  if (parts.some((part) => Buffer.byteLength(part) > 255)) throw bad(`has a name of more than 255 bytes in ${shown}`);
  return parts.join('/');
}

/** An absolute target is looked up below the image's root when the image runs; a relative one must not climb above it. */
function cleanTarget(path: string, target: string, bad: Bad, foreign: boolean): string {
  const shown = `the symbolic link ${JSON.stringify(path)}`;
  if (target === '' || target.includes('\0')) throw bad(`has ${shown} to nowhere`);
  if (Buffer.byteLength(target) > maximumPath) throw bad(`has ${shown} to a path of more than ${maximumPath} bytes`);
  if (target.startsWith('/') || foreign) return target;
  let depth = path.split('/').length - 1;
  for (const part of target.split('/')) {
    if (part === '..') depth -= 1;
    else if (part !== '' && part !== '.') depth += 1;
    if (depth < 0) throw bad(`has ${shown} to ${JSON.stringify(target)}, which leads out of the archive`);
  }
  return target;
}

function checkAgainst(seen: ReadonlyMap<string, EntryType>, header: TarHeader, bad: Bad): void {
  const before = seen.get(header.path);
  if (before !== undefined && (before !== 'directory' || header.type !== 'directory')) {
    throw bad(`has the path ${JSON.stringify(header.path)} twice`);
  }
  for (let parent = parentOf(header.path); parent !== ''; parent = parentOf(parent)) {
    const type = seen.get(parent);
    if (type !== undefined && type !== 'directory') {
      throw bad(`has ${JSON.stringify(header.path)} below ${JSON.stringify(parent)}, which is a ${type}`);
    }
  }
  if (header.type === 'hardlink' && seen.get(header.target) !== 'file') {
    throw bad(`has the hard link ${JSON.stringify(header.path)} to ${JSON.stringify(header.target)}, no earlier file`);
  }
}

/** POSIX.1-2017, pax, "pax Extended Header": `LENGTH KEY=VALUE\n`, again and again. */
function parsePax(body: Buffer, bad: Bad): Extension {
  const found: { -readonly [key in keyof Extension]: Extension[key] } = {};
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? '' : body.toString('latin1', at, space);
    const length = /^[1-9][0-9]{0,5}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (length === 0 || end > body.length || body[end - 1] !== 0x0a || end <= space)
      throw bad('has a damaged pax header');
    const equals = body.indexOf(0x3d, space + 1);
    if (equals <= space + 1 || equals >= end) throw bad('has a damaged pax header');
    const key = utf8(body, space + 1, equals - (space + 1), bad, true);
    at = end;
    // Values of extended attributes are bytes of any kind.
    if (key.startsWith(attributePrefix)) {
      const name = key.slice(attributePrefix.length);
      if (isKeptAttribute(name))
        found.attributes = { ...found.attributes, [name]: body.toString('base64', equals + 1, end - 1) };
      continue;
    }
    const value = utf8(body, equals + 1, end - 1 - (equals + 1), bad, true);
    if (key === 'path' || key === 'linkpath') found[key] = value;
    else if (key === 'size' || key === 'uid' || key === 'gid') {
      if (!/^[0-9]{1,15}$/.test(value)) throw bad(`has the pax ${key} ${JSON.stringify(value.slice(0, 40))}`);
      found[key] = Number(value);
    } else if (key.startsWith('GNU.sparse')) throw bad('has a sparse file: an image has no use for it');
  }
  return found;
}

/** An octal field, or GNU's base-256 form for large values. */
function number(block: Buffer, at: number, length: number, bad: Bad): number {
  const first = block[at] ?? 0;
  if (first >= 0x80) {
    if (first !== 0x80) throw bad('has a number that is negative or too large');
    let value = 0;
    for (let index = 1; index < length; index++) value = value * 256 + (block[at + index] ?? 0);
    if (!Number.isSafeInteger(value)) throw bad('has a number that is too large');
    return value;
  }
  const text = block
    .toString('latin1', at, at + length)
    .replace(/[\0 ]+$/, '')
    .trimStart();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw bad(`has ${JSON.stringify(text)} where an octal number should be`);
  return Number.parseInt(text, 8);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(block: Buffer, at: number, length: number, bad: Bad, whole = false): string {
  const field = block.subarray(at, at + length);
  const nul = whole ? -1 : field.indexOf(0);
  try {
    return decoder.decode(nul < 0 ? field : field.subarray(0, nul));
  } catch {
    throw bad('has a name that is not UTF-8');
  }
}

function untilNul(body: Buffer, bad: Bad): string {
  return utf8(body, 0, body.length, bad);
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

function tooLarge(message: string): ImageFault {
  return new ImageFault('image/too-large', message, { next: 'check where the archive comes from' });
}
