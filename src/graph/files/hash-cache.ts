import { createHash } from 'node:crypto';
import { type BigIntStats, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { cacheFolder, keepRecent, writeAtomically } from '../../disk/index.ts';

/** Hashes of files by their state on the disk, for files that git has not hashed: changed, untracked, no repository. */
export interface HashCache {
  get(path: string, stat: BigIntStats): string | undefined;
  set(path: string, stat: BigIntStats, id: string): void;
  save(): Promise<void>;
}

/**
 * A file whose change time is this close to the moment of hashing may be changed again within the same tick of the
 * clock, unseen. The kernel's clock for files ticks at least 100 times a second.
 */
const settled = 50_000_000n;
/** Files of one workspace whose hashes are kept, those of files that are gone among them. */
const maximumFiles = 200_000;
/** Workspaces of which hashes are kept, those that are gone among them. */
const maximumWorkspaces = 256;

export function openHashCache(root: string): HashCache {
  const place = cacheFolder('source-hashes', `${createHash('sha256').update(root).digest('hex').slice(0, 32)}.json`);
  const known = read(place);
  const fresh: Record<string, string> = {};
  let changed = false;
  return {
    get(path, stat) {
      const line = known[path];
      const state = stateOf(stat);
      if (typeof line !== 'string' || !line.startsWith(`${state} `)) return undefined;
      fresh[path] = line;
      return line.slice(state.length + 1);
    },
    set(path, stat, id) {
      if (BigInt(Date.now()) * 1_000_000n - stat.ctimeNs < settled) return;
      fresh[path] = `${stateOf(stat)} ${id}`;
      changed = true;
    },
    async save() {
      if (!changed) return;
      const all = { ...known, ...fresh };
      // Most of so many are of files that are gone.
      const kept = Object.keys(all).length > maximumFiles ? fresh : all;
      try {
        await writeAtomically(place, JSON.stringify(kept), 0o644, false);
        keepRecent(dirname(place), { files: maximumWorkspaces });
      } catch {
        // A full disk or a home folder that can't be written, say: the files are hashed again the next time.
      }
    },
  };
}

function stateOf(stat: BigIntStats): string {
  return `${stat.size}-${stat.mtimeNs}-${stat.ctimeNs}-${stat.ino}`;
}

/** A cache that can't be read is an empty one. */
function read(place: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(place, 'utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
