import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readEntries, verifyLog } from '../../src/audit/index.ts';
import { type Database, openPglite } from '../../src/database/index.ts';
import type { Environment, Label } from '../../src/graph/index.ts';
import { applyObject, type Cluster, connect, getObject } from '../../src/kube/index.ts';
import { type Clusters, openClusters } from '../../src/release/index.ts';
import { type ApiServer, findEngine, startApiServer } from '../support/api-server.ts';
import { playKubelet } from '../support/kubelet.ts';
import { type Caller, configMap, deployment, startCaller } from '../support/rollouts.ts';

const engine = findEngine();
const service = '//bank/ledger:ledger' as Label;
const place = { file: 'banksman.yaml' };

const environments = Array.from({ length: 20 }, (_, index): Environment => {
  const name = `dev-${index + 1}`;
  return { name, cluster: 'test', namespace: name, registry: 'registry.local', parameters: {}, place };
});

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
});
