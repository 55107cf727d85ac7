import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { ImageFault } from './fault.ts';
import { mergedPath } from './merged.ts';
import { comparePaths } from './tar/entry.ts';
import { directoryEntry, fileEntry, type LayerEntry, symlinkEntry } from './tar/write.ts';

/** A file of the image. A folder as `source` is taken with all that is in it. */
export interface ImageFile {
  /** Absolute path in the image. Ending in `/`: the source's name is added. */
  readonly destination: string;
  /** Absolute path on this machine; or `content` in its place. */
  readonly source?: string;
  readonly content?: string | Uint8Array;
  /** A name for what the source holds: with it, a layer that was made of the same before is not made again. */
  readonly identity?: string | undefined;
  /** The id that git gives to the bytes of a source that somebody may edit meanwhile. */
  readonly gitId?: string | undefined;
  /** 0o755 for what its owner may run and 0o644 for the rest unless told: not what the umask of a checkout left. */
  readonly mode?: number | undefined;
  /** Of the folders in a folder that is taken; 0o755 unless told. */
  readonly folderMode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** `app:app` or `1000:1000`, in place of uid and gid: names are those of the image. Root's unless told. */
  readonly owner?: string | undefined;
}

/** A folder of the image, with or without anything in it. */
export interface ImageFolder {
  readonly path: string;
  /** 0o755 unless told. */
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly owner?: string | undefined;
}

/** A symbolic link. An absolute target is looked up in the image. */
export interface ImageLink {
  readonly path: string;
  readonly target: string;
}

/** What lies in one layer. */
export interface LayerContent {
  readonly files?: readonly ImageFile[] | undefined;
  readonly folders?: readonly ImageFolder[] | undefined;
  readonly links?: readonly ImageLink[] | undefined;
}

/**
 * A layer of an image's own files, folders and links.
 *
 * @throws ImageFault image/bad-file
 */
export async function contentEntries({ files = [], folders = [], links = [] }: LayerContent): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = folders.map(({ path, ...owner }) =>
    directoryEntry(pathIn(path), checkedModes(path, owner)),
  );
  for (const { path, target } of links) {
    if (target === '' || /[\0\n]/.test(target))
      throw new ImageFault('image/bad-file', `the link ${path} leads nowhere`);
    entries.push(symlink(pathIn(path), target));
  }
  for (const file of files) {
    const path = destinationOf(file);
    checkedModes(file.destination, file);
    if (file.content !== undefined) entries.push(fileEntry(path, file.content, file));
    else if (file.source !== undefined) await take(file.source, path, file, entries);
    else throw new ImageFault('image/bad-file', `${file.destination} has neither a source nor content`);
  }
  return entries;
}

async function take(source: string, path: string, file: ImageFile, entries: LayerEntry[]): Promise<void> {
  // The source itself may be a link into a cache; links inside of a folder are part of its content.
  const found = await stat(source).catch(() => undefined);
  if (found === undefined) throw new ImageFault('image/bad-file', `${source}, the source of /${path}, does not exist`);
  if (found.isFile()) entries.push(await fromDisk(source, path, file));
  else if (found.isDirectory()) await takeFolder(source, path, file, entries);
  else throw new ImageFault('image/bad-file', `${source} is neither a file nor a folder`);
}

async function takeFolder(source: string, path: string, file: ImageFile, entries: LayerEntry[]): Promise<void> {
  if (path !== '') entries.push(directoryEntry(path, { uid: file.uid, gid: file.gid, mode: file.folderMode }));
  for (const name of (await readdir(source)).sort(comparePaths)) {
    const from = join(source, name);
    const to = pathIn(posix.join('/', path, name));
    const found = await lstat(from);
    if (found.isSymbolicLink()) entries.push(symlink(to, await readlink(from)));
    else if (found.isDirectory()) await takeFolder(from, to, below(file, name), entries);
    else if (found.isFile()) entries.push(await fromDisk(from, to, below(file, name)));
    else throw new ImageFault('image/bad-file', `${from} is neither a file, a folder nor a link`);
  }
}

/** What lies in a folder is named by the folder's content and its place there. */
function below(folder: ImageFile, name: string): ImageFile {
  return folder.identity === undefined ? folder : { ...folder, identity: `${folder.identity}/${name}` };
}

async function fromDisk(
  source: string,
  path: string,
  { mode, uid = 0, gid = 0, gitId, identity }: ImageFile,
): Promise<LayerEntry> {
  const found = await stat(source);
  return {
    path,
    type: 'file',
    mode: (mode ?? ((found.mode & 0o100) !== 0 ? 0o755 : 0o644)) & 0o7777,
    uid,
    gid,
    size: found.size,
    target: '',
    content: { path: source, offset: 0, gitId, identity },
  };
}

function symlink(path: string, target: string): LayerEntry {
  const meant = posix.normalize(posix.join(posix.dirname(path), target));
  if (!target.startsWith('/') && (meant === '..' || meant.startsWith('../'))) {
    throw new ImageFault('image/bad-file', `the link /${path} to ${target} leads out of the image`);
  }
  return symlinkEntry(path, target);
}

function checkedModes<T extends { readonly mode?: number | undefined }>(path: string, file: T): T {
  const { mode } = file;
  if (mode === undefined || (Number.isInteger(mode) && mode >= 0 && mode <= 0o7777)) return file;
  throw new ImageFault('image/bad-file', `${mode.toString(8)} is not a mode that ${path} can have`);
}

function destinationOf({ destination, source }: ImageFile): string {
  if (destination.endsWith('/') && source === undefined) {
    throw new ImageFault('image/bad-file', `${JSON.stringify(destination)} names a folder, content needs a file`, {
      next: 'add the name of the file',
    });
  }
  return pathIn(destination.endsWith('/') && source !== undefined ? `${destination}${basename(source)}` : destination);
}

/** `/bin/x/` -> `usr/bin/x`: where it lies in a layer. */
function pathIn(text: string): string {
  const bad = (why: string, next?: string) =>
    new ImageFault('image/bad-file', `${JSON.stringify(text)} ${why}`, { next });
  if (!text.startsWith('/')) throw bad('is not a path in an image', 'begin it with /');
  if (text.includes('\0') || text.split('/').includes('..')) throw bad('is not a usable path in an image');
  const path = posix.normalize(text).replace(/^\/+/, '').replace(/\/+$/, '');
  if (path === '') throw bad('is the root of the image');
  if (Buffer.byteLength(path) > 4096 || path.split('/').some((part) => Buffer.byteLength(part) > 255)) {
    throw bad('is longer than a path may be');
  }
  // Overlay file systems read these as orders to hide what lies below. image-spec layer.md, "Whiteouts".
  if (path.split('/').some((part) => part.startsWith('.wh.'))) throw bad('is a name that layers use to remove files');
  return mergedPath(path);
}
