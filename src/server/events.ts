import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { readEntries } from '../audit/index.ts';
import type { Database } from '../database/index.ts';
import { isFault } from '../fault/index.ts';

/** Milliseconds between two looks for new entries. */
const pace = 500;
/** The same while the database is away. */
const paceWithout = 2_000;
/** Milliseconds after which a comment shows that the stream lives, before a proxy closes it. */
const heartbeat = 15_000;
/** Kinds of entries that are for everybody who may read placements. */
export const publicActions = /^(?:rollout|hold|approval|release|test|emergency|provenance|drift)\./;

/**
 * Writes a stream of events (HTML Standard, "Server-sent events") until it is closed: what the audit log says of releases, with the
 * entry's number as the event's id. So whoever was away goes on where it was, on whichever server: nothing is kept for it.
 *
 * @param after number of the last entry that was seen
 */
export async function streamEvents(
  database: Database,
  response: ServerResponse,
  after: number,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.write('retry: 2000\n\n');
  let seen = after;
  let spoken = Date.now();
  while (!signal.aborted) {
    let entries: Awaited<ReturnType<typeof readEntries>>;
    try {
      entries = await readEntries(database, { after: seen, limit: 500 });
    } catch (error) {
      if (!isFault(error) || error.code !== 'database/lost') throw error;
      // The reader stays: what it has missed is in the log once the database is back.
      response.write(': the database is away\n\n');
      spoken = Date.now();
      await sleep(paceWithout, undefined, { signal }).catch(() => {});
      continue;
    }
    for (const { number, at, event } of entries) {
      seen = number;
      if (!publicActions.test(event.action)) continue;
      const { who, action, subject, why, before, after: now } = event;
      const data = JSON.stringify({ at, who, action, subject, why, before, after: now });
      // A reader that does not read is not waited for without an end: its place is known, and it can come again.
      if (
        !response.write(`id: ${number}\nevent: ${action}\ndata: ${data}\n\n`) &&
        response.writableLength > 1_000_000
      ) {
        response.destroy();
        return;
      }
      spoken = Date.now();
    }
    if (Date.now() - spoken > heartbeat) {
      response.write(': still here\n\n');
      spoken = Date.now();
    }
    if (entries.length < 500) await sleep(pace, undefined, { signal }).catch(() => {});
  }
  response.end();
}

/** Number of the newest entry: where a stream begins that does not resume. */
export async function newestEntry(database: Database): Promise<number> {
  const [row] = await database.query<{ number: number }>(
    'SELECT coalesce(max(number), 0)::bigint AS number FROM audit_entries',
  );
  return row?.number ?? 0;
}
