import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { bounded } from '../bounded.ts';
import { ImageFault } from '../fault.ts';
import { readTar } from '../tar/read.ts';
import { type ArMember, readAr } from './ar.ts';
import { compressionOf, decompress } from './decompress.ts';

/** Format: deb(5), version 2.0. */
export interface DebFile {
  readonly path: string;
  /** The text of its control file: name, version, dependencies, description. */
  readonly control: string;
  /** Sums of its files, as md5sum(1) writes them; empty where it has none. */
  readonly md5sums: string;
  /** The script that an installation would run after unpacking. It is read, never run. */
  readonly postinst: string;
  /** The script that it would run before. */
  readonly preinst: string;
  /** The files that it installs, as an uncompressed tar archive. */
  data(): AsyncIterable<Uint8Array>;
}

/** Bytes of a control file; the longest of Debian are below 100 kB. */
const maximumControl = 1024 * 1024;

/** @throws ImageFault image/bad-archive */
export async function openDeb(path: string): Promise<DebFile> {
  const members = await readAr(path);
  const [version, control, ...others] = members.filter((member) => !member.name.startsWith('_'));
  const data = others.find((member) => member.name.startsWith('data.tar'));
  if (version?.name !== 'debian-binary' || !control?.name.startsWith('control.tar') || data === undefined) {
    throw new ImageFault('image/bad-archive', `${path} is not a Debian package: it lacks a member that each has`, {
      notes: [`its members: ${members.map((member) => member.name).join(', ')}`],
    });
  }
  const format = await textOf(stretch(path, version), 64);
  if (!/^2\.\d+\n/.test(format)) {
    throw new ImageFault(
      'image/bad-archive',
      `${path} is a Debian package of the unknown format ${JSON.stringify(format)}`,
    );
  }
  return { path, ...(await readControl(path, control)), data: () => unpack(path, data) };
}

async function readControl(path: string, member: ArMember): Promise<Omit<DebFile, 'path' | 'data'>> {
  const limits = { entries: 1000, totalSize: 64 * 1024 * 1024 };
  const found: Record<string, string> = {};
  for await (const entry of readTar(unpack(path, member), `${path}: ${member.name}`, limits)) {
    if (entry.type !== 'file' || !['control', 'md5sums', 'postinst', 'preinst'].includes(entry.path)) continue;
    const maximum = entry.path === 'control' ? maximumControl : limits.totalSize;
    if (entry.size > maximum)
      throw new ImageFault('image/too-large', `${path} has a file ${entry.path} of ${entry.size} bytes`);
    found[entry.path] = await textOf(entry.content(), maximum);
  }
  const { control, md5sums = '', postinst = '', preinst = '' } = found;
  if (control === undefined) throw new ImageFault('image/bad-archive', `${path} has no control file`);
  return { control, md5sums, postinst, preinst };
}

function unpack(path: string, member: ArMember): AsyncGenerator<Uint8Array> {
  const compression = compressionOf(member.name);
  if (compression === undefined) {
    throw new ImageFault('image/bad-archive', `${path} has ${member.name}, whose compression is not known`);
  }
  const what = `${path}: ${member.name}`;
  return bounded(decompress(stretch(path, member), compression, what), member.size, what);
}

function stretch(path: string, member: ArMember): Readable {
  // A stretch of no bytes has no last byte to name.
  if (member.size === 0) throw new ImageFault('image/bad-archive', `${path} has the empty member ${member.name}`);
  return createReadStream(path, {
    start: member.offset,
    end: member.offset + member.size - 1,
    highWaterMark: 256 * 1024,
  });
}

async function textOf(source: AsyncIterable<Uint8Array>, maximum: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    if (bytes > maximum) throw new ImageFault('image/too-large', `a text of more than ${maximum} bytes in a package`);
    parts.push(piece);
  }
  return Buffer.concat(parts).toString('utf8');
}
