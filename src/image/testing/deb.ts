import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { arrange, fileEntry, type LayerEntry, writeTar } from '../tar/write.ts';

/** An archive with these entries, in this order and as they are. */
export async function tarOf(entries: readonly LayerEntry[]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const piece of writeTar(entries)) parts.push(Buffer.from(piece));
  return Buffer.concat(parts);
}

/** An `ar` archive of the members. */
export function arOf(members: readonly (readonly [name: string, content: Buffer])[]): Buffer {
  const parts: Buffer[] = [Buffer.from('!<arch>\n')];
  for (const [name, content] of members) {
    const header = `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(content.length).padEnd(10)}\`\n`;
    parts.push(Buffer.from(header), content, Buffer.alloc(content.length % 2, '\n'));
  }
  return Buffer.concat(parts);
}

export interface DebDescription {
  readonly name: string;
  readonly version?: string;
  /** Further fields of the control file, a line each. */
  readonly fields?: readonly string[];
  /** Further files of its control archive, by name. */
  readonly control?: Readonly<Record<string, string>>;
  readonly entries?: readonly LayerEntry[];
  /** In place of what the entries give. */
  readonly data?: readonly [name: string, content: Buffer];
}

/** A Debian package as dpkg reads it. */
export async function debOf({
  name,
  version = '1.0',
  fields = [],
  control: more = {},
  entries = [],
  data,
}: DebDescription): Promise<Buffer> {
  const control = [
    `Package: ${name}`,
    `Version: ${version}`,
    'Architecture: amd64',
    'Maintainer: nobody <nobody@example.org>',
    ...fields,
  ];
  const controlTar = await tarOf([
    fileEntry('control', `${[...control, 'Description: for a test'].join('\n')}\n`),
    ...Object.entries(more).map(([file, text]) => fileEntry(file, text)),
  ]);
  return arOf([
    ['debian-binary', Buffer.from('2.0\n')],
    ['control.tar.gz', gzipSync(controlTar)],
    data ?? ['data.tar.gz', gzipSync(await tarOf(arrange(entries)))],
  ]);
}

export async function writeDeb(path: string, description: DebDescription): Promise<void> {
  await writeFile(path, await debOf(description));
}
