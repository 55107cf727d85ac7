import { readFile } from 'node:fs/promises';
import { crc32, inflateRawSync } from 'node:zlib';
import { BuildFault } from '../fault.ts';
import type { ZipEntry } from './write.ts';

/** Bytes of an entry that is unpacked here: texts of META-INF, not contents. */
const maximumText = 4 * 1024 * 1024;

/**
 * Reads a ZIP archive (APPNOTE.TXT 6.3) by its central directory, without unpacking the entries.
 *
 * @param shown what errors call the archive
 * @throws BuildFault build/bad-archive
 */
export async function readZip(path: string, shown: string): Promise<ZipEntry[]> {
  const bytes = await readFile(path);
  const bad = (what: string) =>
    new BuildFault('build/bad-archive', `${shown} is no usable ZIP archive: ${what}`, {
      next: 'make or fetch it anew',
    });
  const end = findEnd(bytes);
  if (end < 0) throw bad('it has no end record');
  let count = bytes.readUInt16LE(end + 10);
  let size = bytes.readUInt32LE(end + 12);
  let at = bytes.readUInt32LE(end + 16);
  if (count === 0xffff && end >= 76 && bytes.readUInt32LE(end - 20) === 0x07064b50) {
    const record = Number(bytes.readBigUInt64LE(end - 12));
    if (record + 56 > end || bytes.readUInt32LE(record) !== 0x06064b50) throw bad('its ZIP64 record is not there');
    count = Number(bytes.readBigUInt64LE(record + 32));
    size = Number(bytes.readBigUInt64LE(record + 40));
    at = Number(bytes.readBigUInt64LE(record + 48));
  }
  // Bytes before the archive, such as a #! line, move all offsets where the writer did not count them.
  const moved = count === 0xffff ? 0 : Math.max(0, end - size - at);
  const shift = bytes.length >= at + 4 && at < end && bytes.readUInt32LE(at) === 0x02014b50 ? 0 : moved;
  at += shift;
  const entries: ZipEntry[] = [];
  for (let index = 0; index < count; index++) {
    if (at + 46 > end || bytes.readUInt32LE(at) !== 0x02014b50)
      throw bad(`entry ${index + 1} of ${count} is not there`);
    const flags = bytes.readUInt16LE(at + 8);
    const method = bytes.readUInt16LE(at + 10);
    const crc = bytes.readUInt32LE(at + 16);
    const packed = bytes.readUInt32LE(at + 20);
    const unpacked = bytes.readUInt32LE(at + 24);
    const nameLength = bytes.readUInt16LE(at + 28);
    const mode = bytes.readUInt32LE(at + 38) >>> 16;
    const local = bytes.readUInt32LE(at + 42) + shift;
    const name = bytes.toString('utf8', at + 46, at + 46 + nameLength);
    if (
      name === '' ||
      name.startsWith('/') ||
      name.includes('\\') ||
      name.includes('\0') ||
      name.split('/').includes('..')
    ) {
      throw bad(`the name ${JSON.stringify(name)} leads out of it`);
    }
    if ((flags & 1) !== 0) throw bad(`${name} is encrypted`);
    if (method !== 0 && method !== 8) throw bad(`${name} is compressed by method ${method}`);
    if (local + 30 > end || bytes.readUInt32LE(local) !== 0x04034b50) throw bad(`${name} is not where it should be`);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    if (start + packed > end || (method === 0 && packed !== unpacked)) throw bad(`${name} is cut short`);
    entries.push({
      name,
      data: bytes.subarray(start, start + packed),
      method,
      crc,
      size: unpacked,
      executable: (mode & 0o100) !== 0,
    });
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return entries;
}

/** APPNOTE 4.3.16: the end record is at the end, before a comment of at most 65,535 bytes. */
function findEnd(bytes: Buffer): number {
  for (let at = bytes.length - 22; at >= 0 && at >= bytes.length - 22 - 0xffff; at--) {
    if (bytes.readUInt32LE(at) === 0x06054b50 && at + 22 + bytes.readUInt16LE(at + 20) === bytes.length) return at;
  }
  return -1;
}

/**
 * The bytes of an entry.
 *
 * @param maximum bytes that it may have: those of a small text unless told
 * @throws BuildFault build/bad-archive
 */
export function unpack(entry: ZipEntry, shown: string, maximum = maximumText): Buffer {
  const bad = (what: string) => new BuildFault('build/bad-archive', `${entry.name} in ${shown} ${what}`);
  if (entry.size > maximum) throw bad(`is larger than ${maximum} bytes`);
  let data: Buffer;
  try {
    data =
      entry.method === 0
        ? Buffer.from(entry.data)
        : inflateRawSync(entry.data, { maxOutputLength: Math.max(1, entry.size) });
  } catch {
    throw bad('can not be unpacked');
  }
  if (data.length !== entry.size || crc32(data) !== entry.crc) throw bad('has a wrong sum');
  return data;
}
