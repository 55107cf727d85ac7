import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../test/support/databases.ts';
import { startTestServer, type TestServer } from '../../test/support/server.ts';
import type { Environment, Label } from '../graph/index.ts';
import type { ReleaseContent } from '../release/index.ts';
import { pageOf } from './page.ts';

const place = { file: 'banksman.yaml', line: 1 };
const base = { cluster: 'local', registry: 'r', parameters: {}, place };
const environments = new Map<string, Environment>([
  ['staging', { ...base, name: 'staging', namespace: 's' }],
  // Nobody approves: what is asked for waits.
  [
    'prod',
    {
      ...base,
      name: 'prod',
      namespace: 'p',
      after: 'staging',
      gates: [{ kind: 'approvals', name: 'approvals', count: 1, place }],
    },
  ],
]);
const waiting = expect.stringMatching(/^(?:planned|gated)$/) as string;
const digest = (index: number) => `sha256:${String(index % 10).repeat(8)}${String(index).padStart(56, '0')}`;
const content = (service: Label, kind?: 'service' | 'infrastructure'): ReleaseContent => ({
  bundle: { format: 1, service, owner: 'team', ...(kind !== undefined && { kind }), containers: [], files: [] },
  images: [],
  commit: 'c'.repeat(40),
  authors: ['Ada <ada@bank.example>'],
  reviewers: [],
  provenance: [],
});

describe('a page', () => {
  it('has one item more than fits only where there is nothing else, and says where the next begins', () => {
    const large = ['a', 'b', 'c'].map((name) => ({ name, text: 'x'.repeat(500_000) }));
    const page = pageOf(
      large,
      3,
      (each) => each,
      ({ name }) => name,
    );
    expect(page.items.map(({ name }) => name)).toEqual(['a']);
    expect(page.next).toBe('a');
    const next = pageOf(
      large.slice(1),
      3,
      (each) => each.name,
      ({ name }) => name,
    );
    expect(next).toEqual({ items: ['b', 'c'] });
    expect(pageOf(['a', 'b', 'c'], 2, String, String)).toEqual({ items: ['a', 'b'], next: 'b' });
    expect(pageOf([], 2, String, String)).toEqual({ items: [] });
  });
});

describe.each(testDatabases)('lists of the server on $engine', ({ start }) => {
  let running: RunningDatabase;
  let server: TestServer;
  const now = Date.parse('2026-01-01T00:00:00Z');
  const contents = new Map<string, ReleaseContent>();
  const services = Array.from({ length: 7 }, (_, index) => `//bank/s${index}:s${index}` as Label);
  const dns = '//platform/dns:dns' as Label;
  const path = (service: string, environment = 'prod') =>
    `/v1/environments/${environment}/services/${encodeURIComponent(service)}`;
  async function add(
    role: 'engineer' | 'platform-engineer' | 'release-manager',
    index: number,
    released: ReleaseContent,
  ) {
    const reference = `r/releases/x@${digest(index)}`;
    contents.set(reference, released);
    const { service } = released.bundle;
    return await server.call(role, 'POST', `/v1/services/${encodeURIComponent(service)}/releases`, { reference });
  }

  beforeAll(async () => {
    running = await start();
    const options = {
      database: running.database,
      environments,
      fetchRelease: async (reference: string) => contents.get(reference)!,
      version: '1',
      host: '127.0.0.1',
      port: 0,
      now: () => now,
    };
    server = await startTestServer(options, [...services, dns]);
    for (const [index, service] of services.entries()) {
      expect(await add('engineer', index + 1, content(service))).toMatchObject({ status: 201 });
    }
  }, 60_000);
  afterAll(async () => {
    await server?.stop();
    await running?.stop();
  });

  it('give all services, by pages', async () => {
    const seen: string[] = [];
    let next: string | undefined;
    do {
      const after = next === undefined ? '' : `&after=${encodeURIComponent(next)}`;
      const { status, json } = await server.call('viewer', 'GET', `/v1/services?limit=3${after}`);
      expect(status).toBe(200);
      seen.push(...json.items.map(({ service }: { service: string }) => service));
      next = json.next;
    } while (next !== undefined);
    expect(seen.filter((service) => service.startsWith('//bank/'))).toEqual(services);
  });

  it('show what is asked for, and find it by filters', async () => {
    const [service] = services;
    await server.call('engineer', 'POST', `${path(service!)}/promotions`, { release: digest(1), why: 'rates' });
    await server.call('engineer', 'POST', `${path(service!)}/holds`, { why: 'looking' });
    const open = await server.call('viewer', 'GET', '/v1/environments/prod/services?open=true');
    expect(open.json.items).toMatchObject([
      {
        service,
        state: 'absent',
        open: [{ state: waiting, by: 'engineer@bank.example' }],
        held: [{ why: 'looking' }],
      },
    ]);
    const held = await server.call('viewer', 'GET', '/v1/environments/prod/services?held=true');
    expect(held.json.items).toHaveLength(1);
    const match = encodeURIComponent('//bank/s1 //bank/s2:all');
    const matched = await server.call('viewer', 'GET', `/v1/services?match=${match}`);
    expect(matched.json.items.map((each: { service: string }) => each.service)).toEqual([services[1], services[2]]);
    const history = await server.call('viewer', 'GET', `${path(service!)}/rollouts`);
    expect(history.json.items).toMatchObject([
      { state: waiting, why: 'rates', commit: 'c'.repeat(40), authors: ['Ada <ada@bank.example>'] },
    ]);
    for (const query of ['limit=0', 'limit=501', 'limit=x', 'state=fine', 'kind=x', 'match=ledger', 'open=1', 'x=1']) {
      const { status, json } = await server.call('viewer', 'GET', `/v1/environments/prod/services?${query}`);
      expect([query, status, json.type]).toEqual([query, 400, 'urn:banksman:server/bad-request']);
    }
    expect(await server.call('viewer', 'GET', '/v1/environments/prd/services')).toMatchObject({ status: 404 });
    expect(await server.call('viewer', 'GET', `${path(service!)}/rollouts?before=x`)).toMatchObject({ status: 400 });
  });

  it('tell infrastructure from services, which other people change', async () => {
    expect(await add('engineer', 100, content(dns))).toMatchObject({ status: 403 });
    expect(await add('platform-engineer', 100, content(dns))).toMatchObject({
      status: 201,
      json: { kind: 'infrastructure' },
    });
    const { json } = await server.call('viewer', 'GET', '/v1/services?kind=infrastructure');
    expect(json.items).toMatchObject([{ service: dns, kind: 'infrastructure', owner: 'team' }]);
    const promotion = `${path(dns)}/promotions`;
    const refused = await server.call('engineer', 'POST', promotion, { release: digest(100) });
    expect(refused).toMatchObject({ status: 403, json: { notes: [`${dns} is infrastructure`] } });
    expect(await server.call('platform-engineer', 'POST', promotion, { release: digest(100) })).toMatchObject({
      status: 202,
    });
    const service = `${path(services[3]!)}/promotions`;
    expect(await server.call('platform-engineer', 'POST', service, { release: digest(4) })).toMatchObject({
      status: 403,
    });
    // What is one kind becomes another only by who may change both.
    expect(await add('engineer', 101, content(services[3]!, 'infrastructure'))).toMatchObject({ status: 403 });
    expect(await add('platform-engineer', 101, content(services[3]!, 'infrastructure'))).toMatchObject({ status: 403 });
    expect(await add('release-manager', 101, content(services[3]!, 'infrastructure'))).toMatchObject({ status: 201 });
    expect(await server.call('engineer', 'POST', service, { release: digest(4) })).toMatchObject({ status: 403 });
  });
});
