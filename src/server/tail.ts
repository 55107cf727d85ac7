import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditEntry, readEntries } from '../audit/index.ts';
import type { Database } from '../database/index.ts';
import { isFault } from '../fault/index.ts';

/** Milliseconds between two looks for entries that another server wrote; this one's own are told of at once. */
const pace = 500;
/** The same while the database is away. */
const paceWithout = 2_000;
/** Entries that are read at one time. */
export const batch = 500;

/** Entries that came after one number, or that the database is away. */
export type News = { readonly after: number; readonly entries: readonly AuditEntry[] } | 'away';

/** The end of the audit log as it grows: read once for all who listen, and not at all while nobody does. */
export interface Tail {
  /** @param listener must not throw @returns what ends it */
  listen(listener: (news: News) => void): () => void;
  /** Something may have been written. */
  poke(): void;
  stop(): void;
}

/** @param onError of what no listener can do anything about; the tail goes on */
export function createTail(database: Database, onError: (error: unknown) => void): Tail {
  const listeners = new Set<(news: News) => void>();
  let stop: AbortController | undefined;
  let wake = () => {};
  const tell = (news: News) => {
    for (const listener of listeners) listener(news);
  };

  const follow = async (signal: AbortSignal) => {
    let seen: number | undefined;
    while (!signal.aborted) {
      // What is told from here on is looked for again.
      const poked = new Promise<void>((resolve) => {
        wake = resolve;
      });
      let pause = pace;
      try {
        if (seen === undefined) {
          seen = await newestEntry(database);
          // Whoever began to listen before that number was known reads up to it by itself.
          tell({ after: seen, entries: [] });
        }
        const entries = await readEntries(database, { after: seen, limit: batch });
        const last = entries.at(-1);
        if (last !== undefined && !signal.aborted) {
          tell({ after: seen, entries });
          seen = last.number;
        }
        if (entries.length === batch) continue;
      } catch (error) {
        if (!isFault(error) || error.code !== 'database/lost') onError(error);
        pause = paceWithout;
        tell('away');
      }
      await Promise.race([poked, sleep(pause, undefined, { signal }).catch(() => {})]);
    }
  };

  return {
    listen(listener) {
      listeners.add(listener);
      if (stop === undefined) {
        stop = new AbortController();
        void follow(stop.signal);
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        stop?.abort();
        stop = undefined;
        wake();
      };
    },
    poke: () => wake(),
    stop() {
      stop?.abort();
      wake();
    },
  };
}

/** Number of the newest entry: where a stream begins that does not resume. */
export async function newestEntry(database: Database): Promise<number> {
  const [row] = await database.query<{ number: number }>(
    'SELECT coalesce(max(number), 0)::bigint AS number FROM audit_entries',
  );
  return row?.number ?? 0;
}
