import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyLog } from '../../src/audit/index.ts';
import type { Environment, Label } from '../../src/graph/index.ts';
import { type Cluster, connect, getObject, listObjects } from '../../src/kube/index.ts';
import { type ApiServer, findEngine, startApiServer } from '../support/api-server.ts';
import { type RunningDatabase, testDatabases } from '../support/databases.ts';
import {
  type CutLine,
  type Fate,
  type FaultProxy,
  startCutLine,
  startFaultProxy,
  writes,
} from '../support/fault-proxy.ts';
import { playKubelet } from '../support/kubelet.ts';
import { configMap, deployment, type RolloutAnswer } from '../support/rollouts.ts';
import { type ServerProcess, startServerProcess } from '../support/start-server-process.ts';

const engine = findEngine();
const postgres = testDatabases.find(({ engine: name }) => name === 'postgresql');
const service = '//bank/ledger:ledger' as Label;
const place = { file: 'banksman.yaml' };
const approvals = { kind: 'approvals', name: 'approvals', count: 1, place } as const;
const environments = Array.from({ length: 30 }, (_, index): Environment => {
  const name = `dev-${index + 1}`;
  return { name, cluster: 'test', namespace: name, registry: 'registry.local', parameters: {}, place };
});
environments.push(
  { ...environments[0]!, name: 'gated', namespace: 'gated', gates: [approvals] },
  { ...environments[0]!, name: 'short', namespace: 'short', deadline: 4_000 },
);

const states = ({ steps }: RolloutAnswer) => steps.map(({ state }) => state);

// Everything is real: API server, PostgreSQL, the server's process. Only the node is played.
describe.skipIf(engine === undefined)('rollouts through failures (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let running: RunningDatabase;
  let line: CutLine;
  let proxy: FaultProxy;
  let folder: string;
  let server: ServerProcess;
  let dev: string;
  let count = 0;

  const start = (through = proxy, databaseUrl = line.url) =>
    startServerProcess({
      databaseUrl,
      kubeconfig: through.kubeconfig,
      releases: folder,
      environments,
      leaseTime: 1_500,
    });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'banksman-releases-'));
    [api, running] = await Promise.all([startApiServer(engine as string), postgres!.start()]);
    cluster = await connect({ kubeconfig: api.kubeconfig });
    line = await startCutLine(running.url as string);
    proxy = await startFaultProxy(api.kubeconfig, 'proxy');
    server = await start();
  }, 180_000);
  afterAll(async () => {
    await server?.kill();
    proxy?.stop();
    line?.stop();
    cluster?.close();
    await Promise.all([running?.stop(), api?.stop(), rm(folder, { recursive: true, force: true })]);
  }, 60_000);
  beforeEach(() => {
    dev = `dev-${++count}`;
    proxy.set(() => 'pass');
  });

  const object = (kind: string, name: string, apiVersion = 'v1') =>
    getObject(cluster, { apiVersion, kind, name, namespace: dev });
  const restart = async () => {
    await server.kill();
    server = await start();
  };
  const manifests = (version: number) =>
    deployment('ledger', `ready/ledger:${version}`, configMap('rates', `${version}`));

  it('goes on where it was, killed while a gate is shut', async () => {
    const release = await server.release(service, manifests(1));
    const { id } = await server.promote(service, 'gated', release);
    await server.until(service, 'gated', id, 'gated');
    await restart();
    expect(await server.until(service, 'gated', id, 'gated')).toMatchObject({ id });
    const cancel = `/v1/environments/gated/services/${encodeURIComponent(service)}/rollouts/${id}/cancel`;
    expect(await server.call('POST', cancel, { why: 'seen' })).toMatchObject({ status: 200 });
  }, 120_000);

  it('goes on where it was, killed while it applies and while it watches', async () => {
    // The first object is written; the second never answers.
    proxy.set((call) => (writes(call) && call.url.includes('/deployments/') ? 'hang' : 'pass'));
    const release = await server.release(service, manifests(2));
    const { id } = await server.promote(service, dev, release);
    await expect.poll(() => object('ConfigMap', 'rates'), { timeout: 60_000 }).toBeDefined();
    expect((await server.until(service, dev, id, 'applying')).state).toBe('applying');
    await server.kill();
    proxy.set(() => 'pass');
    server = await start();
    // Nobody plays the kubelet yet: its pod does not come up.
    await server.until(service, dev, id, 'progressing');
    await restart();
    expect((await server.until(service, dev, id, 'progressing', 'healthy')).state).toBe('progressing');
    const kubelet = playKubelet(cluster, dev);
    const rollout = await server.until(service, dev, id, 'healthy', 'failed');
    kubelet.stop();
    expect(states(rollout)).toEqual(['planned', 'applying', 'progressing', 'healthy']);
  }, 180_000);

  it('goes on where it was, killed while it verifies', async () => {
    const check = `---
apiVersion: batch/v1
kind: Job
metadata: { name: check, annotations: { banksman.local/verify: "true" } }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: check, image: "check/check:1" }]
`;
    const release = await server.release(service, configMap('a') + check);
    const { id } = await server.promote(service, dev, release);
    await server.until(service, dev, id, 'verifying');
    const pods = async () => (await listObjects(cluster, { apiVersion: 'v1', kind: 'Pod' }, { namespace: dev })).items;
    await expect.poll(async () => (await pods()).length, { timeout: 60_000 }).toBe(1);
    const [before] = await pods();
    await restart();
    const [pod] = await pods();
    expect(pod?.metadata.uid).toBe(before?.metadata.uid);
    const status = { phase: 'Succeeded', containerStatuses: [] };
    await cluster.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${dev}/pods/${pod?.metadata.name}/status`,
      contentType: 'application/merge-patch+json',
      body: { status },
    });
    const rollout = await server.until(service, dev, id, 'healthy', 'failed');
    expect(states(rollout)).toEqual(['planned', 'applying', 'progressing', 'verifying', 'healthy']);
  }, 180_000);

  it.each<[string, Fate]>([
    ['answers 409', { status: 409 }],
    ['answers 429', { status: 429, retryAfter: 0 }],
    ['answers 500', { status: 500 }],
    ['goes away', 'drop'],
    ['does what it is asked and goes away', 'drop-after'],
  ])(
    'gets there although the API server %s in every phase',
    async (_, fate) => {
      const kubelet = playKubelet(cluster, dev);
      // The first request of every kind fails, in whatever phase it comes.
      const seen = new Map<string, number>();
      proxy.set(({ method, url }) => {
        const kind = `${method} ${url.replace(/(?:resourceVersion|continue|timeoutSeconds)=[^&]*/g, '')}`;
        const turn = (seen.get(kind) ?? 0) + 1;
        seen.set(kind, turn);
        return turn === 1 ? fate : 'pass';
      });
      const release = await server.release(service, manifests(10 + count));
      const { id } = await server.promote(service, dev, release);
      const rollout = await server.until(service, dev, id, 'healthy', 'failed');
      kubelet.stop();
      expect(rollout.state).toBe('healthy');
      expect(states(rollout)).toEqual(['planned', 'applying', 'progressing', 'healthy']);
      expect(await object('ConfigMap', 'rates')).toMatchObject({ data: { value: `${10 + count}` } });
    },
    180_000,
  );

  it('ends at its deadline where the API server hangs, and says why', async () => {
    proxy.set(({ url }) => (url.includes('/namespaces/short') ? 'hang' : 'pass'));
    const release = await server.release(service, manifests(40));
    const { id } = await server.promote(service, 'short', release);
    const rollout = await server.until(service, 'short', id, 'failed');
    expect(rollout.steps.at(-1)?.why).toMatch(/not healthy within 4 s/);
  }, 120_000);

  it('goes on when a database that was away is back', async () => {
    const release = await server.release(service, manifests(50));
    const { id } = await server.promote(service, dev, release);
    await server.until(service, dev, id, 'progressing');
    line.cut();
    const cutAt = Date.now();
    const kubelet = playKubelet(cluster, dev);
    // Longer than the lease: what runs has to stop by itself.
    await expect.poll(() => server.log().includes('the right to lead'), { timeout: 60_000 }).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    // Its time is over, and nothing gave it more.
    expect(proxy.calls.filter((call) => writes(call) && call.at > cutAt + 3_500)).toEqual([]);
    line.mend();
    const rollout = await server.until(service, dev, id, 'healthy', 'failed');
    kubelet.stop();
    expect(states(rollout)).toEqual(['planned', 'applying', 'progressing', 'healthy']);
  }, 180_000);

  it('lets one of two servers act: one that slept writes nothing when it wakes', async () => {
    const own = await startFaultProxy(api.kubeconfig, 'second');
    const second = await start(own, running.url);
    const kubelet = playKubelet(cluster, dev);
    try {
      // Stopped in the middle of applying.
      proxy.set((call) => (writes(call) && call.url.includes('/deployments/') ? 'hang' : 'pass'));
      const release = await second.release(service, manifests(60));
      const { id } = await second.promote(service, dev, release);
      await expect.poll(() => object('ConfigMap', 'rates'), { timeout: 60_000 }).toBeDefined();
      server.freeze();
      const rollout = await second.until(service, dev, id, 'healthy', 'failed');
      expect(rollout.state).toBe('healthy');
      const calls = proxy.calls.length;
      proxy.set(({ method }) => (method === 'GET' ? 'pass' : 'drop'));
      server.thaw();
      const newer = await second.promote(service, dev, await second.release(service, manifests(61)));
      await second.until(service, dev, newer.id, 'healthy');
      expect(proxy.calls.slice(calls).filter(writes)).toEqual([]);
      expect(await object('ConfigMap', 'rates')).toMatchObject({ data: { value: '61' } });
    } finally {
      server.thaw();
      kubelet.stop();
      await second.kill();
      own.stop();
    }
  }, 180_000);

  it('has a log that is whole after all that', async () => {
    expect(await verifyLog(running.database)).toMatchObject({ findings: [] });
  });
});
