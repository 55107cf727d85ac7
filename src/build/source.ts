import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readSync } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type FolderEntry, folderSum } from './artifact.ts';
import { hashFile } from './blobs.ts';
import type { BuiltFile } from './types.ts';

/** What a source that was laid out holds. */
export async function describeSource(absolute: string, path: string): Promise<BuiltFile> {
  const info = lstatSync(absolute);
  if (!info.isDirectory()) {
    const executable = (info.mode & 0o100) !== 0;
    return { path, absolute, kind: 'file', sha256: await hashFile(absolute), executable };
  }
  const entries: FolderEntry[] = [];
  await describeFolder(absolute, '', entries);
  return { path, absolute, kind: 'folder', sha256: folderSum(entries), executable: false };
}

async function describeFolder(top: string, below: string, entries: FolderEntry[]): Promise<void> {
  for (const child of (await readdir(join(top, below), { withFileTypes: true })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = below === '' ? child.name : `${below}/${child.name}`;
    const absolute = join(top, path);
    if (child.isDirectory()) {
      entries.push({ kind: 'folder', path });
      await describeFolder(top, path, entries);
    } else if (child.isSymbolicLink()) {
      entries.push({ kind: 'symlink', path, target: await readlink(absolute) });
    } else {
      const info = await lstat(absolute);
      const executable = (info.mode & 0o100) !== 0;
      entries.push({ kind: 'file', path, sha256: await hashFile(absolute), size: info.size, executable });
    }
  }
}

/**
 * What a symbolic link says.
 *
 * @param hash as the graph's tree has it
 * @returns undefined for what is none
 */
export function linkOf(hash: string): string | undefined {
  const [, text] = /^link ("(?:[^"\\]|\\.)*") /.exec(hash) ?? [];
  return text === undefined ? undefined : JSON.parse(text);
}

/** What git calls a file's bytes, with `x` in front for an executable one: hashes of links and folders say more. */
const plainFile = /^x?([0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * A source that need not be laid out.
 *
 * @param hash as the graph's tree has it
 * @returns undefined for a link, a folder, and what is not there any more
 */
export function sourceInPlace(absolute: string, path: string, hash: string): BuiltFile | undefined {
  const [, sourceId] = plainFile.exec(hash) ?? [];
  const info = sourceId === undefined ? undefined : lstatSync(absolute, { throwIfNoEntry: false });
  if (sourceId === undefined || info?.isFile() !== true) return undefined;
  let sum: string | undefined;
  return {
    path,
    absolute,
    kind: 'file',
    executable: (info.mode & 0o100) !== 0,
    sourceId,
    get sha256() {
      sum ??= hashNow(absolute);
      return sum;
    },
  };
}

function hashNow(path: string): string {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  try {
    const piece = Buffer.allocUnsafe(256 * 1024);
    for (let count = readSync(file, piece); count > 0; count = readSync(file, piece))
      hash.update(piece.subarray(0, count));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}
