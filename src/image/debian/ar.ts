import { open } from 'node:fs/promises';
import { ImageFault } from '../fault.ts';

/** A member of an `ar` archive: a stretch of the file. */
export interface ArMember {
  readonly name: string;
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

const magic = '!<arch>\n';
const headerSize = 60;
/** A Debian package has three members; dpkg allows some more beginning with `_`. */
const maximumMembers = 16;

/**
 * The members of the archive, in order. Format: ar(5), the part that deb(5) uses (no long names, no symbol table).
 *
 * @throws ImageFault image/bad-archive
 */
export async function readAr(path: string): Promise<ArMember[]> {
  const bad = (why: string) => new ImageFault('image/bad-archive', `${path} ${why}`);
  const file = await open(path, 'r');
  try {
    const { size: length } = await file.stat();
    const start = Buffer.alloc(magic.length);
    await file.read(start, 0, start.length, 0);
    if (start.toString('latin1') !== magic)
      throw bad('is not a Debian package: it does not begin as an ar archive does');
    const members: ArMember[] = [];
    for (let at = magic.length; at < length; ) {
      if (members.length === maximumMembers) throw bad(`has more than ${maximumMembers} members`);
      const header = Buffer.alloc(headerSize);
      const { bytesRead } = await file.read(header, 0, headerSize, at);
      if (bytesRead < headerSize || header.toString('latin1', 58, 60) !== '`\n')
        throw bad(`has a damaged header at ${at}`);
      const name = header.toString('latin1', 0, 16).trimEnd().replace(/\/$/, '');
      const size = header.toString('latin1', 48, 58).trimEnd();
      if (!/^[A-Za-z0-9_][A-Za-z0-9._+-]*$/.test(name)) throw bad(`has a member with the name ${JSON.stringify(name)}`);
      if (!/^[0-9]+$/.test(size)) throw bad(`has a member of the size ${JSON.stringify(size)}`);
      const member: ArMember = { name, offset: at + headerSize, size: Number(size) };
      if (member.offset + member.size > length) throw bad(`is cut off in its member ${name}`);
      if (members.some((other) => other.name === name)) throw bad(`has the member ${name} twice`);
      members.push(member);
      // Members begin at even offsets.
      at = member.offset + member.size + (member.size % 2);
    }
    return members;
  } finally {
    await file.close();
  }
}
