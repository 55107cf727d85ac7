import type { TarHeader } from './entry.ts';

/** Everything in a tar archive comes in blocks of this many bytes. POSIX.1-2017, pax, "ustar Interchange Format". */
export const blockSize = 512;

const typeFlags = { file: '0', hardlink: '1', symlink: '2', directory: '5' } as const;

/** Before the name of an extended attribute: what star, GNU tar, libarchive and Go write. */
export const attributePrefix = 'SCHILY.xattr.';

/** The largest number of an 11-digit (size) and of a 7-digit (uid, gid) octal field. */
const maximumSize = 0o77777777777;
const maximumId = 0o7777777;

/**
 * The blocks before an entry's content. A pax header goes first where ustar's fields are too small for a name
 * (100 bytes, ASCII), a size (8 GiB) or an id. All times are 0, all owners' names empty: the bytes depend on the header only.
 */
export function encodeHeader(header: TarHeader): Buffer {
  const path = header.type === 'directory' ? `${header.path}/` : header.path;
  const records: [string, string | Buffer][] = [];
  if (!fits(path)) records.push(['path', path]);
  if (!fits(header.target)) records.push(['linkpath', header.target]);
  if (header.size > maximumSize) records.push(['size', String(header.size)]);
  if (header.uid > maximumId) records.push(['uid', String(header.uid)]);
  if (header.gid > maximumId) records.push(['gid', String(header.gid)]);
  for (const [name, value] of Object.entries(header.attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
    records.push([`${attributePrefix}${name}`, Buffer.from(value, 'base64')]);
  const own = block({
    name: ascii(path),
    mode: header.mode,
    uid: Math.min(header.uid, maximumId),
    gid: Math.min(header.gid, maximumId),
    size: Math.min(header.size, maximumSize),
    flag: typeFlags[header.type],
    link: ascii(header.target),
  });
  if (records.length === 0) return own;
  const text = Buffer.concat(records.map(([key, value]) => record(key, value)));
  const pax = block({ name: 'PaxHeader', mode: 0o644, uid: 0, gid: 0, size: text.length, flag: 'x', link: '' });
  return Buffer.concat([pax, text, padding(text.length), own]);
}

/** Zeros from the end of a content to the next block. */
export function padding(size: number): Buffer {
  return Buffer.alloc((blockSize - (size % blockSize)) % blockSize);
}

/** Two blocks of zeros end an archive. */
export const endOfArchive = Buffer.alloc(2 * blockSize);

interface Fields {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly flag: string;
  readonly link: string;
}

function block(fields: Fields): Buffer {
  const out = Buffer.alloc(blockSize);
  out.write(fields.name, 0, 100, 'latin1');
  octal(out, fields.mode & 0o7777, 100, 8);
  octal(out, fields.uid, 108, 8);
  octal(out, fields.gid, 116, 8);
  octal(out, fields.size, 124, 12);
  octal(out, 0, 136, 12);
  out.write('        ', 148, 8, 'latin1');
  out.write(fields.flag, 156, 1, 'latin1');
  out.write(fields.link, 157, 100, 'latin1');
  out.write('ustar\0', 257, 6, 'latin1');
  out.write('00', 263, 2, 'latin1');
  octal(out, 0, 329, 8);
  octal(out, 0, 337, 8);
  out.write(`${checksum(out).toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return out;
}

/** Sum of a header's bytes, its own field counted as spaces. */
export function checksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < blockSize; at++) sum += at >= 148 && at < 156 ? 0x20 : (header[at] ?? 0);
  return sum;
}

function octal(out: Buffer, value: number, at: number, length: number): void {
  out.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, length, 'latin1');
}

function fits(text: string): boolean {
  return text.length <= 100 && /^[\x01-\x7f]*$/.test(text);
}

/** What old readers see in place of a long or non-ASCII name. */
function ascii(text: string): string {
  return text.replace(/[^\x01-\x7f]/g, '_').slice(0, 100);
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself too. */
function record(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.byteLength(` ${key}=\n`) + Buffer.byteLength(value);
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), Buffer.from(value as string), Buffer.from('\n')]);
}
