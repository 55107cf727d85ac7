import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cacheFolder } from '../disk/index.ts';
import { type AnyDigest, hexOfAny } from './digest.ts';
import { ImageFault } from './fault.ts';

/** A folder for blobs on their way from one place to another. */
export interface Staging {
  /** Writes a stream that checks itself to a file; once more where it was damaged on its way. @returns the file's path */
  put(digest: AnyDigest, open: () => AsyncIterable<Uint8Array>): Promise<string>;
  remove(digest: AnyDigest): Promise<void>;
  close(): Promise<void>;
}

export async function stagingFolder(): Promise<Staging> {
  const parent = cacheFolder('staging');
  await mkdir(parent, { recursive: true });
  await clearStale(parent);
  const folder = await mkdtemp(join(parent, 'blobs-'));
  const path = (digest: AnyDigest) => join(folder, hexOfAny(digest));
  return {
    async put(digest, open) {
      const write = () => pipeline(open(), createWriteStream(path(digest), { mode: 0o600 }));
      await write().catch((error) => {
        if (!(error instanceof ImageFault) || error.code !== 'image/wrong-content') throw error;
        return write();
      });
      return path(digest);
    },
    remove: (digest) => rm(path(digest), { force: true }),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Milliseconds since anything changed in a folder, after which it can't belong to a living process. */
const staleAfter = 24 * 3600 * 1000;

async function clearStale(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const found = await stat(join(parent, name)).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > staleAfter)
      await rm(join(parent, name), { recursive: true, force: true });
  }
}
