import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../../test/support/databases.ts';
import { readEntries } from '../../audit/index.ts';
import type { Environment } from '../../graph/index.ts';
import { openPlacementStore, type PlacementStore } from '../../release/index.ts';
import { type Received, startReceiver } from '../testing/receiver.ts';
import { service, startTestServer, type TestServer } from '../testing/server.ts';
import { mayReach, parseAddress, shown } from './address.ts';
import { nextAttempt } from './schedule.ts';
import { send } from './send.ts';
import type { WebhookView } from './store.ts';

const prod: Environment = {
  name: 'prod',
  cluster: 'local',
  namespace: 'p',
  registry: 'r',
  parameters: {},
  place: { file: 'banksman.yaml' },
};
const environments = new Map([['prod', prod]]);
const soon = { timeout: 60_000, interval: 20 };
// Longer than what is waited for, several times over.
vi.setConfig({ testTimeout: 300_000 });

describe('an address of a webhook', () => {
  it.each([
    'https://hooks.bank.example/x?y=z',
    'https://10.0.0.7/x',
    'http://127.0.0.1:8080/x',
    'http://localhost/x',
    'http://[::1]:8080/',
  ])('may be %s', (url) => {
    expect(parseAddress(url, false).href).toBe(new URL(url).href);
  });

  it.each([
    'nothing',
    'ftp://bank.example/',
    'http://hooks.bank.example/',
    'http://10.0.0.7/',
    'https://ada:secret@bank.example/',
    'https://bank.example/#x',
    'https://169.254.169.254/latest/meta-data',
    'https://0xa9fea9fe/',
    'https://2852039166/',
    'https://[fe80::1]/',
    'https://[::ffff:169.254.169.254]/',
    'https://[fd00:ec2::254]/',
    'https://0.0.0.0/',
  ])('may not be %s', (url) => {
    expect(() => parseAddress(url, false)).toThrow(expect.objectContaining({ code: 'server/bad-request' }) as Error);
  });

  it('may be link-local where the administrator says so, and is shown without what may be secret', () => {
    expect(parseAddress('https://169.254.1.1/', true).hostname).toBe('169.254.1.1');
    expect(shown(new URL('https://bank.example/x?token=secret'))).toBe('https://bank.example/x?...');
  });

  it('is looked at again once its name has become a number', () => {
    const url = new URL('https://hooks.bank.example/');
    expect(mayReach('192.0.2.7', url, false)).toBe(true);
    expect(mayReach('169.254.169.254', url, false)).toBe(false);
    expect(mayReach('169.254.169.254', url, true)).toBe(true);
    expect(mayReach('::ffff:169.254.169.254', url, false)).toBe(false);
    // A name of elsewhere that means this machine is no way in.
    expect(mayReach('127.0.0.1', url, true)).toBe(false);
    expect(mayReach('127.0.0.1', new URL('http://localhost/'), false)).toBe(true);
  });
});

it('a message is tried for a day, later each time, and then given up', () => {
  let total = 0;
  let attempts = 1;
  let before = 0;
  for (; ; attempts++) {
    const delay = nextAttempt(attempts, undefined, 0);
    if (delay === undefined) break;
    expect(delay).toBeGreaterThanOrEqual(before);
    before = delay;
    total += delay;
  }
  expect(total).toBeGreaterThan(23 * 3_600_000);
  expect(total).toBeLessThan(26 * 3_600_000);
  expect(nextAttempt(1, 120_000, 0)).toBe(120_000);
  expect(nextAttempt(1, 1e12, 0)).toBe(3_600_000);
});

it('a receiver that never answers is not waited for without an end', async () => {
  const receiver = await startReceiver();
  receiver.behave(() => {});
  const message = { url: new URL(receiver.url), allowLinkLocal: false, headers: {}, body: '{}', patience: 300 };
  expect(await send(message)).toMatchObject({ received: false, told: 'no answer within 0.3 s' });
  // One that begins its answer and does not end it has said what counts.
  receiver.behave((_, response) => void response.writeHead(200).write('x'));
  expect(await send({ ...message, patience: 30_000, body: '{"x":1}' })).toMatchObject({ received: true });
});

it('a name that means no address which may be reached is not reached', async () => {
  const url = new URL('https://localhost.localdomain.invalid/');
  const sent = await send({ url, allowLinkLocal: false, headers: {}, body: '{}', patience: 30_000 });
  expect(sent).toMatchObject({ received: false });
});

describe.each(testDatabases)('webhooks on $engine', ({ start }) => {
  let running: RunningDatabase;
  let test: TestServer;
  let store: PlacementStore;
  beforeAll(async () => {
    running = await start();
    // A machine that stands still for a while loses no lease: what is told twice after that is another test's.
    test = await startTestServer(running, environments, { leaseTime: 60_000 });
    store = await openPlacementStore(running.database);
  }, 60_000);
  afterAll(async () => {
    await test?.server.stop();
    await running?.stop();
  });
  let holds = 0;
  /** Something happens; its reason is what it is known by. */
  const happen = async (why: string) => {
    const hold = { id: `hold-${holds++}`, by: 'ada', why };
    await store.happen(service, 'prod', { kind: 'hold', at: test.now(), hold }, { who: 'ada', source: 'test' });
  };
  const subscribe = async (url: string, more: object = {}) => {
    const made = await test.call('administrator', 'POST', '/v1/webhooks', { url, ...more });
    expect(made.status).toBe(201);
    return made.json as { id: string; secret: string };
  };
  const viewOf = async (id: string) => {
    const { json } = await test.call('administrator', 'GET', '/v1/webhooks');
    return (json as unknown as WebhookView[]).find((each) => each.id === id) as WebhookView;
  };
  const remove = (id: string) => test.call('administrator', 'DELETE', `/v1/webhooks/${id}`);
  const whys = (received: readonly Received[]) =>
    received.map(({ body }) => (JSON.parse(body) as { data: { why: string } }).data.why);

  it('tell a receiver of what happens from then on, signed', async () => {
    const receiver = await startReceiver();
    await happen('before');
    const { id, secret } = await subscribe(`${receiver.url}/hooks`);
    await happen('first');
    await vi.waitFor(() => expect(whys(receiver.received)).toEqual(['first']), soon);
    const { headers, body, path } = receiver.received[0]!;
    expect(path).toBe('/hooks');
    expect(JSON.parse(body)).toMatchObject({
      type: 'hold.begin',
      data: { who: 'ada', service, environment: 'prod', why: 'first' },
    });
    // As Standard Webhooks has a receiver check it.
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
    expect(key).toHaveLength(32);
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
    expect(Number(headers['webhook-timestamp'])).toBe(Math.floor(test.now() / 1000));
    await vi.waitFor(async () => expect(await viewOf(id)).toMatchObject({ delivered: 1, pending: 0 }), soon);
    await remove(id);
    await happen('after');
    expect(whys(receiver.received)).toEqual(['first']);
  });

  it('send again under the same id what a receiver did not take, however it fails', async () => {
    const receiver = await startReceiver();
    const { id } = await subscribe(receiver.url);
    let turn = 0;
    receiver.behave((_, response) => {
      turn++;
      if (turn === 1) response.writeHead(500).end();
      else if (turn === 2) response.destroy();
      // A redirect is no receipt, and nobody follows it.
      else if (turn === 3) response.writeHead(302, { location: `${receiver.url}/elsewhere` }).end();
      else response.writeHead(200).end();
    });
    await happen('stubborn');
    for (let tries = 1; tries <= 4; tries++) {
      await vi.waitFor(() => expect(receiver.received).toHaveLength(tries), soon);
      if (tries === 4) break;
      const told = [/answered 500/, /socket hang up/, /answered 302/][tries - 1];
      await vi.waitFor(async () => expect((await viewOf(id)).trouble).toMatch(told!), soon);
      test.wait(3_600_000);
    }
    await vi.waitFor(async () => expect(await viewOf(id)).toMatchObject({ delivered: 1, pending: 0 }), soon);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
    // Each time is signed anew, so that an old one can't be played again.
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-signature'])).size).toBe(4);
    expect(receiver.received.map(({ path }) => path)).not.toContain('/elsewhere');
    await remove(id);
  });

  it('let no receiver wait for another that hangs', async () => {
    const slow = await startReceiver();
    slow.behave(() => {});
    const quick = await startReceiver();
    const { id: first } = await subscribe(slow.url);
    const { id: second } = await subscribe(quick.url);
    for (let index = 0; index < 20; index++) await happen(`busy ${index}`);
    await vi.waitFor(() => expect(whys(quick.received)).toHaveLength(20), soon);
    expect((await viewOf(first)).pending).toBe(20);
    await remove(first);
    await remove(second);
  });

  it('send only what is asked for, and never what is not for everybody', async () => {
    const receiver = await startReceiver();
    const { id } = await subscribe(receiver.url, { events: ['hold.end', 'release.*'] });
    await happen('not asked for');
    const now = test.now();
    await test.server.tokens.create(
      { name: 'x', roles: ['viewer'], services: [], expiresAt: now + 1000 },
      { who: 'test', source: 'test' },
      now,
    );
    const lift = { kind: 'lift', at: now, hold: `hold-${holds - 1}`, by: 'ada', why: 'asked for' } as const;
    await store.happen(service, 'prod', lift, { who: 'ada', source: 'test' });
    await vi.waitFor(() => expect(whys(receiver.received)).toEqual(['asked for']), soon);
    const strange = await test.call('administrator', 'POST', '/v1/webhooks', {
      url: receiver.url,
      events: ['token.*'],
    });
    expect(strange).toMatchObject({ status: 400 });
    await remove(id);
  });

  it('give up after a day, say so, and send once more when they are asked to', async () => {
    const receiver = await startReceiver();
    receiver.behave((_, response) => void response.writeHead(503).end());
    const { id } = await subscribe(receiver.url);
    await happen('lost');
    for (let tries = 1; tries <= 11; tries++) {
      await vi.waitFor(async () => {
        const rows = await running.database.query('SELECT attempts FROM webhook_outbox WHERE webhook = $1', [id]);
        expect(rows).toEqual([{ attempts: tries }]);
      }, soon);
      expect(receiver.received).toHaveLength(tries);
      test.wait(9 * 3_600_000);
    }
    expect(await viewOf(id)).toMatchObject({ dead: 1, pending: 0, trouble: 'answered 503' });
    const entries = await readEntries(running.database, { subject: `webhook ${id}` });
    expect(entries.map(({ event }) => event.action)).toEqual(['webhook.create', 'webhook.give-up']);
    receiver.behave((_, response) => void response.writeHead(200).end());
    const retried = await test.call('administrator', 'POST', `/v1/webhooks/${id}/retry`);
    expect(retried.json).toEqual({ messages: 1 });
    await vi.waitFor(async () => expect(await viewOf(id)).toMatchObject({ delivered: 1, dead: 0 }), soon);
    await remove(id);
  });

  it('stop where the receiver says that it is gone for good', async () => {
    const receiver = await startReceiver();
    receiver.behave((_, response) => void response.writeHead(410).end());
    const { id } = await subscribe(receiver.url);
    await happen('farewell');
    await vi.waitFor(async () => expect((await viewOf(id)).disabled).toContain('410'), soon);
    await happen('unheard');
    expect(receiver.received).toHaveLength(1);
    await remove(id);
  });

  it('can be tried, and keep their secret to themselves', async () => {
    const receiver = await startReceiver();
    const { id, secret } = await subscribe(`${receiver.url}/?token=hidden`);
    const tried = await test.call('administrator', 'POST', `/v1/webhooks/${id}/test`);
    expect(tried.json).toEqual({ received: true, status: 204, told: 'answered 204' });
    expect(receiver.received[0]).toMatchObject({ path: '/?token=hidden' });
    // An answer without an end is an answer.
    receiver.behave((_, response) => {
      response.writeHead(200);
      const more = () => void (response.destroyed || response.write('x'.repeat(65_536), more));
      more();
    });
    expect((await test.call('administrator', 'POST', `/v1/webhooks/${id}/test`)).json).toMatchObject({
      received: true,
    });
    const seen = JSON.stringify([
      (await test.call('auditor', 'GET', '/v1/webhooks')).json,
      await readEntries(running.database, { limit: 1000 }),
    ]);
    expect(seen).toContain(id);
    expect(seen).not.toContain(secret.slice('whsec_'.length));
    expect(seen).not.toContain('hidden');
    expect(await test.call('auditor', 'POST', `/v1/webhooks/${id}/test`)).toMatchObject({ status: 403 });
    expect(await test.call('administrator', 'POST', '/v1/webhooks/wh_0/test')).toMatchObject({ status: 404 });
    await remove(id);
  });
});

it('a process that is killed while it sends leaves the message to the next one, under the same id', async () => {
  const running = await testDatabases[1]!.start();
  const receiver = await startReceiver();
  let test: TestServer | undefined;
  let child: ReturnType<typeof spawn> | undefined;
  try {
    // Only for the subscription and what happens: it stops before anything is sent.
    test = await startTestServer(running, environments);
    receiver.behave(() => {});
    const made = await test.call('administrator', 'POST', '/v1/webhooks', { url: receiver.url });
    expect(made.status).toBe(201);
    await test.server.stop();
    const store = await openPlacementStore(running.database);
    const hold = { id: 'h', by: 'ada', why: 'cut short' };
    await store.happen(service, 'prod', { kind: 'hold', at: Date.now(), hold }, { who: 'ada', source: 'test' });
    const script = fileURLToPath(new URL('../testing/deliver-process.ts', import.meta.url));
    child = spawn(process.execPath, [script, running.url!], { stdio: 'inherit' });
    await vi.waitFor(() => expect(receiver.received).toHaveLength(1), soon);
    child.kill('SIGKILL');
    receiver.behave((_, response) => void response.writeHead(200).end());
    test = await startTestServer(running, environments, { now: Date.now });
    await vi.waitFor(() => expect(receiver.received).toHaveLength(2), soon);
    const [first, second] = receiver.received;
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(second?.body).toBe(first?.body);
  } finally {
    child?.kill('SIGKILL');
    await test?.server.stop();
    await running.stop();
  }
}, 120_000);
