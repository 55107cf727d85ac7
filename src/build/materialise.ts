import { lstat, mkdir, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Artifact, FileArtifact, FolderArtifact } from './artifact.ts';
import type { Blobs } from './blobs.ts';
import { BuildFault } from './fault.ts';
import { ownName } from './scratch.ts';

/**
 * Puts an output at its place in the output folder, as links to the cache. Does nothing where it is there already.
 *
 * @param staging a folder on the same disk, for what is not whole yet: a killed process leaves it there, see `removeAbandoned`
 * @throws BuildFault build/input-changed where the cache does not have it any more
 */
export async function materialise(artifact: Artifact, to: string, blobs: Blobs, staging: string): Promise<void> {
  if (artifact.kind === 'file') {
    if (await isLinkOf(to, artifact, blobs)) return;
  } else if (await isFolder(to, artifact, blobs)) return;
  await mkdir(dirname(to), { recursive: true }).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST' && error.code !== 'ENOTDIR') throw error;
    await clearWay(to);
  });
  await mkdir(staging, { recursive: true });
  const temporary = join(staging, await ownName());
  try {
    await lay(artifact, temporary, blobs);
    await replace(temporary, to);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function lay(artifact: Artifact, to: string, blobs: Blobs): Promise<void> {
  if (artifact.kind === 'file') return link(artifact, to, blobs);
  await mkdir(to);
  for (const entry of artifact.entries) {
    const path = join(to, entry.path);
    if (entry.kind === 'folder') await mkdir(path);
    else if (entry.kind === 'symlink') await symlink(entry.target, path);
    else await link(entry, path, blobs);
  }
}

async function link(file: FileArtifact, to: string, blobs: Blobs): Promise<void> {
  if (await blobs.linkTo(file, to)) return;
  throw new BuildFault('build/input-changed', `${file.path} has gone from the cache while it was needed`, {
    next: 'build again: it is then made anew',
  });
}

/** rename(2) replaces a file at once; a folder has to be moved out of the way first. */
async function replace(from: string, to: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await rename(from, to);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (tries > 5 || (code !== 'EISDIR' && code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOTDIR'))
        throw error;
      const old = `${from}.old`;
      await rename(to, old).catch(() => {});
      await rm(old, { recursive: true, force: true });
    }
  }
}

/** A file that stands where a folder has to be: an output of an earlier state of the workspace. */
async function clearWay(to: string): Promise<void> {
  const parts = dirname(to).split('/');
  for (let count = 1; count <= parts.length; count++) {
    const path = parts.slice(0, count).join('/');
    if (path === '') continue;
    const found = await lstat(path).catch(() => undefined);
    if (found !== undefined && !found.isDirectory() && !(await stat(path)).isDirectory()) await rm(path);
  }
  await mkdir(dirname(to), { recursive: true });
}

async function isLinkOf(path: string, file: FileArtifact, blobs: Blobs): Promise<boolean> {
  const [there, blob] = await Promise.all([
    lstat(path).catch(() => undefined),
    lstat(blobs.path(file)).catch(() => undefined),
  ]);
  return there !== undefined && blob !== undefined && there.ino === blob.ino && there.dev === blob.dev;
}

async function isFolder(path: string, folder: FolderArtifact, blobs: Blobs): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isDirectory()) return false;
  const names = await readdir(path, { recursive: true });
  if (names.length !== folder.entries.length) return false;
  for (const entry of folder.entries) {
    const at = join(path, entry.path);
    if (entry.kind === 'file') {
      if (!(await isLinkOf(at, entry, blobs))) return false;
    } else if (entry.kind === 'symlink') {
      if ((await readlink(at).catch(() => undefined)) !== entry.target) return false;
    } else if (!(await lstat(at).catch(() => undefined))?.isDirectory()) return false;
  }
  return true;
}
