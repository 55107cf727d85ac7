import { createHash, randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, copyFile, link, lstat, mkdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hashFile as sumOfFile } from '../disk/index.ts';
import type { FileArtifact } from './artifact.ts';

/**
 * The modification time that every blob has. A program that writes through one of a blob's links changes it, and from
 * then on the blob counts as damaged: this is how a write to an input or an output is found without reading the bytes.
 */
export const mark = new Date('2000-01-01T00:00:00Z');
/** Blobs up to this size are hashed when they are used: 256 KiB take about 0.2 ms. */
const hashedOnUse = 256 * 1024;
/** How exact the time of the last use is: an hour is enough to choose what to evict. */
const useResolution = 3_600_000;

/**
 * Files named by their content, `<folder>/<2 hex>/<sha256>` and `...x` for executable ones (a file's mode belongs to all of its
 * links). A blob appears by rename(2), whole or not at all.
 */
export interface Blobs {
  /** Takes in a file by moving it: afterwards `path` is gone. */
  takeIn(path: string): Promise<Omit<FileArtifact, 'path' | 'kind'>>;
  /** Whether the blob is there and undamaged; notes the use. A damaged one is removed. */
  has(file: FileArtifact): Promise<boolean>;
  /** Hard link of the blob (a copy where links can't be had) at a path that is free. @returns false where it is gone or damaged */
  linkTo(file: FileArtifact, path: string): Promise<boolean>;
  path(file: Pick<FileArtifact, 'sha256' | 'executable'>): string;
  /** Removes a blob that was found damaged. */
  drop(file: FileArtifact): Promise<void>;
  /** Bytes taken in since the last call that were not there before. */
  takeAdded(): number;
}

export function openBlobs(folder: string): Blobs {
  const path = ({ sha256, executable }: Pick<FileArtifact, 'sha256' | 'executable'>) =>
    join(folder, sha256.slice(0, 2), executable ? `${sha256}x` : sha256);
  const hashed = new Set<string>();
  let added = 0;

  const has = async (file: FileArtifact): Promise<boolean> => {
    const place = path(file);
    const found = await lstat(place).catch(() => undefined);
    if (found === undefined) return false;
    let good = isBlob(found, file);
    if (good && file.size <= hashedOnUse && !hashed.has(place)) {
      good =
        createHash('sha256')
          .update(await readFile(place))
          .digest('hex') === file.sha256;
      if (good) hashed.add(place);
    }
    if (!good) {
      await rm(place, { force: true });
      return false;
    }
    if (Date.now() - found.atimeMs > useResolution) await utimes(place, new Date(), mark).catch(() => {});
    return true;
  };

  return {
    path,
    has,
    takeAdded() {
      const bytes = added;
      added = 0;
      return bytes;
    },
    async takeIn(source) {
      const before = await lstat(source);
      const executable = (before.mode & 0o100) !== 0;
      const known = await knownByName(folder, source, before.ino, before.dev, executable);
      const sha256 = known ?? (await hashFile(source));
      const file = { kind: 'file', path: '', sha256, size: before.size, executable } as const;
      const place = path(file);
      await mkdir(dirname(place), { recursive: true });
      const there = await lstat(place).catch(() => undefined);
      const same = there !== undefined && there.ino === before.ino && there.dev === before.dev;
      // A file that has links elsewhere (an image's layer in the store of images) becomes the blob although there is one:
      // the next time its sum is known by its inode.
      if (same || (there !== undefined && isBlob(there, file) && before.nlink === 1)) {
        await rm(source);
      } else {
        if (there === undefined) added += before.size;
        await chmod(source, executable ? 0o555 : 0o444);
        await utimes(source, new Date(), mark);
        await move(source, place);
      }
      return { sha256, size: before.size, executable };
    },
    async linkTo(file, to) {
      if (!(await has(file))) return false;
      return await linkOrCopy(path(file), to);
    },
    async drop(file) {
      await rm(path(file), { force: true });
    },
  };
}

/** A file named as a SHA-256 sum that is the same inode as the blob of that sum needs no reading. */
async function knownByName(
  folder: string,
  source: string,
  inode: number,
  device: number,
  executable: boolean,
): Promise<string | undefined> {
  const name = source.slice(source.lastIndexOf('/') + 1);
  if (!/^[0-9a-f]{64}$/.test(name)) return undefined;
  const blob = await stat(join(folder, name.slice(0, 2), executable ? `${name}x` : name)).catch(() => undefined);
  const same = blob?.ino === inode && blob.dev === device && blob.mtimeMs === mark.getTime();
  return same ? name : undefined;
}

/** SHA-256 of a file's bytes, in hex. */
export async function hashFile(path: string): Promise<string> {
  return (await sumOfFile(path)).sha256;
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    const temporary = `${to}.${randomBytes(6).toString('hex')}`;
    try {
      await copyFile(from, temporary);
      await chmod(temporary, (await stat(from)).mode & 0o777);
      await utimes(temporary, new Date(), mark);
      await rename(temporary, to);
    } catch (failure) {
      await rm(temporary, { force: true });
      throw failure;
    }
    await rm(from);
  }
}

/** How often a link is tried again when the file was replaced between its look-up and the link: then link(2) says ENOENT. */
const linkTries = 10;

/** @returns false where `from` is gone */
async function linkOrCopy(from: string, to: string, tries = linkTries): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      if ((await stat(from).catch(() => undefined)) === undefined) return false;
      if (tries === 0) throw error;
      return linkOrCopy(from, to, tries - 1);
    }
    // Another file system; too many links of one inode (65,000 on ext4); a file system without hard links.
    if (code !== 'EXDEV' && code !== 'EMLINK' && code !== 'EPERM' && code !== 'ENOTSUP') throw error;
    await copyFile(from, to);
    await chmod(to, (await stat(from)).mode & 0o777);
    await utimes(to, new Date(), mark);
    return true;
  }
}

function isBlob(found: Stats, file: Pick<FileArtifact, 'size' | 'executable'>): boolean {
  return (
    found.isFile() &&
    found.size === file.size &&
    found.mtimeMs === mark.getTime() &&
    ((found.mode & 0o100) !== 0) === file.executable
  );
}

/** Whether a file laid out by `linkTo` is as it came, or gone. */
export async function isUntouched(path: string, file: Pick<FileArtifact, 'size' | 'executable'>): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found === undefined || isBlob(found, file);
}
