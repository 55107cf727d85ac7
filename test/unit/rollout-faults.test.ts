import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyLog } from '../../src/audit/index.ts';
import type { Environment, Label } from '../../src/graph/index.ts';
import { type Cluster, connect, getObject, listObjects } from '../../src/kube/index.ts';
import { type ApiServer, findEngine, startApiServer } from '../support/api-server.ts';
import { type RunningDatabase, testDatabases } from '../support/databases.ts';
import {
  type ApiCall,
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
const write = (url: RegExp) => (call: ApiCall) => writes(call) && url.test(call.url);
/** Phases in which the API server hangs, each in an environment of its own, and what a rollout waits for there. */
const hangs: readonly { readonly name: string; readonly hangs: (call: ApiCall) => boolean }[] = [
  { name: 'hang-all', hangs: () => true },
  { name: 'hang-record', hangs: ({ url }) => /release-history/.test(url) },
  { name: 'hang-compare', hangs: ({ url }) => url.includes('dryRun=All') },
  { name: 'hang-apply', hangs: write(/\/deployments\//) },
  { name: 'hang-prune', hangs: ({ method }) => method === 'DELETE' },
  { name: 'hang-watch', hangs: ({ method, url }) => method === 'GET' && /\/(?:pods|replicasets)\b/.test(url) },
  {
    name: 'hang-verify',
    hangs: ({ method, url }) => method === 'POST' && /\/jobs\b/.test(url) && !url.includes('dryRun'),
  },
];
const environments = Array.from({ length: 30 }, (_, index): Environment => {
  const name = `dev-${index + 1}`;
  return { name, cluster: 'test', namespace: name, registry: 'registry.local', parameters: {}, place };
});
environments.push(
  { ...environments[0]!, name: 'gated', namespace: 'gated', gates: [approvals] },
  {
    ...environments[0]!,
    name: 'staged',
    namespace: 'staged',
    progressive: [{ steps: [{ share: 50, lasts: 2_000, check: { kind: 'job', name: 'check' } }], place }],
  },
  ...hangs.map(({ name }): Environment => ({ ...environments[0]!, name, namespace: name })),
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
  /** Environments that a test has made otherwise, with a gate of its own. */
  const measured: Environment[] = [];

  const start = (through = proxy, databaseUrl = `${line.url}?query_timeout=3000`) =>
    startServerProcess({
      databaseUrl,
      kubeconfig: through.kubeconfig,
      releases: folder,
      environments: environments.map((each) => measured.find(({ name }) => name === each.name) ?? each),
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

  it('goes on where it was, killed while it is only asked for', async () => {
    // Whoever is asked for the gate's metric never answers, so that nobody knows whether it is open.
    let answers = false;
    const prometheus = createServer((_, response) => {
      if (!answers) return;
      const value = { metric: {}, value: [Date.now() / 1000, '0'] };
      response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result: [value] } }));
    });
    await new Promise<void>((resolve) => prometheus.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(prometheus.address() as AddressInfo).port}`;
    const metric = { kind: 'metric', name: 'metric:errors', url, query: 'errors', atMost: 1, place } as const;
    measured.push({ ...environments[0]!, name: dev, namespace: dev, gates: [metric] });
    await restart();
    const asked = new Promise((resolve) => prometheus.once('request', resolve));
    const release = await server.release(service, manifests(80));
    const { id } = await server.promote(service, dev, release);
    await asked;
    expect((await server.until(service, dev, id, 'planned')).state).toBe('planned');
    await server.kill();
    answers = true;
    prometheus.closeAllConnections();
    server = await start();
    const kubelet = playKubelet(cluster, dev);
    const rollout = await server.until(service, dev, id, 'healthy', 'failed');
    kubelet.stop();
    prometheus.closeAllConnections();
    prometheus.close();
    expect(states(rollout)).toEqual(['planned', 'applying', 'progressing', 'healthy']);
  }, 180_000);

  it('goes on where it was, killed on the way back', async () => {
    const kubelet = playKubelet(cluster, dev);
    const good = await server.release(service, manifests(81));
    const first = await server.promote(service, dev, good);
    await server.until(service, dev, first.id, 'healthy');
    // The bad one is written; the way back writes the first object, and no more.
    proxy.set((call) => (write(/\/deployments\//)(call) && call.body?.includes('ready/ledger:81') ? 'hang' : 'pass'));
    const bad = manifests(82).replace('ready/', 'crash/');
    const { id } = await server.promote(service, dev, await server.release(service, bad));
    await server.until(service, dev, `${id}-return`, 'applying');
    await expect
      .poll(async () => (await object('ConfigMap', 'rates'))?.data, { timeout: 60_000 })
      .toEqual({ value: '81' });
    await server.kill();
    proxy.set(() => 'pass');
    server = await start();
    const back = await server.until(service, dev, `${id}-return`, 'healthy', 'failed');
    kubelet.stop();
    expect(states(back)).toEqual(['planned', 'applying', 'progressing', 'healthy']);
    expect((await server.until(service, dev, id, 'rolled-back')).state).toBe('rolled-back');
    const { live, rollouts } = await server.placement(service, dev);
    expect(live?.release.id).toBe(good);
    expect(rollouts).toHaveLength(3);
  }, 180_000);

  it('goes on where it was, killed in a stage while its job runs, and does not begin the stage again', async () => {
    const check = `---
apiVersion: batch/v1
kind: Job
metadata: { name: check, annotations: { banksman.local/verify: "true" } }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: check, image: "done/check:1" }]
`;
    const two = (version: number) => manifests(version).replace('replicas: 1', 'replicas: 2') + check;
    let jobsEnd = true;
    const kubelet = playKubelet(cluster, 'staged', (image) =>
      image.startsWith('done/') && !jobsEnd ? 'unschedulable' : (image.split('/')[0] as 'ready'),
    );
    const first = await server.promote(service, 'staged', await server.release(service, two(83)));
    await server.until(service, 'staged', first.id, 'healthy');
    jobsEnd = false;
    const { id } = await server.promote(service, 'staged', await server.release(service, two(84)));
    await server.until(service, 'staged', id, 'verifying');
    const jobs = async () =>
      (await listObjects(cluster, { apiVersion: 'batch/v1', kind: 'Job' }, { namespace: 'staged' })).items;
    await expect.poll(async () => (await jobs()).length, { timeout: 60_000 }).toBe(1);
    const [before] = await jobs();
    const since = (await server.until(service, 'staged', id, 'verifying')).steps.at(-1)?.at;
    await restart();
    const now = await server.until(service, 'staged', id, 'verifying');
    expect(now.steps.at(-1)?.at).toBe(since);
    expect((await jobs()).map(({ metadata }) => metadata.uid)).toEqual([before?.metadata.uid]);
    jobsEnd = true;
    const pods = (await listObjects(cluster, { apiVersion: 'v1', kind: 'Pod' }, { namespace: 'staged' })).items;
    const pod = pods.find(({ metadata }) => metadata.name.startsWith('check-'));
    await cluster.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/staged/pods/${pod?.metadata.name}/status`,
      contentType: 'application/merge-patch+json',
      body: { status: { phase: 'Succeeded', containerStatuses: [] } },
    });
    const rollout = await server.until(service, 'staged', id, 'healthy', 'failed', 'rolled-back');
    kubelet.stop();
    const part = ['applying', 'progressing', 'verifying'];
    expect(states(rollout)).toEqual(['planned', ...part, ...part, 'healthy']);
  }, 180_000);

  it('goes on where it was, killed while a service is taken out', async () => {
    const held = configMap('rates').replace('name: rates', 'name: rates, finalizers: [bank.example/waits]');
    const { id: first } = await server.promote(service, dev, await server.release(service, held + configMap('other')));
    await server.until(service, dev, first, 'healthy');
    const path = `/v1/environments/${dev}/services/${encodeURIComponent(service)}/removals`;
    const { id } = (await server.call('POST', path, { why: 'old' }, 'removal-1')).json as { id: string };
    await server.until(service, dev, id, 'progressing');
    await restart();
    // Whoever did not hear the answer asks again.
    expect((await server.call('POST', path, { why: 'old' }, 'removal-1')).json).toMatchObject({ id });
    expect((await server.until(service, dev, id, 'progressing')).state).toBe('progressing');
    await cluster.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${dev}/configmaps/rates`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { finalizers: null } },
    });
    const rollout = await server.until(service, dev, id, 'removed', 'failed');
    expect(states(rollout)).toEqual(['planned', 'applying', 'progressing', 'removed']);
    expect(await object('ConfigMap', 'other')).toBeUndefined();
  }, 180_000);

  it('ends at its deadline in whatever phase the API server hangs, its way back too, and others go on', async () => {
    const kubelets = [dev, ...hangs.map(({ name }) => name)].map((namespace) => playKubelet(cluster, namespace));
    const check = (version: number) => `---
apiVersion: batch/v1
kind: Job
metadata: { name: check, annotations: { banksman.local/verify: "true" } }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: check, image: "done/check:${version}" }]
`;
    const before = await server.release(service, manifests(85) + check(85) + configMap('left'));
    const promoted = await Promise.all(hangs.map(({ name }) => server.promote(service, name, before)));
    await Promise.all(hangs.map(({ name }, index) => server.until(service, name, promoted[index]!.id, 'healthy')));
    proxy.set((call) =>
      hangs.some((each) => `${call.url}/`.includes(`/namespaces/${each.name}/`) && each.hangs(call)) ? 'hang' : 'pass',
    );
    // Only what is to hang is short of time. And watches that are open already would go on.
    const short = hangs.map(
      ({ name }): Environment => ({ ...environments[0]!, name, namespace: name, deadline: 4_000 }),
    );
    measured.push(...short);
    await restart();
    const after = await server.release(service, manifests(86) + check(86));
    const asked = await Promise.all(hangs.map(({ name }) => server.promote(service, name, after)));
    const well = await server.promote(service, dev, after);
    expect((await server.until(service, dev, well.id, 'healthy', 'failed')).state).toBe('healthy');
    const ended = await Promise.all(
      hangs.map(async ({ name }, index) => {
        const { id } = asked[index]!;
        const failed = await server.until(service, name, id, 'failed', 'rolled-back', 'healthy');
        const back = await server.until(service, name, `${id}-return`, 'failed', 'healthy');
        return [name, failed.steps.find(({ state }) => state === 'failed')?.why, back.state] as const;
      }),
    );
    for (const [name, why] of ended)
      expect([name, why]).toEqual([name, expect.stringMatching(/not (?:healthy|done|ready)/)]);
    // What hung does not keep the next one away.
    proxy.set(() => 'pass');
    measured.splice(measured.indexOf(short[0]!), short.length);
    await restart();
    const mended = await server.release(service, manifests(87) + check(87));
    const last = await Promise.all(hangs.map(({ name }) => server.promote(service, name, mended)));
    for (const [index, { name }] of hangs.entries()) {
      expect([name, (await server.until(service, name, last[index]!.id, 'healthy', 'failed')).state]).toEqual([
        name,
        'healthy',
      ]);
    }
    for (const kubelet of kubelets) kubelet.stop();
  }, 240_000);

  it('goes on when a network that swallowed everything lets its database through again', async () => {
    const kubelet = playKubelet(cluster, dev);
    const release = await server.release(service, manifests(88));
    line.stall();
    // Longer than whatever is waited for: an answer, a connection, the lease.
    const silent = AbortSignal.timeout(15_000);
    const { signal } = { signal: silent };
    await expect(fetch(`${server.url}/readyz`, { signal })).resolves.toMatchObject({ status: 503 });
    await expect.poll(() => server.log().includes('the right to lead'), { timeout: 60_000 }).toBe(true);
    line.mend();
    await expect.poll(async () => (await fetch(`${server.url}/readyz`)).status, { timeout: 60_000 }).toBe(200);
    const { id } = await server.promote(service, dev, release);
    expect((await server.until(service, dev, id, 'healthy', 'failed')).state).toBe('healthy');
    kubelet.stop();
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
