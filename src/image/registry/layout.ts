import { link, mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type AnyDigest, isAnyDigest } from '../digest.ts';
import { isRepository } from '../names.ts';
import { linkOrCopy } from '../store.ts';

/** Folder of a repository whose name has been held against the grammar of names. */
export function repositoryFolder(root: string, name: string): string {
  return join(root, 'repositories', ...name.split('/'));
}

/** The digest that a file of 64 or 128 hex digits is named after. */
export function digestOfName(file: string): AnyDigest | undefined {
  const digest = `${file.length === 128 ? 'sha512' : 'sha256'}:${file}`;
  return isAnyDigest(digest) ? digest : undefined;
}

/** Names of all repositories, in their order. */
export async function repositoryNames(root: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string, name: string): Promise<void> => {
    const entries = (await readdir(folder, { withFileTypes: true }).catch(absent)) ?? [];
    // Parts of names never begin with `_`, what belongs to a repository does.
    if (entries.some((entry) => entry.name === '_blobs' || entry.name === '_manifests') && isRepository(name))
      found.push(name);
    for (const entry of entries)
      if (entry.isDirectory() && !entry.name.startsWith('_'))
        await walk(join(folder, entry.name), name === '' ? entry.name : `${name}/${entry.name}`);
  };
  await walk(join(root, 'repositories'), '');
  return found.sort();
}

export interface FoundFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

export async function fileAt(path: string): Promise<FoundFile | undefined> {
  const found = await stat(path).catch(absent);
  return found?.isFile() ? { path, size: found.size } : undefined;
}

export async function textAt(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(absent);
}

/** Makes a second name for a file, in one step; what has the name already stays. False where it does. */
export async function placeFile(source: string, destination: string): Promise<boolean> {
  await mkdir(dirname(destination), { recursive: true });
  try {
    await link(source, destination);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code === 'ENOENT') throw error;
    // Another file system, or too many links: a copy, which appears whole as well.
    const partial = `${destination}.${crypto.randomUUID()}`;
    try {
      await linkOrCopy(source, partial);
      await link(partial, destination).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code !== 'EEXIST') throw cause;
      });
    } finally {
      await rm(partial, { force: true });
    }
    return true;
  }
}

/** False where there was nothing. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (error) {
    absent(error as NodeJS.ErrnoException);
    return false;
  }
}

/** Milliseconds that a file's last use may be off by: each use would else be a write. */
const touchEvery = 10 * 60 * 1000;

/**
 * Notes on the inode (its ctime) that somebody counts on the file: a client that was told that it is there. Garbage
 * collection leaves it alone for its time of grace.
 */
export async function touch(path: string): Promise<void> {
  const found = await stat(path).catch(absent);
  if (found === undefined || Date.now() - found.ctimeMs < touchEvery) return;
  await utimes(path, found.atime, found.mtime).catch(absent);
}

export function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ENAMETOOLONG') return undefined;
  throw error;
}
