import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ImageFault } from '../fault.ts';
import { mergedPath, mergedTarget, rootLinks } from '../merged.ts';
import { hashFile, type Stored } from '../store.ts';
import { comparePaths, type TarHeader } from '../tar/entry.ts';
import { readTar } from '../tar/read.ts';
import { arrange, fileEntry, type LayerEntry, writeTar } from '../tar/write.ts';
import { parseParagraphs } from './control.ts';
import { openDeb } from './deb.ts';
import { finish } from './finish.ts';
import { isKept } from './keep.ts';
import { linksEntry } from './package-links.ts';

export interface DebianLayerOptions {
  /** Keep set-user-id and set-group-id bits; they are dropped unless told, since nothing in a container should need them. */
  readonly keepSetuid?: boolean;
  /** Somebody has looked what its scripts want of update-alternatives and dpkg-divert, and sees to it: what can't be read is no error. */
  readonly scriptsByHand?: boolean | undefined;
}

export interface DebianLayer extends Stored {
  readonly path: string;
  readonly name: string;
  readonly version: string;
}

/**
 * Makes a layer of a Debian package: its files below merged /usr, without manuals and translations, and its control
 * data in var/lib/dpkg/status.d/NAME and NAME.md5sums, where scanners for known vulnerabilities look. No script of the
 * package is run.
 * The same .deb gives the same bytes on every machine.
 *
 * @param output the uncompressed tar file, replaced atomically
 * @throws ImageFault image/bad-archive, image/too-large, image/bad-file
 */
export async function debianLayer(deb: string, output: string, options: DebianLayerOptions = {}): Promise<DebianLayer> {
  const { control, md5sums, preinst, postinst, data } = await openDeb(deb);
  const [paragraph] = parseParagraphs(control);
  const name = paragraph?.get('package') ?? '';
  const version = paragraph?.get('version') ?? '';
  // The name becomes a file's name. Debian Policy 5.6.1.
  if (!/^[a-z0-9][a-z0-9+.-]+$/.test(name) || version === '') {
    throw new ImageFault('image/bad-archive', `${deb} has a control file without a usable name and version`);
  }
  await mkdir(dirname(output), { recursive: true });
  const partial = `${output}.${randomBytes(6).toString('hex')}`;
  const unpacked = `${partial}.data`;
  try {
    // Sorting needs every header before the first content: the archive is laid on disk, and only its headers in memory.
    await pipeline(Readable.from(data()), createWriteStream(unpacked, { mode: 0o600 }));
    const entries = await layerEntries(deb, unpacked, options);
    const finished = await finish(name, entries, { preinst, postinst });
    if (!options.scriptsByHand) refuseUnread(name, finished.unread);
    entries.push(...finished.entries, ...linksEntry(name, finished.links));
    const sums = keptSums(md5sums, entries);
    entries.push(fileEntry(`var/lib/dpkg/status.d/${name}`, `${control.trimEnd()}\n`));
    if (sums !== '') entries.push(fileEntry(`var/lib/dpkg/status.d/${name}.md5sums`, sums));
    await pipeline(Readable.from(writeTar(arrange(entries))), createWriteStream(partial, { mode: 0o444 }));
    const stored = await hashFile(partial);
    await rename(partial, output);
    return { ...stored, path: output, name, version };
  } finally {
    await rm(unpacked, { force: true });
    await rm(partial, { force: true });
  }
}

async function layerEntries(deb: string, archive: string, options: DebianLayerOptions): Promise<LayerEntry[]> {
  const all: LayerEntry[] = [];
  for await (const entry of readTar(createReadStream(archive, { highWaterMark: 256 * 1024 }), deb)) {
    if (entry.path === '' || isRootLink(entry)) continue;
    refuse(deb, entry);
    const { path, type, uid, gid, size, offset } = entry;
    const mode = options.keepSetuid || type !== 'file' ? entry.mode : entry.mode & 0o1777;
    const header = { type, mode, uid, gid, size, path: mergedPath(path) };
    if (type === 'file') all.push({ ...header, target: '', content: { path: archive, offset } });
    else if (type === 'symlink') all.push({ ...header, mode: 0o777, target: mergedTarget(path, entry.target) });
    else all.push({ ...header, target: type === 'hardlink' ? mergedPath(entry.target) : '' });
  }
  return withoutDropped(all);
}

/** Newer releases ship the links of merged /usr in a package; every image has them already. */
function isRootLink({ path, type, target }: TarHeader): boolean {
  return type === 'symlink' && rootLinks[path] === target.replace(/^(\.\/|\/)/, '').replace(/\/$/, '');
}

/** What would change other packages' layers, or what scanners are told of them. */
function refuse(deb: string, { path, type }: TarHeader): void {
  const bad = (why: string) => new ImageFault('image/bad-archive', `${deb} holds ${JSON.stringify(path)}, ${why}`);
  if (path.split('/').some((part) => part.startsWith('.wh.'))) throw bad('by which a layer removes files of others');
  if (rootLinks[path] !== undefined && type !== 'directory') throw bad('in place of a link that every image has');
  const hidden = /^var\/lib\/dpkg\/(status|status\.d|links\.d)(\/|$)/.test(path) && type !== 'directory';
  if (hidden) throw bad('which says what is installed');
}

/** A program that is not found, or another one in its place, is found out about late. */
function refuseUnread(name: string, [first, ...others]: readonly string[]): void {
  if (first === undefined) return;
  throw new ImageFault(
    'image/package-script',
    `the installation script of ${name} makes links that can't be told from its text, and no script is run`,
    {
      notes: [first, ...others].map((command) => `it has: ${command}`),
      next: `name the links that its programs need in the symlinks of docker_image, and ${name} in scripts_by_hand of debian_packages`,
    },
  );
}

/** Sums of the files that stay, at the paths that they have here. */
function keptSums(md5sums: string, entries: readonly LayerEntry[]): string {
  const kept = new Set(entries.map(({ path }) => path));
  return md5sums
    .split('\n')
    .flatMap((line) => {
      const [, sum, path] = /^([0-9a-f]{32}) [ *](.+)$/.exec(line) ?? [];
      const merged = path === undefined ? '' : mergedPath(path.replace(/^\.?\//, ''));
      return sum !== undefined && kept.has(merged) ? [`${sum}  ${merged}\n`] : [];
    })
    .sort()
    .join('');
}

/** Leaves out what an image has no use for. A kept hard link to a dropped file becomes the file. */
function withoutDropped(all: readonly LayerEntry[]): LayerEntry[] {
  const kept = all.filter((entry) => isKept(entry.path, entry.type));
  const names = new Set(kept.map((entry) => entry.path));
  const files = new Map(all.filter((entry) => entry.type === 'file').map((entry) => [entry.path, entry]));
  const heir = new Map<string, string>();
  return kept
    .toSorted((a, b) => comparePaths(a.path, b.path))
    .map((entry) => {
      if (entry.type !== 'hardlink' || names.has(entry.target)) return entry;
      const first = heir.get(entry.target);
      if (first !== undefined) return { ...entry, target: first };
      heir.set(entry.target, entry.path);
      const file = files.get(entry.target);
      return file === undefined ? entry : { ...file, path: entry.path };
    });
}
