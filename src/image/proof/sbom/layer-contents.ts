import { createHash, hash } from 'node:crypto';
import { parseParagraphs } from '../../debian/control.ts';
import { ImageFault } from '../../fault.ts';
import { layerBytes } from '../../lower.ts';
import type { Descriptor } from '../../manifest.ts';
import { type ReadEntry, readTar } from '../../tar/read.ts';
import { licencesOfCopyright } from './licence.ts';

/** What one layer tells of where its files come from. Plain data, to be kept by the layer's digest. */
export interface LayerContents {
  /** Debian packages whose control data is there. */
  readonly packages: readonly InstalledPackage[];
  /** Folder of usr/share/doc -> licences that its copyright file names. */
  readonly licences: Readonly<Record<string, readonly string[]>>;
  /** Folder of usr/share/doc -> SHA-256 of its copyright file, where that names no licence. */
  readonly unread: Readonly<Record<string, string>>;
  /** Folder of usr/share/doc that is a link -> the folder it stands for. */
  readonly links: Readonly<Record<string, string>>;
  /** `ID` and `VERSION_ID` of os-release. */
  readonly system?: { readonly id: string; readonly version: string };
  /** Files, where the layer has no package; at most `maximumFiles`, and how many there are. */
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
  readonly fileCount: number;
}

export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Name of the source package. */
  readonly source: string;
}

/** Goes up when the same layer is told of in another way. */
export const layerContentsFormat = 2;

/** Files of one layer that are listed. */
const maximumFiles = 2000;
/** Bytes of a text that is read whole: the status file of a system with some thousand packages, a long copyright file. */
const maximumText = 32 * 1024 * 1024;

/** Reads a layer of a layout folder. @throws ImageFault image/bad-archive, image/bad-layout */
export async function readLayerContents(layout: string, layer: Descriptor): Promise<LayerContents> {
  const packages: InstalledPackage[] = [];
  const licences: Record<string, readonly string[]> = {};
  const unread: Record<string, string> = {};
  const links: Record<string, string> = {};
  const files: { path: string; sha256: string }[] = [];
  let system: LayerContents['system'];
  let fileCount = 0;
  for await (const entry of readTar(layerBytes(layout, layer), `layer ${layer.digest}`)) {
    const { path, type } = entry;
    const [, folder] = /^usr\/share\/doc\/([^/]+)$/.exec(path) ?? [];
    if (type === 'symlink' && folder !== undefined) links[folder] = entry.target.split('/').at(-1) ?? '';
    if (type !== 'file') continue;
    fileCount += 1;
    const [, documented] = /^usr\/share\/doc\/([^/]+)\/copyright$/.exec(path) ?? [];
    if (documented !== undefined) {
      const bytes = await bytesOf(entry);
      const named = licencesOfCopyright(bytes.toString('utf8'));
      licences[documented] = named;
      if (named.length === 0) unread[documented] = hash('sha256', bytes);
    } else if (/^var\/lib\/dpkg\/(status|status\.d\/[^/]+)$/.test(path) && !path.endsWith('.md5sums'))
      packages.push(...packagesOf(await textOf(entry)));
    else if (path === 'usr/lib/os-release' || path === 'etc/os-release')
      system = systemOf(await textOf(entry)) ?? system;
    // Known only at the end: a layer with a package is told of by the package.
    else if (packages.length === 0 && files.length < maximumFiles) files.push({ path, sha256: await sumOf(entry) });
  }
  return {
    packages,
    licences,
    unread,
    links,
    ...(system !== undefined && { system }),
    files: packages.length > 0 ? [] : files,
    fileCount: packages.length > 0 ? 0 : fileCount,
  };
}

async function textOf(entry: ReadEntry): Promise<string> {
  return (await bytesOf(entry)).toString('utf8');
}

async function bytesOf(entry: ReadEntry): Promise<Buffer> {
  if (entry.size > maximumText) throw new ImageFault('image/too-large', `${entry.path} has ${entry.size} bytes`);
  const parts: Uint8Array[] = [];
  for await (const piece of entry.content()) parts.push(piece);
  return Buffer.concat(parts);
}

async function sumOf(entry: ReadEntry): Promise<string> {
  const sum = createHash('sha256');
  for await (const piece of entry.content()) sum.update(piece);
  return sum.digest('hex');
}

function packagesOf(text: string): InstalledPackage[] {
  return parseParagraphs(text).flatMap((paragraph) => {
    const name = paragraph.get('package');
    const version = paragraph.get('version');
    const status = paragraph.get('status') ?? 'install ok installed';
    if (name === undefined || version === undefined || !status.endsWith(' installed')) return [];
    // `glibc (2.36-9)`: the version is there where it is another than the package's.
    const source = paragraph.get('source')?.split(' ')[0] ?? name;
    return [{ name, version, architecture: paragraph.get('architecture') ?? 'all', source }];
  });
}

/** os-release(5). */
function systemOf(text: string): LayerContents['system'] {
  const value = (key: string) => new RegExp(`^${key}="?([A-Za-z0-9._-]+)"?$`, 'm').exec(text)?.[1];
  const id = value('ID');
  return id === undefined ? undefined : { id, version: value('VERSION_ID') ?? '' };
}
