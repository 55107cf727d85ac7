import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { audited, migrateAudit } from '../audit/index.ts';
import { type Database, openPglite } from '../database/index.ts';
import { type Stream, streamEvents } from './events.ts';
import { createTail, type Tail } from './tail.ts';

const soon = { timeout: 30_000 };

let database: Database;
let reads: number;
let tail: Tail;
let http: Server;
let address: string;
let stop: AbortController;
let more: Partial<Stream>;

beforeEach(async () => {
  database = await openPglite(undefined);
  await migrateAudit(database);
  reads = 0;
  const counted: Database = {
    ...database,
    query: (statement, values) => {
      reads++;
      return database.query(statement, values);
    },
  };
  tail = createTail(counted, (error) => {
    throw error;
  });
  more = {};
  http = createServer((request, response) => {
    const after = Number(request.headers['last-event-id'] ?? 0);
    const gone = new AbortController();
    request.on('close', () => gone.abort());
    void streamEvents({
      database: counted,
      tail,
      response,
      after,
      mayStay: async () => true,
      signal: gone.signal,
      ...more,
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  tail.stop();
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
  await database.close();
});

const write = (why: string) =>
  audited(database, 0, async (_, record) => {
    await record({ who: 'ada', source: 'test', action: 'hold.begin', subject: 'x', why });
  });

interface Reader {
  text: string;
  ended: boolean;
}

/** Reads a stream until the test ends. */
async function read(last = 0): Promise<Reader> {
  const answer = await fetch(address, { headers: { 'last-event-id': String(last) }, signal: stop.signal });
  const reader = { text: '', ended: false };
  void (async () => {
    for await (const text of answer.body!.pipeThrough(new TextDecoderStream())) reader.text += text;
    reader.ended = true;
  })().catch(() => {});
  return reader;
}

const told = ({ text }: Reader) => [...text.matchAll(/"why":"(\d+)"/g)].map(([, why]) => Number(why));

it('tells every reader everything once and in its order, whenever it came', async () => {
  const readers: Reader[] = [];
  for (let index = 0; index < 120; index++) {
    await write(String(index));
    if (index % 3 === 0) tail.poke();
    if (index % 20 === 10) readers.push(await read());
  }
  tail.poke();
  const all = Array.from({ length: 120 }, (_, index) => index);
  for (const reader of readers) await vi.waitFor(() => expect(told(reader)).toEqual(all), soon);
  const half = await read(60);
  await vi.waitFor(() => expect(told(half)).toEqual(all.slice(60)), soon);
}, 60_000);

it('tells what another server wrote, of which nobody says that it came', async () => {
  const reader = await read();
  await write('1');
  await vi.waitFor(() => expect(told(reader)).toEqual([1]), soon);
}, 60_000);

it('asks the database once for all who read', async () => {
  const readers = await Promise.all(Array.from({ length: 60 }, () => read()));
  await write('1');
  tail.poke();
  for (const reader of readers) await vi.waitFor(() => expect(told(reader)).toEqual([1]), soon);
  const before = reads;
  await write('2');
  tail.poke();
  for (const reader of readers) await vi.waitFor(() => expect(told(reader)).toEqual([1, 2]), soon);
  expect(reads - before).toBeLessThan(readers.length);
}, 60_000);

it('ends where the reader may read no longer', async () => {
  let mayStay = true;
  more = { heartbeat: 50, mayStay: async () => mayStay };
  const reader = await read();
  await vi.waitFor(() => expect(reader.text).toContain(': still here'), soon);
  expect(reader.ended).toBe(false);
  mayStay = false;
  await vi.waitFor(() => expect(reader.ended).toBe(true), soon);
}, 60_000);

it('asks for nothing while nobody reads', async () => {
  const reader = await read();
  await write('1');
  await vi.waitFor(() => expect(told(reader)).toEqual([1]), soon);
  stop.abort();
  const listen = vi.fn();
  // Whoever comes next begins a tail of its own: the one before has ended.
  await vi.waitFor(async () => {
    const before = reads;
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(reads).toBe(before);
  }, soon);
  tail.listen(listen)();
}, 60_000);
