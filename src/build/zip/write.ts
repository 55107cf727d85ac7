import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

/** A file of a ZIP archive, or a folder where the name ends in `/`. */
export interface ZipEntry {
  /** Relative, with `/` between parts. */
  readonly name: string;
  /** As it is stored: compressed where `method` says so. */
  readonly data: Uint8Array;
  /** APPNOTE 4.4.5: 0 stored, 8 deflated. */
  readonly method: 0 | 8;
  /** Of the uncompressed bytes. */
  readonly crc: number;
  /** Uncompressed bytes. */
  readonly size: number;
  readonly executable: boolean;
}

/**
 * An entry with these bytes as they are. Nothing is compressed here: what zlib makes of the same bytes differs from one
 * version and processor to another, and archives are the same wherever they are made.
 */
export function stored(name: string, data: Uint8Array, executable = false): ZipEntry {
  return { name, data, method: 0, crc: crc32(data), size: data.length, executable };
}

/** 1980-01-01 00:00, the first moment that the format knows. APPNOTE 4.4.6. */
const date = 0x0021;
const utf8Names = 0x0800;

/**
 * Writes a ZIP archive (APPNOTE.TXT 6.3) with the entries in the order given, all of one time.
 *
 * @param prefix bytes before the archive, such as a `#!` line
 */
export async function writeZip(
  path: string,
  entries: readonly ZipEntry[],
  options: { readonly prefix?: string; readonly mode?: number } = {},
): Promise<void> {
  const file = await open(path, 'w', options.mode ?? 0o644);
  try {
    const directory: Buffer[] = [];
    let offset = 0;
    const put = async (bytes: Uint8Array) => {
      await file.writeFile(bytes);
      offset += bytes.length;
    };
    if (options.prefix !== undefined) await put(Buffer.from(options.prefix));
    for (const entry of entries) {
      const at = offset;
      if (at + entry.data.length > 0xffff_fff0) throw new Error(`${path} would be larger than 4 GiB`);
      await put(Buffer.concat([localHeader(entry), entry.data]));
      directory.push(centralHeader(entry, at));
    }
    await put(endOfArchive(directory, offset));
    if (options.mode !== undefined) await file.chmod(options.mode);
  } finally {
    await file.close();
  }
}

function localHeader(entry: ZipEntry): Buffer {
  const name = Buffer.from(entry.name);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(20, 4);
  writeCommon(header, 6, entry, name.length);
  return Buffer.concat([header, name]);
}

function centralHeader(entry: ZipEntry, offset: number): Buffer {
  const name = Buffer.from(entry.name);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  // Made by version 2.0 on Unix: the attributes hold a mode.
  header.writeUInt16LE((3 << 8) | 20, 4);
  header.writeUInt16LE(20, 6);
  writeCommon(header, 8, entry, name.length);
  const folder = entry.name.endsWith('/');
  const mode = folder ? 0o40755 : entry.executable ? 0o100755 : 0o100644;
  header.writeUInt32LE(((mode << 16) | (folder ? 0x10 : 0)) >>> 0, 38);
  header.writeUInt32LE(offset, 42);
  return Buffer.concat([header, name]);
}

/** The fields that both headers have, from the flags on. */
function writeCommon(header: Buffer, at: number, entry: ZipEntry, nameLength: number): void {
  header.writeUInt16LE(utf8Names, at);
  header.writeUInt16LE(entry.method, at + 2);
  header.writeUInt16LE(0, at + 4);
  header.writeUInt16LE(date, at + 6);
  header.writeUInt32LE(entry.crc, at + 8);
  header.writeUInt32LE(entry.data.length, at + 12);
  header.writeUInt32LE(entry.size, at + 16);
  header.writeUInt16LE(nameLength, at + 20);
}

function endOfArchive(directory: readonly Buffer[], offset: number): Buffer {
  const entries = Buffer.concat(directory);
  const count = directory.length;
  const parts = [entries];
  if (count >= 0xffff) {
    // APPNOTE 4.3.14 and 4.3.15: more entries than 16 bits hold.
    const record = Buffer.alloc(56);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(44n, 4);
    record.writeUInt16LE((3 << 8) | 45, 12);
    record.writeUInt16LE(45, 14);
    record.writeBigUInt64LE(BigInt(count), 24);
    record.writeBigUInt64LE(BigInt(count), 32);
    record.writeBigUInt64LE(BigInt(entries.length), 40);
    record.writeBigUInt64LE(BigInt(offset), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(BigInt(offset + entries.length), 8);
    locator.writeUInt32LE(1, 16);
    parts.push(record, locator);
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(count, 0xffff), 8);
  end.writeUInt16LE(Math.min(count, 0xffff), 10);
  end.writeUInt32LE(entries.length, 12);
  end.writeUInt32LE(offset, 16);
  parts.push(end);
  return Buffer.concat(parts);
}
