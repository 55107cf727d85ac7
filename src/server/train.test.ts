import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../test/support/server.ts';
import type { Database } from '../database/index.ts';
import { openPglite } from '../database/index.ts';
import type { Environment, Label } from '../graph/index.ts';
import { openPlacementStore, type ReleaseContent } from '../release/index.ts';

const place = { file: 'banksman.yaml', line: 1 };
const base = { cluster: 'local', registry: 'r', parameters: {}, place };
const environments = new Map<string, Environment>([
  ['staging', { ...base, name: 'staging', namespace: 's' }],
  ['prod', { ...base, name: 'prod', namespace: 'p', after: 'staging', parameters: { size: 3 } }],
]);
const postgres = '//bank/postgres:postgres' as Label;
const ledger = '//bank/ledger:ledger' as Label;
const gateway = '//bank/gateway:gateway' as Label;
const dns = '//platform/dns:dns' as Label;
const all = [postgres, ledger, gateway, dns];
const idOf = (service: Label, order: number) =>
  `sha256:${String(all.indexOf(service) + 1).repeat(32)}${String(order).repeat(32)}`;

function content(service: Label, order: number): ReleaseContent {
  const source = `apiVersion: v1
kind: ConfigMap
metadata: { name: c }
data: { version: "${order}", same: x }
---
apiVersion: v1
kind: Secret
metadata: { name: s }
stringData: { key: hunter${order} }
${order === 2 ? '---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: added }\n' : ''}`;
  return {
    bundle: {
      format: 1,
      service,
      ...(service === ledger && { after: [postgres] }),
      containers: [],
      files: [{ path: 'bank/a.yaml', source }],
    },
    images: [],
    commit: String(order).repeat(40),
    authors: [`Ada ${order} <ada@bank.example>`],
    reviewers: [],
    provenance: [],
  };
}

describe('trains, previews and differences', () => {
  let database: Database;
  let server: TestServer;
  const path = (service: string) => `/v1/environments/prod/services/${encodeURIComponent(service)}`;
  beforeAll(async () => {
    database = await openPglite(undefined);
    const contents = new Map(
      all.flatMap((service) => [1, 2].map((order) => [`r@${idOf(service, order)}`, content(service, order)])),
    );
    server = await startTestServer(
      {
        database,
        environments,
        fetchRelease: async (reference) => contents.get(reference)!,
        version: '1',
        host: '127.0.0.1',
        port: 0,
      },
      [ledger],
    );
    const actor = { who: 'test', source: 'test' };
    const store = await openPlacementStore(database);
    for (const service of all) {
      for (const order of [1, 2]) {
        const { commit, authors, bundle } = content(service, order);
        const id = idOf(service, order);
        const about = { commit, authors, needs: bundle.after, madeAt: order * 1000 };
        await store.addRelease({ id, service, reference: `r@${id}`, ...about }, actor);
      }
      // Healthy in staging, all but the gateway.
      if (service === gateway) continue;
      await serve(service, 'staging', 2);
    }
    await serve(ledger, 'prod', 1);

    async function serve(service: Label, environment: string, order: number) {
      const terms = { patience: 1e6, deadline: 1e6, onFailure: 'stop', returnGates: [] } as const;
      const rollout = `${service}-${environment}`;
      const at = Date.now();
      const release = { id: idOf(service, order), order };
      const request = { id: rollout, release, kind: 'promotion', by: 'ada', gates: [], terms } as const;
      await store.happen(service, environment, { kind: 'plan', at, request }, actor);
      await store.happen(service, environment, { kind: 'gates', at, rollout, answers: [] }, actor);
      await store.happen(service, environment, { kind: 'applied', at, rollout }, actor);
      await store.happen(service, environment, { kind: 'ready', at, rollout, verifies: false }, actor);
    }
  }, 60_000);
  afterAll(async () => {
    await server?.stop();
    await database?.close();
  });

  it('show what a train would take along, in the order of needs, and what stays', async () => {
    const { json } = await server.call('viewer', 'GET', '/v1/environments/prod/train');
    expect(json.cars).toMatchObject([
      { service: postgres, after: [] },
      { service: ledger, after: [postgres], release: { order: 2 } },
    ]);
    expect(json.stay).toEqual([{ service: gateway, why: 'it is not healthy in staging' }]);
    const part = await server.call('viewer', 'GET', '/v1/environments/prod/train?match=//bank/ledger');
    expect(part.json.cars.map(({ service }: { service: string }) => service)).toEqual([ledger]);
    const platform = await server.call('viewer', 'GET', '/v1/environments/prod/train?kind=infrastructure');
    expect(platform.json.cars.map(({ service }: { service: string }) => service)).toEqual([dns]);
    expect(await server.call('viewer', 'GET', '/v1/environments/staging/train')).toMatchObject({ status: 409 });
  });

  it('send a train once, of what its sender may promote', async () => {
    const trains = '/v1/environments/prod/trains';
    expect(await server.call('engineer', 'POST', trains, { why: 'all of it' })).toMatchObject({ status: 403 });
    expect(await server.call('platform-engineer', 'POST', trains, { why: 'x', match: '//bank/...' })).toMatchObject({
      status: 403,
    });
    expect(await server.call('release-manager', 'POST', trains, { why: 'x', match: '//none/...' })).toMatchObject({
      status: 409,
    });
    const key = { 'idempotency-key': 'train-number-1' };
    const sent = await server.call('release-manager', 'POST', trains, { why: 'weekly' }, key);
    expect(sent).toMatchObject({ status: 202, json: { id: 'train-number-1', why: 'weekly', environment: 'prod' } });
    expect(sent.json.cars.map(({ service }: { service: string }) => service)).toEqual([postgres, ledger]);
    expect(await server.call('release-manager', 'POST', trains, { why: 'weekly' }, key)).toMatchObject({ status: 202 });
    expect(
      await server.call('platform-engineer', 'POST', trains, { why: 'x', kind: 'infrastructure' }, key),
    ).toMatchObject({ status: 409 });
    const { json } = await server.call('viewer', 'GET', trains);
    expect(json.map(({ id }: { id: string }) => id)).toEqual(['train-number-1']);
    expect(await server.call('viewer', 'GET', '/v1/trains/train-number-1')).toMatchObject({ status: 200 });
    expect(await server.call('viewer', 'GET', '/v1/trains/none')).toMatchObject({
      status: 404,
      json: { type: 'urn:banksman:server/unknown-train' },
    });
  });

  it('preview a release object by object, against what is there', async () => {
    const { json, text } = await server.call('viewer', 'GET', `${path(ledger)}/preview?release=${idOf(ledger, 2)}`);
    expect(json).toMatchObject({ against: 'release', from: { order: 1 }, to: { order: 2 }, unchanged: 0 });
    expect(json.releases).toMatchObject([{ order: 2, authors: ['Ada 2 <ada@bank.example>'] }]);
    expect(json.objects).toMatchObject([
      {
        kind: 'ConfigMap',
        name: 'c',
        change: 'changed',
        fields: [{ path: 'data.version', before: '"1"', after: '"2"' }],
      },
      { kind: 'Secret', change: 'changed', fields: [{ path: 'stringData.key', before: '(hidden)' }] },
      { kind: 'ServiceAccount', name: 'added', change: 'added' },
    ]);
    expect(text).not.toContain('hunter');
    // A rollback's preview, where there is nothing to go back to.
    expect(await server.call('viewer', 'GET', `${path(ledger)}/preview`)).toMatchObject({ status: 409 });
    expect(await server.call('viewer', 'GET', `${path(ledger)}/preview?release=00000000`)).toMatchObject({
      status: 404,
    });
  });

  it('tell how two releases or environments differ', async () => {
    const difference = `/v1/services/${encodeURIComponent(ledger)}/difference`;
    const { json } = await server.call('viewer', 'GET', `${difference}?from=prod&to=staging`);
    expect(json).toMatchObject({
      from: { order: 1 },
      to: { order: 2 },
      releases: [{ order: 2, commit: '2'.repeat(40) }],
    });
    const back = await server.call('viewer', 'GET', `${difference}?from=${idOf(ledger, 2)}&to=${idOf(ledger, 1)}`);
    expect(back.json.objects.map(({ change }: { change: string }) => change)).toEqual([
      'changed',
      'changed',
      'removed',
    ]);
    expect(back.json.releases).toHaveLength(1);
    expect(await server.call('viewer', 'GET', `${difference}?from=prod`)).toMatchObject({ status: 400 });
    expect(await server.call('viewer', 'GET', `${difference}?from=prod&to=staging&environment=x`)).toMatchObject({
      status: 404,
    });
  });
});
