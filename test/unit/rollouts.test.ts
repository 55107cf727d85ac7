import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { readEntries, verifyLog } from '../../src/audit/index.ts';
import { type Database, openPglite } from '../../src/database/index.ts';
import type { Environment, Label } from '../../src/graph/index.ts';
import { applyObject, type Cluster, connect, getObject } from '../../src/kube/index.ts';
import { type Clusters, openClusters, openPlacementStore, readDrift } from '../../src/release/index.ts';
import { type ApiServer, findEngine, startApiServer } from '../support/api-server.ts';
import { typistAt } from '../support/command-line.ts';
import { playKubelet } from '../support/kubelet.ts';
import { type Caller, configMap, deployment, type RolloutAnswer, startCaller } from '../support/rollouts.ts';

const engine = findEngine();
const service = '//bank/ledger:ledger' as Label;
const place = { file: 'banksman.yaml' };

const environments = Array.from({ length: 20 }, (_, index): Environment => {
  const name = `dev-${index + 1}`;
  return { name, cluster: 'test', namespace: name, registry: 'registry.local', parameters: {}, place };
});

const base = { cluster: 'test', registry: 'registry.local', parameters: {}, place };
const soak = { kind: 'soak', name: 'soak', duration: 1_000, place } as const;
environments.push(
  { ...base, name: 'early', namespace: 'early', automatic: true },
  { ...base, name: 'late', namespace: 'late', automatic: true, after: 'early', gates: [soak] },
  { ...base, name: 'train', namespace: 'train' },
  { ...base, name: 'before', namespace: 'before' },
  { ...base, name: 'behind', namespace: 'behind', after: 'before' },
);

// The API server, its controllers, the database and the server are real; only the node is played.
describe.skipIf(engine === undefined)('rollouts by the server (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let clusters: Clusters;
  let database: Database;
  let caller: Caller;
  let count = 0;
  /** One for each test. */
  let dev: string;
  let namespace: string;

  beforeAll(async () => {
    api = await startApiServer(engine as string);
    cluster = await connect({ kubeconfig: api.kubeconfig });
    database = await openPglite(undefined);
    clusters = openClusters(() => ({ kubeconfigPath: api.kubeconfig }));
    caller = await startCaller({ database, environments, clusters, releases: new Map() });
  }, 120_000);
  afterAll(async () => {
    await caller?.server.stop();
    clusters?.close();
    await database?.close();
    cluster?.close();
    await api?.stop();
  }, 30_000);
  beforeEach(() => {
    dev = `dev-${++count}`;
    namespace = dev;
    const kubelet = playKubelet(cluster, namespace);
    return () => kubelet.stop();
  });

  const object = (kind: string, name: string, apiVersion = 'v1') =>
    getObject(cluster, { apiVersion, kind, name, namespace });

  it('brings what is promoted into the cluster, until it serves, and writes that down', async () => {
    const release = await caller.release(service, deployment('ledger', 'ready/ledger:1', configMap('rates')));
    const { id } = await caller.promote(service, dev, release, { why: 'first' });
    const rollout = await caller.until(service, dev, id, 'healthy', 'failed');
    expect(rollout).toMatchObject({ state: 'healthy', why: 'first' });
    expect(rollout.steps.map(({ state }) => state)).toEqual(['planned', 'applying', 'progressing', 'healthy']);
    expect(await object('Deployment', 'ledger', 'apps/v1')).toMatchObject({ status: { readyReplicas: 1 } });
    expect(await object('ConfigMap', 'rates')).toMatchObject({ data: { value: 'x' } });
    const entries = await readEntries(database, { subject: `${service} in ${dev}` });
    expect(entries.map(({ event }) => [event.action, event.who])).toEqual([
      ['rollout.planned', 'ada@bank.example'],
      ['rollout.applying', 'banksman'],
      ['rollout.progressing', 'banksman'],
      ['rollout.healthy', 'banksman'],
    ]);
    expect(await verifyLog(database)).toMatchObject({ findings: [] });
  }, 120_000);

  it('goes back by itself from what does not serve, and holds', async () => {
    const good = await caller.release(service, deployment('ledger', 'ready/ledger:1'));
    const first = await caller.promote(service, dev, good);
    await caller.until(service, dev, first.id, 'healthy');
    const bad = await caller.release(service, deployment('ledger', 'crash/ledger:2', configMap('left')));
    const second = await caller.promote(service, dev, bad);
    const failed = await caller.until(service, dev, second.id, 'failed', 'rolled-back');
    expect(failed.steps.find(({ state }) => state === 'failed')?.why).toMatch(/main/);
    const back = await caller.until(service, dev, `${second.id}-return`, 'healthy', 'failed');
    expect(back).toMatchObject({ state: 'healthy', release: { id: good } });
    expect(await object('ConfigMap', 'left')).toBeUndefined();
    expect(back.notes?.map(({ text }) => text)).toEqual(['deletes what left the manifests: ConfigMap/left']);
    const { holds, live } = await caller.placement(service, dev);
    expect(holds).toMatchObject([{ by: 'banksman', upTo: second.release.order }]);
    expect(live?.release.id).toBe(good);
  }, 180_000);

  it('lets a newer release take over at once from one that hangs', async () => {
    const stuck = await caller.release(service, deployment('ledger', 'unready/ledger:1'));
    const first = await caller.promote(service, dev, stuck);
    await caller.until(service, dev, first.id, 'progressing');
    const good = await caller.release(service, deployment('ledger', 'ready/ledger:2'));
    const second = await caller.promote(service, dev, good);
    await caller.until(service, dev, second.id, 'healthy');
    await caller.until(service, dev, first.id, 'superseded');
  }, 120_000);

  it('stops at bad manifests before anything is applied, and says where the mistake is', async () => {
    const bad = deployment('ledger', 'ready/ledger:1', configMap('before')).replace('replicas: 1', 'replcias: 1');
    const release = await caller.release(service, bad);
    const { id } = await caller.promote(service, dev, release);
    const { steps } = await caller.until(service, dev, id, 'failed');
    expect(steps.at(-1)?.why).toMatch(/replcias.*\(service\.yaml:5\)/);
    expect(await object('ConfigMap', 'before')).toBeUndefined();
  }, 120_000);

  it('writes down with its next rollout what somebody deployed past it', async () => {
    const first = await caller.release(service, configMap('rates', 'first'));
    const { id } = await caller.promote(service, dev, first);
    await caller.until(service, dev, id, 'healthy');
    const { store } = await clusters.open(environments.find(({ name }) => name === dev)!);
    const past = {
      id: 'past',
      release: 'ef'.repeat(32),
      kind: 'deploy',
      by: 'bob@desk',
      startedAt: '2026-01-01T00:00:00.000Z',
      result: 'healthy',
    } as const;
    // Also by a rollout in which nothing differs.
    for (const [index, manifests] of [configMap('rates', 'second'), `# \n${configMap('rates', 'second')}`].entries()) {
      const one = { ...past, id: `past-${index}` };
      await store.update(service, (record) => ({ ...record, rollouts: [...record.rollouts, one] }));
      const next = await caller.promote(service, dev, await caller.release(service, manifests));
      const rollout = await caller.until(service, dev, next.id, 'healthy');
      expect(rollout.notes?.map(({ text }) => text)).toEqual([
        expect.stringMatching(/^past the server.*: deploy of efefefefefef by bob@desk at 2026-01-01T00:00:00.000Z/),
      ]);
    }
    const entries = await readEntries(database, { subject: `${service} in ${dev}` });
    expect(entries.filter(({ event }) => event.action === 'rollout.note')).toHaveLength(2);
  }, 120_000);

  it.each([
    ['the first that would be applied', 'value: "x"', 'value: { is: no text }'],
    ['one behind it', 'image: ready/ledger:1', 'image: { is: no text }'],
  ])(
    'leaves nothing of a first release in which %s is refused',
    async (_, good, bad) => {
      const account = '---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ledger }\n';
      const manifests = deployment('ledger', 'ready/ledger:1', `${configMap('before')}${account}`);
      const release = await caller.release(service, manifests.replace(good, bad));
      const { id } = await caller.promote(service, dev, release);
      await caller.until(service, dev, id, 'failed');
      expect(await object('Deployment', 'ledger', 'apps/v1')).toBeUndefined();
      expect(await object('ConfigMap', 'before')).toBeUndefined();
      expect(await object('ServiceAccount', 'ledger')).toBeUndefined();
    },
    120_000,
  );

  it('names who else sets a field, and takes it over where that is asked for', async () => {
    const theirs = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'rates' }, data: { value: 'theirs' } };
    await applyObject(cluster, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, { namespace });
    await cluster.request({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/configmaps`,
      query: { fieldManager: 'kubectl-edit' },
      body: theirs,
    });
    const release = await caller.release(service, configMap('rates', 'ours'));
    const first = await caller.promote(service, dev, release);
    const { steps } = await caller.until(service, dev, first.id, 'failed');
    expect(steps.at(-1)?.why).toContain('kubectl-edit');
    const second = await caller.promote(service, dev, release, { adopt: true });
    await caller.until(service, dev, second.id, 'healthy');
    expect(await object('ConfigMap', 'rates')).toMatchObject({ data: { value: 'ours' } });
  }, 120_000);

  it('asks nothing about what nobody touched, sees what somebody did, and makes again what is gone', async () => {
    const asked: string[] = [];
    const note = (message: unknown) => {
      const { method, path } = (message as { readonly request: ClientRequest }).request;
      if (path.includes(`/namespaces/${namespace}/`) && !path.includes('watch=true')) asked.push(`${method} ${path}`);
    };
    let releases = 0;
    const manifests = deployment('ledger', 'ready/ledger:1', `${configMap('rates')}${configMap('gone')}`);
    const again = async () => {
      // Another release, in which nothing differs but what nobody applies.
      const release = await caller.release(service, `# ${++releases}\n${manifests}`);
      const { id } = await caller.promote(service, dev, release);
      return await caller.until(service, dev, id, 'healthy', 'failed');
    };
    await again();
    subscribe('http.client.request.start', note);
    try {
      // As soon as all that was applied is seen.
      await vi.waitFor(
        async () => {
          asked.length = 0;
          expect(await again()).toMatchObject({ state: 'healthy' });
          // The record in the cluster alone is read and written.
          expect(asked.filter((each) => !/^(?:GET|PUT) .*\/secrets\//.test(each))).toEqual([]);
        },
        { timeout: 60_000 },
      );
    } finally {
      unsubscribe('http.client.request.start', note);
    }
    const driftIs = (change: string) =>
      vi.waitFor(async () => expect((await readDrift(database, service, dev))?.objects).toMatchObject([{ change }]), {
        timeout: 60_000,
        interval: 100,
      });
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    await cluster.request({ method: 'DELETE', path: `${path}/gone` });
    await driftIs('deleted');
    expect(await again()).toMatchObject({ state: 'healthy' });
    expect(await object('ConfigMap', 'gone')).toMatchObject({ data: { value: 'x' } });
    const rates = await object('ConfigMap', 'rates');
    await cluster.request({
      method: 'PUT',
      path: `${path}/rates`,
      query: { fieldManager: 'kubectl-edit' },
      body: { ...rates, data: { value: 'theirs' } },
    });
    await driftIs('changed');
    const { state, steps } = await again();
    expect(state).toBe('failed');
    expect(steps.find((step) => step.state === 'failed')?.why).toContain('kubectl-edit');
  }, 180_000);

  it('takes what is made and what has proven itself upstream, by itself, and nothing while it is held', async () => {
    const own = '//bank/audit:audit' as Label;
    const held = await caller.call('POST', `/v1/environments/late/services/${encodeURIComponent(own)}/holds`, {
      why: 'looking',
    });
    const release = await caller.release(own, configMap('audit', '1'));
    const early = await caller.untilLive(own, 'early', release);
    expect(early).toMatchObject({ kind: 'automatic', by: 'banksman', why: 'it was released' });
    expect(await caller.placement(own, 'late')).toMatchObject({ rollouts: [] });
    const { id } = held.json as { id: string };
    const lift = `/v1/environments/late/services/${encodeURIComponent(own)}/holds/${id}/lift`;
    expect(await caller.call('POST', lift, { why: 'looked' })).toMatchObject({ status: 200 });
    const late = await caller.untilLive(own, 'late', release);
    expect(late).toMatchObject({ kind: 'automatic', why: 'it is healthy in early' });
    const time = (rollout: RolloutAnswer, state: string) =>
      Date.parse(rollout.steps.find((step) => step.state === state)?.at ?? '');
    expect(time(late, 'applying') - time(early, 'healthy')).toBeGreaterThanOrEqual(soak.duration);
    const newer = await caller.release(own, configMap('audit', '2'));
    await caller.untilLive(own, 'late', newer);
  }, 120_000);

  it('lets a train go in its order, and keeps back what comes after a car that failed', async () => {
    const [first, second, third] = ['//t/a:a', '//t/b:b', '//t/c:c'] as Label[] as [Label, Label, Label];
    const release = async (of: Label, manifests: string) => {
      const id = await caller.release(of, manifests);
      return { id, order: 1 };
    };
    const cars = [
      { service: first, release: await release(first, configMap('a')), after: [] },
      { service: second, release: await release(second, configMap('b').replace('data:', 'dta:')), after: [first] },
      { service: third, release: await release(third, configMap('c')), after: [first, second] },
    ];
    const store = await openPlacementStore(database);
    const train = { id: 'train-1', environment: 'train', cars, by: 'ada@bank.example', startedAt: Date.now() };
    const actor = { who: 'ada@bank.example', source: 'test' };
    expect(await store.startTrain(train, actor)).toMatchObject(train);
    expect(await store.startTrain(train, actor)).toMatchObject(train);
    await expect(store.startTrain({ ...train, cars: [] }, actor)).rejects.toMatchObject({
      code: 'release/train-known',
    });
    await expect.poll(async () => (await store.train('train-1'))?.endedAt, { timeout: 60_000 }).toBeTypeOf('number');
    expect((await caller.placement(first, 'train')).live).toMatchObject({ state: 'healthy', why: 'train train-1' });
    expect((await caller.placement(second, 'train')).live).toMatchObject({ state: 'failed' });
    expect((await caller.placement(third, 'train')).rollouts).toEqual([]);
    const entries = await readEntries(database, { subject: 'train train-1 in train' });
    expect(entries.map(({ event }) => event.action)).toEqual(['train.start', 'train.end']);
    expect(entries.at(-1)?.event.after).toEqual({ [first]: 'arrived', [second]: 'failed', [third]: 'stays' });
  }, 120_000);

  it('keeps volume claims until a person says so, and writes down what it deletes', async () => {
    const claim = `---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], storageClassName: '', resources: { requests: { storage: 1Mi } } }
`;
    // A claim that nothing binds is not ready: the rollout need not be either.
    const first = await caller.promote(service, dev, await caller.release(service, configMap('a') + claim));
    await caller.until(service, dev, first.id, 'progressing', 'healthy');
    const without = await caller.release(service, configMap('b'));
    const second = await caller.promote(service, dev, without);
    const kept = await caller.until(service, dev, second.id, 'healthy');
    expect(kept.notes?.map(({ text }) => text)).toEqual([
      'left in place, since only a person may have it deleted: PersistentVolumeClaim/data',
      'deletes what left the manifests: ConfigMap/a',
    ]);
    expect(await object('PersistentVolumeClaim', 'data')).toMatchObject({ metadata: { name: 'data' } });
    const third = await caller.promote(service, dev, await caller.release(service, configMap('c')), {
      deletesData: true,
    });
    const gone = await caller.until(service, dev, third.id, 'healthy');
    expect(gone.notes?.at(-1)?.text).toContain('PersistentVolumeClaim/data');
    const claimNow = await object('PersistentVolumeClaim', 'data');
    expect(claimNow?.metadata.deletionTimestamp ?? 'gone').toBeTruthy();
  }, 120_000);

  it('shows what would change object by object, against what is in the cluster, and changes nothing', async () => {
    const own = '//bank/rates:rates' as Label;
    const { banksman } = await typistAt(caller.server, 'eve@bank.example');
    const first = await caller.release(own, configMap('rates', 'one') + configMap('old'));
    const promoted = await caller.promote(own, dev, first);
    await caller.until(own, dev, promoted.id, 'healthy');
    // Somebody's hand: it is what is there that counts, not what was written.
    await cluster.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${namespace}/configmaps/rates`,
      query: { fieldManager: 'kubectl-edit' },
      contentType: 'application/merge-patch+json',
      body: { data: { extra: 'by hand' } },
    });
    const before = await object('ConfigMap', 'rates');
    const second = await caller.release(own, configMap('rates', 'two') + configMap('new'));
    const shown = await banksman('promote', own, '--env', dev, '--release', second, '--preview');
    expect(shown.code).toBe(0);
    expect(shown.out).toContain('~ ConfigMap/rates\n    data.value: "one" -> "two"\n');
    expect(shown.out).toContain('+ ConfigMap/new\n');
    expect(shown.out).toContain('- ConfigMap/old\n');
    expect(shown.out).not.toMatch(/note:|as they are written/);
    expect((await object('ConfigMap', 'rates'))?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
    expect(await object('ConfigMap', 'new')).toBeUndefined();
    const unreadable = await caller.release(own, configMap('rates').replace('metadata:', 'metadta:'));
    const unread = await banksman('promote', own, '--env', dev, '--release', unreadable, '--preview');
    expect(unread).toMatchObject({
      code: 1,
      out: expect.stringMatching(/manifest\/missing-field[\s\S]*metadata/) as string,
    });
    const bad = await caller.release(own, configMap('rates').replace('\ndata:', '\ndta:'));
    const refused = await banksman('promote', own, '--env', dev, '--release', bad, '--preview');
    expect(refused).toMatchObject({ code: 1, out: expect.stringMatching(/release\/rejected[\s\S]*dta/) as string });
    // Of a namespace that is still to be made.
    const nowhere = await banksman('promote', own, '--env', 'behind', '--release', second, '--preview');
    expect(nowhere.out).toContain('+ ConfigMap/rates\n');
  });

  it('goes by the command line: promote without a release, a train to its end, bisect with a command', async () => {
    const kubelet = playKubelet(cluster, 'behind');
    const upstream = playKubelet(cluster, 'before');
    const { banksman, type } = await typistAt(caller.server, 'eve@bank.example');
    const [one, two, three] = ['//line/a:a', '//line/b:b', '//line/c:c'] as [Label, Label, Label];
    const bring = async (of: Label, manifests: string) => {
      const release = await caller.release(of, manifests);
      const { id } = await caller.promote(of, 'before', release);
      await caller.until(of, 'before', id, 'healthy');
      return release;
    };
    const first = await bring(one, configMap('a'));
    const words = ['promote', one, '--env', 'behind'];
    const silent = await banksman(...words);
    expect(silent).toMatchObject({ code: 2, out: expect.stringContaining('which is healthy in before') as string });
    const said = [
      ['', 'ask for it in behind? [y/N]'],
      ['y\r', 'healthy'],
    ] as const;
    const yes = await type(said, ...words, '--wait');
    expect(yes.out).toContain(`${one}: release ${first.slice(7, 19)} (1), which is healthy in before`);
    expect(yes.code).toBe(0);
    expect((await caller.placement(one, 'behind')).live?.release.id).toBe(first);
    const none = await banksman('promote', two, '--env', 'behind', '--yes');
    expect(none).toMatchObject({
      code: 1,
      out: expect.stringContaining(`nothing of ${two} is healthy in before`) as string,
    });
    await bring(two, configMap('b'));
    const third = await bring(three, configMap('c', '1'));
    const train = ['train', '//line/...', '--env', 'behind'];
    const plan = await banksman(...train, '--preview');
    expect(plan.out).toMatch(/\/\/line\/b:b {2}release \w+ \(1\)\n[\s\S]*\/\/line\/a:a {2}stays: it is there already/);
    const gone = await banksman(...train, '--why', 'release of the week', '--wait');
    expect(gone.out).toMatch(
      /\/\/line\/b:b {2}release \w+ \(1\) {2}arrived\n\/\/line\/c:c {2}release \w+ \(1\) {2}arrived/,
    );
    expect(gone.code).toBe(0);
    expect((await caller.placement(three, 'behind')).live).toMatchObject({ state: 'healthy', release: { id: third } });
    // What is well in the one environment and not in the other: its parameters, say.
    await bring(three, deployment('c', 'ready/c:1'));
    kubelet.stop();
    const crash = playKubelet(cluster, 'behind', () => 'crash');
    const failed = await banksman(...train, '--why', 'the next', '--wait');
    expect(failed).toMatchObject({ code: 1, out: expect.stringContaining('1 of 1 did not arrive') as string });
    crash.stop();
    upstream.stop();

    const releases: string[] = [];
    for (const image of ['ready/d:1', 'ready/d:2', 'ready/d:3', 'crash/d:4', 'crash/d:5']) {
      releases.push(await caller.release(service, deployment('d', image)));
    }
    const [good = '', bad = ''] = [releases.at(0), releases.at(-1)];
    const bisect = ['bisect', service, '--env', dev, '--good', good, '--bad', bad];
    const found = await banksman(...bisect, '--run', 'test -n "$BANKSMAN_RELEASE"');
    expect(found.out).toMatch(new RegExp(`the first bad release:\\n {2}${releases[3]?.slice(7, 19)} `));
    expect(found.code).toBe(0);
    expect(await banksman(...bisect, '--run', 'no-such-command')).toMatchObject({ code: 2 });
    const skipped = await banksman(...bisect, '--bad', releases[3] ?? '', '--run', 'exit 125');
    expect(skipped.out).toContain('one of these is the first bad release:');
  }, 240_000);

  it('brings a definition and an object of its kind in one release', async () => {
    const release = await caller.release(
      service,
      `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: ledgers.${dev}.bank.example }
spec:
  group: ${dev}.bank.example
  scope: Namespaced
  names: { plural: ledgers, singular: ledger, kind: Ledger }
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, properties: { spec: { type: object, properties: { size: { type: integer } } } } } }
---
apiVersion: ${dev}.bank.example/v1
kind: Ledger
metadata: { name: main }
spec: { size: 3 }
`,
    );
    const { id } = await caller.promote(service, dev, release);
    await caller.until(service, dev, id, 'healthy');
    expect(await object('Ledger', 'main', `${dev}.bank.example/v1`)).toMatchObject({ spec: { size: 3 } });
  }, 120_000);
});
