import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Refusal } from './answer.ts';
import { absent, repositoryFolder, repositoryNames } from './layout.ts';

/** Bytes that repositories may hold. */
export interface Quota {
  /** `bank` is the repository bank and those below bank/; the empty text is all of them. */
  readonly prefix: string;
  readonly bytes: number;
}

/**
 * How much each repository holds, blobs and manifests, and what is on its way. A blob that two repositories share counts
 * in both.
 */
export interface Usage {
  /** @param bytes below 0 for what was removed */
  add(repository: string, bytes: number): void;
  /**
   * Holds room for an upload, in place of what was held for it before.
   * @throws Refusal 413 where a quota would be passed; what was held before then stays
   */
  hold(id: string, repository: string, bytes: number): Promise<void>;
  release(id: string): void;
}

/** Milliseconds: the disk is read again before a client is refused, unless it was just now. Others remove things too. */
const fresh = 2_000;

export function createUsage(root: string, quotas: readonly Quota[]): Usage {
  const held = new Map<string, { repository: string; bytes: number }>();
  let used: Map<string, number> | undefined;
  let reading: Promise<Map<string, number>> | undefined;
  let readAt = 0;

  async function read(): Promise<Map<string, number>> {
    const sums = new Map<string, number>();
    for (const name of await repositoryNames(root)) {
      let bytes = 0;
      for (const part of ['_blobs', '_manifests']) {
        const folder = join(repositoryFolder(root, name), part);
        for (const file of (await readdir(folder).catch(absent)) ?? [])
          bytes += (await stat(join(folder, file)).catch(absent))?.size ?? 0;
      }
      sums.set(name, bytes);
    }
    readAt = Date.now();
    return sums;
  }

  async function current(again: boolean): Promise<Map<string, number>> {
    if (used !== undefined && !again) return used;
    reading ??= read().finally(() => {
      reading = undefined;
    });
    used = await reading;
    return used;
  }

  function beyond(id: string, repository: string, bytes: number, sums: Map<string, number>): Quota | undefined {
    return quotas.find(({ prefix, bytes: limit }) => {
      if (!within(repository, prefix)) return false;
      let total = bytes;
      for (const [name, size] of sums) if (within(name, prefix)) total += size;
      for (const [other, hold] of held) if (other !== id && within(hold.repository, prefix)) total += hold.bytes;
      return total > limit;
    });
  }

  return {
    add(repository, bytes) {
      used?.set(repository, Math.max(0, (used.get(repository) ?? 0) + bytes));
    },
    async hold(id, repository, bytes) {
      if (quotas.length === 0) return;
      let full = beyond(id, repository, bytes, await current(false));
      if (full && Date.now() - readAt > fresh) full = beyond(id, repository, bytes, await current(true));
      if (full) {
        const what = full.prefix === '' ? 'the registry' : full.prefix;
        throw new Refusal(
          413,
          'DENIED',
          `the quota of ${what}, ${full.bytes} bytes, has no room for ${bytes} bytes more`,
        );
      }
      held.set(id, { repository, bytes });
    },
    release(id) {
      held.delete(id);
    },
  };
}

export function within(repository: string, prefix: string): boolean {
  return prefix === '' || repository === prefix || repository.startsWith(`${prefix}/`);
}
