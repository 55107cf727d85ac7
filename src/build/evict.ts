import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock, writeAtomically } from '../disk/index.ts';

/** What a look at the whole cache has found. */
export interface Usage {
  /** Bytes that are left. */
  readonly bytes: number;
  readonly removedFiles: number;
  readonly removedBytes: number;
}

/** What was used within this time stays: a build that goes on beside this one may be about to read it. Milliseconds. */
const grace = 3_600_000;
/** Eviction goes down to this part of the limit, so that it is not due again at once. */
const target = 0.8;

/**
 * Keeps a cache within its limit: what was used longest ago goes first. Looking at every file takes seconds in a large
 * cache, so the size is estimated by what was added since the last look, and looked at only when that exceeds the limit.
 *
 * @param limit bytes
 * @param added bytes added since the last call
 * @returns undefined where the estimate was within the limit
 */
export async function evict(folder: string, limit: number, added: number): Promise<Usage | undefined> {
  const estimateFile = join(folder, 'size');
  const estimate = (Number(await readFile(estimateFile, 'utf8').catch(() => '0')) || 0) + added;
  if (estimate <= limit) {
    if (added > 0) await writeAtomically(estimateFile, String(estimate));
    return undefined;
  }
  return withLock(join(folder, 'evict.lock'), async () => {
    const files = await filesBelow(folder, ['blobs', 'actions', 'tests']);
    let bytes = files.reduce((sum, file) => sum + file.size, 0);
    let removedFiles = 0;
    let removedBytes = 0;
    const old = Date.now() - grace;
    for (const file of files.sort((a, b) => a.used - b.used)) {
      if (bytes <= limit * target || file.used > old) break;
      await rm(file.path, { force: true });
      bytes -= file.size;
      removedBytes += file.size;
      removedFiles++;
    }
    await writeAtomically(estimateFile, String(bytes));
    return { bytes, removedFiles, removedBytes };
  });
}

interface Found {
  readonly path: string;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly used: number;
}

async function filesBelow(folder: string, kinds: readonly string[]): Promise<Found[]> {
  const found: Found[] = [];
  for (const kind of kinds) {
    for (const prefix of await readdir(join(folder, kind)).catch(() => [])) {
      const below = join(folder, kind, prefix);
      for (const name of await readdir(below).catch(() => [])) {
        const path = join(below, name);
        const { size, atimeMs } = await stat(path).catch(() => ({ size: 0, atimeMs: 0 }));
        found.push({ path, size, used: atimeMs });
      }
    }
  }
  return found;
}
