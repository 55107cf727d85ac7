import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../test/support/databases.ts';
import { readEntries, verifyLog } from '../audit/index.ts';
import type { Environment } from '../graph/index.ts';
import { service, startTestServer, type TestServer } from './testing/server.ts';

const place = { file: 'banksman.yaml' };
const prod: Environment = { name: 'prod', cluster: 'c', namespace: 'p', registry: 'r', parameters: {}, place };
const own = `/v1/environments/prod/services/${encodeURIComponent(service)}`;
const soon = { timeout: 90_000, interval: 50 };

let running: RunningDatabase;
let test: TestServer;
beforeAll(async () => {
  running = await testDatabases.find(({ engine }) => engine === 'postgresql')!.start();
  test = await startTestServer(running, new Map([['prod', prod]]));
}, 60_000);
afterAll(async () => {
  await test?.server.stop();
  await running?.stop();
});

const hold = (why: string) =>
  test.call('engineer', 'POST', `${own}/holds`, { why }, { 'idempotency-key': why.replaceAll(' ', '-') });

it('PostgreSQL goes away and comes back: calls say so, streams go on, nothing is lost or done twice', async () => {
  const stop = new AbortController();
  const stream = await fetch(`${test.server.url}/v1/events`, {
    headers: { authorization: `Bearer ${test.tokens.viewer}` },
    signal: stop.signal,
  });
  let told = '';
  const reading = (async () => {
    for await (const text of stream.body!.pipeThrough(new TextDecoderStream())) told += text;
  })().catch(() => {});
  expect((await hold('before it goes')).status).toBe(201);
  await vi.waitFor(() => expect(told).toContain('before it goes'), soon);

  // Some are under way when it goes: each is told whether it was done, or that it must be asked again.
  const names = Array.from({ length: 20 }, (_, index) => `while it goes ${index}`);
  const asked = Promise.all(names.map(async (name) => (await hold(name)).status));
  await sleep(5);
  const start = await running.crash!();
  for (const status of await asked) expect([201, 503]).toContain(status);

  const gone = await hold('after it went');
  expect(gone).toMatchObject({ status: 503, json: { type: 'urn:banksman:database/lost', status: 503 } });
  expect(gone.headers.get('content-type')).toContain('application/problem+json');
  expect(Number(gone.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await test.call('viewer', 'GET', own)).toMatchObject({ status: 503 });
  expect(await test.call('viewer', 'GET', '/readyz')).toMatchObject({ status: 503 });
  expect(await test.call('viewer', 'GET', '/healthz')).toMatchObject({ status: 200 });
  await vi.waitFor(() => expect(told).toContain(': the database is away'), soon);

  await start();
  await vi.waitFor(async () => expect((await test.call('viewer', 'GET', '/readyz')).status).toBe(200), soon);
  // Whoever was told to ask again does, with the same key.
  for (const name of [...names, 'after it went']) expect((await hold(name)).status).toBe(201);
  await vi.waitFor(() => expect(told).toContain('after it went'), soon);
  stop.abort();
  await reading;
  const entries = await readEntries(running.database, { subject: `${service} in prod`, limit: 1000 });
  expect(entries.map(({ event }) => event.why).sort()).toEqual(['after it went', 'before it goes', ...names].sort());
  for (const name of names) expect(told.split(`"why":${JSON.stringify(name)},`)).toHaveLength(2);
  expect(await verifyLog(running.database)).toMatchObject({ findings: [] });
  await vi.waitFor(async () => {
    const { text } = await test.call('viewer', 'GET', '/metrics');
    expect(text).toMatch(/^banksman_leader 1$/m);
  }, soon);
}, 180_000);
