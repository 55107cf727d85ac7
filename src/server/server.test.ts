import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../test/support/databases.ts';
import { startTestServer, type TestServer } from '../../test/support/server.ts';
import { readEntries, verifyLog } from '../audit/index.ts';
import type { Environment, Label } from '../graph/index.ts';
import type { ReleaseContent } from '../release/index.ts';
import { actions, type Role, rights, roles } from './authorization.ts';
import { calls } from './calls/index.ts';
import { schemas } from './schemas.ts';
import { startServer } from './start.ts';

const place = { file: 'banksman.yaml', line: 1 };
const base = { cluster: 'local', registry: 'r', parameters: {}, place };
const environments = new Map<string, Environment>([
  ['staging', { ...base, name: 'staging', namespace: 's' }],
  [
    'prod',
    {
      ...base,
      name: 'prod',
      namespace: 'p',
      after: 'staging',
      deadline: 60_000,
      patience: 3_600_000,
      gates: [
        { kind: 'soak', name: 'soak', duration: 60_000, place },
        { kind: 'approvals', name: 'approvals', count: 1, role: 'release-manager', place },
      ],
    },
  ],
]);
const service = '//bank/ledger:ledger' as Label;
const own = `/v1/environments/prod/services/${encodeURIComponent(service)}`;
const digest = (index: number) => `sha256:${String(index).repeat(64)}`;
const contents: ReleaseContent = {
  bundle: { format: 1, service, containers: [], files: [] },
  images: [],
  commit: 'c'.repeat(40),
  authors: ['Ada <ada@bank.example>'],
  reviewers: [],
  provenance: [],
};

describe.each(testDatabases)('the server on $engine', ({ start }) => {
  let running: RunningDatabase;
  let server: TestServer;
  let now = Date.parse('2026-01-01T00:00:00Z');
  let tokens: Readonly<Record<Role, string>>;
  const options = () => ({
    environments,
    fetchRelease: async () => contents,
    version: '1',
    host: '127.0.0.1',
    port: 0,
    leaseTime: 500,
    now: () => now,
  });
  beforeAll(async () => {
    running = await start();
    server = await startTestServer({ ...options(), database: running.database }, [service]);
    tokens = server.tokenOf;
  }, 60_000);
  afterAll(async () => {
    await server?.stop();
    await running?.stop();
  });

  const call: TestServer['call'] = (...asked) => server.call(...asked);
  const add = (index: number) =>
    call('engineer', 'POST', `/v1/services/${encodeURIComponent(service)}/releases`, {
      reference: `r/releases/bank/ledger@${digest(index)}`,
    });

  it('is alive, ready, and describes itself', async () => {
    expect(await call(undefined, 'GET', '/healthz')).toMatchObject({ status: 200 });
    expect(await call(undefined, 'GET', '/readyz')).toMatchObject({ status: 200, json: { status: 'ready' } });
    const { json } = await call(undefined, 'GET', '/openapi.json');
    expect(json).toMatchObject({ openapi: '3.1.0' });
    const paths = json?.paths as Record<string, object>;
    for (const { path, method } of calls) expect(Object.keys(paths[path] ?? {})).toContain(method.toLowerCase());
    const names = [...JSON.stringify(json).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
      ([, name]) => name as string,
    );
    const { schemas } = json!.components as { schemas: object };
    expect(Object.keys(schemas)).toEqual(expect.arrayContaining(names));
  });

  it('asks every call who calls, and lets in by the table alone', async () => {
    const subjects = [
      [service, 'own'],
      ['//platform/dns:dns', 'infrastructure'],
    ] as const;
    for (const { method, path, action, takes } of calls) {
      for (const [subject, right] of path.includes('{service}') ? subjects : [[service, 'own']]) {
        const real = path
          .replace('{environment}', 'nowhere')
          .replace('{service}', encodeURIComponent(subject as string))
          .replace(/\{\w+\}/, 'x');
        expect((await call(undefined, method, real)).status).not.toBe(200);
        for (const role of roles) {
          // What is wrong with a call that may be made is told after whether it may.
          const { status, json } = await call(
            role,
            method,
            real,
            takes === undefined ? undefined : (exampleOf(schemas[takes]) as object),
          );
          const may = ['yes', right].includes(rights[action][role]);
          expect([path, subject, role, status === 403]).toEqual([path, subject, role, !may]);
          if (status === 403) expect(json).toMatchObject({ type: 'urn:banksman:server/not-allowed' });
        }
      }
    }
    expect(new Set(calls.map(({ action }) => action)).size).toBeGreaterThan(actions.length - 4);
    const stranger = await fetch(`${server.url}/v1/environments`, { headers: { authorization: 'Bearer bm_x' } });
    expect(stranger.status).toBe(401);
    expect(stranger.headers.get('www-authenticate')).toContain('Bearer');
  });

  it('lets an engineer at nothing but their own services', async () => {
    const other = own.replace('ledger%3Aledger', 'gateway%3Agateway');
    expect(await call('engineer', 'POST', `${other}/holds`, { why: 'x' })).toMatchObject({ status: 403 });
  });

  it('answers problems as RFC 9457 says, and never with what is inside', async () => {
    const unknown = await call('viewer', 'GET', own.replace('prod', 'prd'));
    expect(unknown).toMatchObject({
      status: 404,
      type: expect.stringContaining('application/problem+json') as string,
      json: { type: 'urn:banksman:server/unknown-environment', status: 404, next: 'did you mean prod?' },
    });
    expect(await call('engineer', 'POST', `${own}/holds`, { why: 'x', wy: 1 })).toMatchObject({ status: 400 });
    expect(await call('engineer', 'POST', `${own}/holds`, { why: '' })).toMatchObject({ status: 400 });
    expect(await call('engineer', 'POST', `${own}/holds`, { why: 'x'.repeat(70_000) })).toMatchObject({ status: 413 });
    expect(await call('viewer', 'GET', `${own}?x=1`)).toMatchObject({ status: 400 });
    expect(await call('viewer', 'GET', '/v1/nothing')).toMatchObject({ status: 404 });
    expect(await call('viewer', 'GET', own.replace(encodeURIComponent(service), 'ledger'))).toMatchObject({
      status: 404,
    });
    expect(await call('engineer', 'POST', `${own}/promotions`, { release: digest(9) })).toMatchObject({ status: 404 });
  });

  it('takes a release through its gates: why, approval, hold, promotion', async () => {
    expect(await add(1)).toMatchObject({ status: 201, json: { id: digest(1), order: 1 } });
    expect(await add(1)).toMatchObject({ status: 201, json: { order: 1 } });
    const key = { 'idempotency-key': 'promotion-1' };
    const asked = await call(
      'engineer',
      'POST',
      `${own}/promotions`,
      { release: digest(1).slice(0, 20), why: 'rates' },
      key,
    );
    expect(asked).toMatchObject({ status: 202, json: { id: 'promotion-1', state: 'planned', why: 'rates' } });
    expect(await call('engineer', 'POST', `${own}/promotions`, { release: digest(1) }, key)).toMatchObject({
      status: 202,
    });
    const foreign = await call('release-manager', 'POST', `${own}/promotions`, { release: digest(1) }, key);
    expect(foreign).toMatchObject({ status: 409 });
    const before = await call('viewer', 'GET', `${own}/why`);
    expect(before.json).toMatchObject({
      open: false,
      answers: [
        { gate: 'soak', holds: false, reason: 'not healthy in staging yet' },
        { gate: 'approvals', holds: false },
        { gate: 'review', holds: true },
      ],
    });
    expect(await call('release-manager', 'POST', `${own}/approvals`, { release: digest(1) })).toMatchObject({
      status: 200,
    });
    const after = await call('viewer', 'GET', `${own}/why`);
    expect(after.json?.answers).toMatchObject([
      { holds: false },
      { holds: true, since: new Date(now).toISOString() },
      {},
    ]);
    const hold = await call('engineer', 'POST', `${own}/holds`, { why: 'looking' });
    expect(hold).toMatchObject({ status: 201, json: { by: 'engineer@bank.example', why: 'looking' } });
    const lifted = await call('engineer', 'POST', `${own}/holds/${String(hold.json?.id)}/lift`, { why: 'seen' });
    expect(lifted.json).toMatchObject({ ended: { why: 'seen' } });
    expect((await call('viewer', 'GET', own)).json).toMatchObject({
      rollouts: [{ id: 'promotion-1' }],
      holds: [{ why: 'looking' }],
    });
    const cancelled = await call('engineer', 'POST', `${own}/rollouts/promotion-1/cancel`, { why: 'not now' });
    expect(cancelled.json).toMatchObject({ state: 'cancelled' });
    expect(await call('engineer', 'POST', `${own}/rollouts/promotion-1/cancel`, { why: 'x' })).toMatchObject({
      status: 409,
    });
    expect(await call('engineer', 'POST', `${own}/rollbacks`, { why: 'x' })).toMatchObject({ status: 409 });
  });

  it('lets deadlines pass while it leads', async () => {
    await add(2);
    const asked = await call('engineer', 'POST', `${own}/promotions`, { release: digest(2) });
    now += 3_600_000;
    let state: unknown;
    for (let look = 0; look < 500 && state !== 'cancelled'; look++) {
      await sleep(50);
      const { json } = await call('viewer', 'GET', own);
      const rollouts = json!.rollouts as { id: string; state: string }[];
      state = rollouts.find(({ id }) => id === asked.json?.id)?.state;
    }
    expect(state).toBe('cancelled');
  });

  it('has one leader of two servers', async () => {
    const second = await startServer({ ...options(), database: await running.again() });
    try {
      const leads = async (url: string) => {
        const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${tokens.viewer}` } });
        return /^banksman_leader (\d)$/m.exec(await answer.text())?.[1];
      };
      const both = async () => [await leads(server.url), await leads(second.url)].sort();
      await expect.poll(both, { timeout: 25_000 }).toEqual(['0', '1']);
    } finally {
      await second.stop();
    }
  });

  it('streams what happens, and goes on where a reader was', async () => {
    const stop = new AbortController();
    const read = async (last?: string) => {
      const answer = await fetch(`${server.url}/v1/events`, {
        headers: { authorization: `Bearer ${tokens.viewer}`, ...(last !== undefined && { 'last-event-id': last }) },
        signal: stop.signal,
      });
      expect(answer.headers.get('content-type')).toContain('text/event-stream');
      return answer.body!.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    };
    const until = async (stream: AsyncIterator<string>, pattern: RegExp) => {
      let text = '';
      while (!pattern.test(text)) {
        const { value, done } = await stream.next();
        if (done) break;
        text += value;
      }
      return text;
    };
    const live = await read();
    await call('engineer', 'POST', `${own}/holds`, { why: 'streamed one' });
    const first = await until(live, /streamed one[^\n]*\n\n/);
    expect(first).toContain('event: hold.begin');
    const id = [...first.matchAll(/^id: (\d+)$/gm)].at(-1)?.[1];
    await call('engineer', 'POST', `${own}/holds`, { why: 'streamed two' });
    const resumed = await until(await read(id), /streamed two[^\n]*\n\n/);
    expect(resumed).not.toContain('streamed one');
    const all = await until(await read('0'), /streamed two[^\n]*\n\n/);
    expect(all).toContain('streamed one');
    // What administrators do is not for everybody.
    expect(all).not.toContain('token.create');
    stop.abort();
  });

  it('gives out tokens, and takes them back', async () => {
    const expiresAt = new Date(now + 1000).toISOString();
    const body = { name: 'new@bank.example', roles: ['viewer'], services: [], expiresAt };
    const made = await call('administrator', 'POST', '/v1/tokens', body);
    expect(made.status).toBe(201);
    const headers = { authorization: `Bearer ${String(made.json?.token)}` };
    const use = async () => (await fetch(`${server.url}/v1/environments`, { headers })).status;
    expect(await use()).toBe(200);
    expect(await call('administrator', 'DELETE', `/v1/tokens/${String(made.json?.id)}`)).toMatchObject({ status: 200 });
    expect(await use()).toBe(401);
    expect(await call('administrator', 'DELETE', `/v1/tokens/${String(made.json?.id)}`)).toMatchObject({ status: 404 });
    expect(await call('administrator', 'POST', '/v1/tokens', { ...body, roles: ['root'] })).toMatchObject({
      status: 400,
    });
    const short = await call('administrator', 'POST', '/v1/tokens', body);
    now += 2000;
    const late = await fetch(`${server.url}/v1/environments`, {
      headers: { authorization: `Bearer ${String(short.json?.token)}` },
    });
    expect(late.status).toBe(401);
    // Nothing that a token could be made from is kept or written down.
    const kept = JSON.stringify([
      await running.database.query('SELECT * FROM tokens'),
      await readEntries(running.database, { limit: 1000 }),
    ]);
    for (const token of [...Object.values(tokens), String(made.json?.token)]) {
      expect(kept).not.toContain(token);
      expect(kept).not.toContain(token.slice('bm_0123456789ab_'.length));
    }
  });

  it('leaves a log that is whole', async () => {
    const entries = await call('auditor', 'GET', '/v1/audit?limit=3');
    expect(entries.json).toHaveLength(3);
    expect(await verifyLog(running.database)).toMatchObject({ findings: [] });
  });
});

/** The least that has the form of a schema. */
function exampleOf({ type, required = [], properties, items, minItems, enum: words, format, pattern }: Form): unknown {
  if (type === 'object') return Object.fromEntries(required.map((name) => [name, exampleOf(properties?.[name] ?? {})]));
  if (type === 'array') return minItems === undefined ? [] : [exampleOf(items ?? {})];
  if (type === 'boolean' || type === 'integer') return type === 'boolean' ? true : 1;
  if (words !== undefined) return words[0];
  if (format === 'date-time') return '2000-01-01T00:00:00Z';
  return pattern?.startsWith('^//') ? '//a:b' : pattern?.startsWith('^[0-9a-f]') ? 'c'.repeat(40) : 'x';
}

interface Form {
  readonly type?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Form>>;
  readonly items?: Form;
  readonly minItems?: number;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly pattern?: string;
}
