import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { absent, type FoundFile, fileAt } from './layout.ts';

/** Uploads that have begun: files that grow. Each belongs to one repository and is known by a random number. */
export interface UploadFolder {
  create(repository: string): Promise<{ readonly id: string; readonly path: string }>;
  /** Path of its file and the bytes in it; undefined where there is none of that repository. */
  find(repository: string, id: string): Promise<FoundFile | undefined>;
  remove(repository: string, id: string): Promise<void>;
  /** Removes those to which nothing came for so many milliseconds. @returns how many, and their bytes */
  expire(after: number, dryRun?: boolean): Promise<{ readonly count: number; readonly bytes: number }>;
}

/** Milliseconds after which nobody will go on with an upload. */
export const abandonedAfter = 24 * 3600 * 1000;

const identifier = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function openUploads(root: string, after = abandonedAfter): UploadFolder {
  const folder = join(root, 'uploads');
  // The repository's name may be longer than a file's name can be: its sum stands for it.
  const path = (repository: string, id: string) =>
    join(folder, `${id}@${createHash('sha256').update(repository).digest('hex').slice(0, 32)}`);
  let cleared = 0;

  async function expire(milliseconds: number, dryRun = false): Promise<{ count: number; bytes: number }> {
    let count = 0;
    let bytes = 0;
    for (const name of (await readdir(folder).catch(absent)) ?? []) {
      const found = await stat(join(folder, name)).catch(absent);
      if (found === undefined || Date.now() - found.mtimeMs <= milliseconds) continue;
      count += 1;
      bytes += found.size;
      if (!dryRun) await rm(join(folder, name), { force: true });
    }
    return { count, bytes };
  }

  return {
    async create(repository) {
      if (Date.now() - cleared > Math.min(after, 3600 * 1000)) {
        cleared = Date.now();
        await expire(after);
      }
      await mkdir(folder, { recursive: true });
      const id = crypto.randomUUID();
      await writeFile(path(repository, id), '', { flag: 'wx', mode: 0o600 });
      return { id, path: path(repository, id) };
    },
    async find(repository, id) {
      return identifier.test(id) ? fileAt(path(repository, id)) : undefined;
    },
    remove: (repository, id) => rm(path(repository, id), { force: true }),
    expire,
  };
}
