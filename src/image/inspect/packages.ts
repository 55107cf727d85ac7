import { type Paragraph, parseParagraphs } from '../debian/control.ts';
import type { Digest } from '../digest.ts';
import { type LayoutContent, readImageLayout } from '../layout.ts';
import { layerBytes } from '../lower.ts';
import { readTar } from '../tar/read.ts';

/** A Debian package that lies in an image. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** The source package, and its version where that is another one. */
  readonly source: string;
  readonly sourceVersion: string;
  readonly maintainer?: string;
  readonly homepage?: string;
  /** The layer that says so. */
  readonly layer: Digest;
  /** Text of usr/share/doc/NAME/copyright in the same layer, where it was asked for. */
  readonly copyright?: string;
}

/** Bytes of a status file; that of a whole desktop has some 5 MB. */
const maximumStatus = 64 * 1024 * 1024;
const maximumCopyright = 1024 * 1024;

/**
 * The Debian packages of an image, by name: what scanners read too, var/lib/dpkg/status.d/* (this tool's and distroless
 * images) and var/lib/dpkg/status (other ones). A later layer's word counts.
 *
 * @param options `copyrights`: with the texts of their licences
 * @throws ImageFault image/bad-layout, image/bad-archive
 */
export async function installedPackages(
  image: LayoutContent | string,
  { copyrights = false }: { readonly copyrights?: boolean } = {},
): Promise<InstalledPackage[]> {
  const content = typeof image === 'string' ? await readImageLayout(image) : image;
  const found = new Map<string, InstalledPackage>();
  const texts = new Map<string, string>();
  for (const layer of content.manifest.layers) {
    for await (const entry of readTar(layerBytes(content.layout, layer), `layer ${layer.digest}`)) {
      const { path, type, size } = entry;
      const [, removed] = /^var\/lib\/dpkg\/status\.d\/\.wh\.(.+)$/.exec(path) ?? [];
      if (removed !== undefined) found.delete(removed);
      if (type !== 'file') continue;
      const [, documented] = copyrights ? (/^usr\/share\/doc\/([^/]+)\/copyright$/.exec(path) ?? []) : [];
      if (documented !== undefined && size <= maximumCopyright) texts.set(documented, await textOf(entry));
      if (size > maximumStatus) continue;
      if (path === 'var/lib/dpkg/status') {
        // It lists all that is installed: what it does not name is gone.
        for (const [name, { layer: of }] of found) if (of !== layer.digest) found.delete(name);
        for (const each of packagesIn(await textOf(entry), layer.digest)) found.set(each.name, each);
      } else if (/^var\/lib\/dpkg\/status\.d\/[^/]+$/.test(path) && !path.endsWith('.md5sums')) {
        for (const each of packagesIn(await textOf(entry), layer.digest)) found.set(each.name, each);
      }
    }
  }
  return [...found.values()]
    .map((each) => {
      const copyright = texts.get(each.name);
      return copyright === undefined ? each : { ...each, copyright };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function packagesIn(text: string, layer: Digest): InstalledPackage[] {
  return parseParagraphs(text).flatMap((paragraph) => packageOf(paragraph, layer) ?? []);
}

function packageOf(paragraph: Paragraph, layer: Digest): InstalledPackage | undefined {
  const name = paragraph.get('package');
  const version = paragraph.get('version');
  const status = paragraph.get('status');
  if (!name || !version || (status !== undefined && !/ installed$/.test(status))) return undefined;
  // `Source: glibc (2.36-9)`, or nothing where it is the package itself. Debian Policy 5.6.1.
  const [, source = name, sourceVersion = version] =
    /^(\S+)(?: \(([^)]+)\))?/.exec(paragraph.get('source') ?? '') ?? [];
  const maintainer = paragraph.get('maintainer');
  const homepage = paragraph.get('homepage');
  return {
    name,
    version,
    architecture: paragraph.get('architecture') ?? 'all',
    source,
    sourceVersion,
    ...(maintainer !== undefined && { maintainer }),
    ...(homepage !== undefined && { homepage }),
    layer,
  };
}

async function textOf(entry: { content(): AsyncIterable<Uint8Array> }): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const piece of entry.content()) parts.push(piece);
  return Buffer.concat(parts).toString('utf8');
}
