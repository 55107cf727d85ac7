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
  /** 0o755 for what its owner may run and 0o644 for the rest unless told: not what the umask of a checkout left. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * The layer of an image's own files.
 *
 * @throws ImageFault image/bad-file
 */
export async function fileEntries(files: readonly ImageFile[]): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = [];
  for (const file of files) {
    const path = destinationOf(file);
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
  const owner = { ...(file.uid !== undefined && { uid: file.uid }), ...(file.gid !== undefined && { gid: file.gid }) };
  if (path !== '') entries.push(directoryEntry(path, owner));
  for (const name of (await readdir(source)).sort(comparePaths)) {
    const from = join(source, name);
    const to = mergedPath(posix.join(path, name));
    const found = await lstat(from);
    if (found.isSymbolicLink()) entries.push(symlink(to, await readlink(from)));
    else if (found.isDirectory()) await takeFolder(from, to, file, entries);
    else if (found.isFile()) entries.push(await fromDisk(from, to, file));
    else throw new ImageFault('image/bad-file', `${from} is neither a file, a folder nor a link`);
  }
}

async function fromDisk(source: string, path: string, { mode, uid = 0, gid = 0 }: ImageFile): Promise<LayerEntry> {
  const found = await stat(source);
  return {
    path,
    type: 'file',
    mode: (mode ?? ((found.mode & 0o100) !== 0 ? 0o755 : 0o644)) & 0o7777,
    uid,
    gid,
    size: found.size,
    target: '',
    content: { path: source, offset: 0 },
  };
}

function symlink(path: string, target: string): LayerEntry {
  const meant = posix.normalize(posix.join(posix.dirname(path), target));
  if (!target.startsWith('/') && (meant === '..' || meant.startsWith('../'))) {
    throw new ImageFault('image/bad-file', `the link /${path} to ${target} leads out of the image`);
  }
  return symlinkEntry(path, target);
}

function destinationOf({ destination, source }: ImageFile): string {
  const bad = (why: string, next?: string) =>
    new ImageFault('image/bad-file', `${JSON.stringify(destination)} ${why}`, { next });
  if (!destination.startsWith('/')) throw bad('is not a path in an image', 'begin it with /');
  if (destination.includes('\0') || destination.split('/').includes('..'))
    throw bad('is not a usable path in an image');
  if (destination.endsWith('/') && source === undefined)
    throw bad('names a folder, content needs a file', 'add the name of the file');
  const whole = destination.endsWith('/') && source !== undefined ? `${destination}${basename(source)}` : destination;
  const path = posix.normalize(whole).replace(/^\/+/, '').replace(/\/+$/, '');
  if (path === '') throw bad('is the root of the image');
  return mergedPath(path);
}
