import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditEntry, readEntries } from '../audit/index.ts';
import type { Database } from '../database/index.ts';
import { isFault } from '../fault/index.ts';
import { batch, type Tail } from './tail.ts';

/** Milliseconds: proxies close what is silent for half a minute. */
const usualHeartbeat = 15_000;
/** Milliseconds between two tries while the database is away. */
const paceWithout = 2_000;
/** Bytes that wait for a reader at most. Its place is known, and it can come again. */
const patience = 1_000_000;
/** Kinds of entries that are for everybody who may read placements. */
export const publicActions = /^(?:rollout|service|hold|approval|release|train|test|emergency|provenance|drift)\./;

export interface Stream {
  readonly database: Database;
  readonly tail: Tail;
  readonly response: ServerResponse;
  /** Number of the last entry that was seen. */
  readonly after: number;
  /** Whether whoever reads still may. */
  readonly mayStay: () => Promise<boolean>;
  readonly signal: AbortSignal;
  /** Milliseconds after which a comment shows that it lives, and the reader's right is looked at again; 15 seconds unless told. */
  readonly heartbeat?: number;
}

/**
 * Writes a stream of events (HTML Standard, "Server-sent events") until it is closed: what the audit log says of releases, with the
 * entry's number as the event's id. So whoever was away goes on where it was, on whichever server: nothing is kept for it.
 */
export async function streamEvents(stream: Stream): Promise<void> {
  const { database, tail, response, after, mayStay, signal, heartbeat = usualHeartbeat } = stream;
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.write('retry: 2000\n\n');
  let seen = after;
  let isReading = true;
  let isBehind = true;
  let wake = () => {};
  const write = (entries: readonly AuditEntry[]) => {
    for (const { number, at, event } of entries) {
      seen = number;
      if (!publicActions.test(event.action) || response.destroyed) continue;
      const { who, action, subject, why, before, after: now } = event;
      const data = JSON.stringify({ at, who, action, subject, why, before, after: now });
      response.write(`id: ${number}\nevent: ${action}\ndata: ${data}\n\n`);
      if (response.writableLength > patience) response.destroy();
    }
  };
  const stopListening = tail.listen((news) => {
    if (news === 'away') return void response.write(': the database is away\n\n');
    const newest = news.entries.at(-1)?.number ?? news.after;
    if (newest <= seen) return;
    if (!isReading && news.after === seen) return write(news.entries);
    isBehind = true;
    wake();
  });
  try {
    while (!signal.aborted && !response.destroyed) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      let pause = heartbeat;
      isReading = true;
      try {
        while (isBehind && !response.destroyed) {
          isBehind = false;
          const entries = await readEntries(database, { after: seen, limit: batch });
          write(entries);
          isBehind ||= entries.length === batch;
        }
      } catch (error) {
        if (!isFault(error) || error.code !== 'database/lost') throw error;
        // The reader stays: what it has missed is in the log once the database is back.
        isBehind = true;
        pause = paceWithout;
      }
      isReading = false;
      const timer = new AbortController();
      const isQuiet = await Promise.race([
        woken.then(() => false),
        sleep(pause, true, { signal: AbortSignal.any([signal, timer.signal]) }).catch(() => false),
      ]);
      timer.abort();
      if (!isQuiet || signal.aborted || pause !== heartbeat) continue;
      if (!(await mayStay())) break;
      response.write(': still here\n\n');
    }
  } finally {
    stopListening();
  }
  response.end();
}
