import { lstatSync } from 'node:fs';
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
