import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ApiServer, findEngine, startApiServer } from '../../../test/support/api-server.ts';
import { playKubelet } from '../../../test/support/kubelet.ts';
import type { Label } from '../../graph/index.ts';
import { applyObject, type Cluster, connect, getObject, listObjects } from '../../kube/index.ts';
import { checkManifests } from '../../manifest/index.ts';
import { silent } from '../../progress/index.ts';
import { createClusterStore, recordName } from '../cluster/cluster-store.ts';
import { beginRollout, releaseId, takeLease } from '../cluster/record.ts';
import { openSession, type Session } from '../cluster/session.ts';
import { releaseHistory, rollback, serviceStatus } from '../index.ts';
import type { DeployEvent, Environment, Release, Service } from '../types.ts';
import { type RolloutRequest, rollOut } from './rollout.ts';

const engine = findEngine();
const place = { file: 'banksman.yaml' };

// The API server, the controllers and their behaviour are real; only the node is played.
describe.skipIf(engine === undefined)('rollouts against a real API server (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let session: Session;
  let kubelet: { stop(): void };
  let environment: Environment;
  let count = 0;

  beforeAll(async () => {
    api = await startApiServer(engine as string);
    cluster = await connect({ kubeconfig: api.kubeconfig });
  }, 90_000);

  afterAll(async () => {
    cluster?.close();
    await api?.stop();
  });

  beforeEach(async () => {
    const namespace = `test-${++count}`;
    environment = {
      name: 'dev',
      cluster: 'local',
      namespace,
      registry: 'registry.local',
      parameters: {},
      place,
    };
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    await applyObject(cluster, object, { namespace });
    session = await openSession({ kubeconfigPath: api.kubeconfig }, environment);
    kubelet = playKubelet(cluster, namespace);
    return () => {
      kubelet.stop();
      session.close();
    };
  });

  const service: Service = {
    label: '//bank/ledger:ledger' as Label,
    name: 'ledger',
    owner: 'ledger',
    kind: 'service' as const,
  };
  const access = () => ({ environment, cluster: { kubeconfigPath: api.kubeconfig } });

  const deployment = (image: string, more = '') => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ledger
spec:
  replicas: 2
  progressDeadlineSeconds: 60
  strategy:
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  selector:
    matchLabels: { app: ledger }
  template:
    metadata:
      labels: { app: ledger }
    spec:
      containers:
        - name: ledger
          image: ${image}
${more}`;

  const config = (name: string, value = 'x') => `---
apiVersion: v1
kind: ConfigMap
metadata:
  name: ${name}
data:
  a: ${value}
`;

  function request(manifests: string, more: Partial<RolloutRequest> = {}): RolloutRequest {
    const content = { service: service.label, manifests, images: [] };
    const release: Release = {
      id: releaseId(content),
      ...content,
      origin: { commit: 'c0ffee', author: 'Ada <ada@example.com>', dirty: false },
      createdAt: new Date().toISOString(),
    };
    const { documents } = checkManifests([{ path: 'bank/ledger/deployment.yaml', source: manifests }], {
      package: 'bank/ledger',
      containers: [],
    });
    return {
      service,
      release,
      documents,
      kind: 'deploy',
      cluster,
      namespace: environment.namespace,
      store: session.store,
      mirror: session.mirror,
      deadline: 20,
      force: false,
      observe: () => {},
      ...more,
    };
  }

  const pods = async () =>
    (await listObjects(cluster, { apiVersion: 'v1', kind: 'Pod' }, { namespace: environment.namespace })).items;
  const images = async () =>
    (await pods()).map(({ spec }) => (spec as { containers: { image: string }[] }).containers[0]?.image).sort();

  it('brings a service up, tells how it goes, and touches nothing the second time', async () => {
    const events: DeployEvent[] = [];
    const manifests = deployment('ready/ledger:1', config('a'));
    const first = await rollOut(request(manifests, { observe: (event) => events.push(event) }));
    expect(first.result).toBe('healthy');
    expect(first.changes.map(({ action }) => action)).toEqual(['created', 'created']);
    expect(events.map(({ phase }) => phase)).toEqual(
      expect.arrayContaining(['checking', 'applying', 'progressing', 'healthy']),
    );
    expect(events.at(-1)?.pods).toHaveLength(2);
    expect(events.at(-1)?.pods.every(({ ready, current }) => ready && current)).toBe(true);

    const versions = async () => {
      const named = [
        { apiVersion: 'apps/v1', kind: 'Deployment', name: 'ledger', namespace: environment.namespace },
        { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', namespace: environment.namespace },
        recordName(service.label, environment.namespace),
      ];
      return await Promise.all(named.map(async (name) => (await getObject(cluster, name))?.metadata.resourceVersion));
    };
    const before = await versions();
    const uids = (await pods()).map(({ metadata }) => metadata.uid).sort();
    const second = await rollOut(request(manifests));
    expect(second.result).toBe('unchanged');
    expect(second.changes.every(({ action }) => action === 'unchanged')).toBe(true);
    expect(await versions()).toEqual(before);
    expect((await pods()).map(({ metadata }) => metadata.uid).sort()).toEqual(uids);
  });

  it('replaces the pods, deletes objects that left the manifests, and ends when the old pods are gone', async () => {
    await rollOut(request(deployment('ready/ledger:1', config('a') + config('b'))));
    const second = await rollOut(request(deployment('ready/ledger:2', config('b'))));
    expect(second.result).toBe('healthy');
    expect(second.changes).toEqual([
      { kind: 'Deployment', name: 'ledger', action: 'configured' },
      { kind: 'ConfigMap', name: 'b', action: 'unchanged' },
      { kind: 'ConfigMap', name: 'a', action: 'pruned' },
    ]);
    expect(await images()).toEqual(['ready/ledger:2', 'ready/ledger:2']);
    const left = { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', namespace: environment.namespace };
    expect(await getObject(cluster, left)).toBeUndefined();
  });

  it('runs the verification job of each release when it is ready, whatever of the job has changed', async () => {
    const job = (image: string) => `---
apiVersion: batch/v1
kind: Job
metadata:
  name: smoke
  annotations: { banksman.local/verify: "true" }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: main, image: "${image}" }]
`;
    const first = await rollOut(request(deployment('ready/ledger:1', job('done/smoke:1'))));
    expect(first.result).toBe('healthy');
    expect(first.changes).toEqual([{ kind: 'Deployment', name: 'ledger', action: 'created' }]);
    const second = await rollOut(request(deployment('ready/ledger:2', job('fails/smoke:2'))));
    expect(second.result).toBe('failed');
    expect(second.fault).toMatchObject({ code: 'release/verification-failed' });
    const jobs = await listObjects(
      cluster,
      { apiVersion: 'batch/v1', kind: 'Job' },
      { namespace: environment.namespace },
    );
    expect(jobs.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)).toEqual([]);
    const bad = job('done/smoke:3').replace('restartPolicy: Never', 'restartPolicy: Always');
    const refused = await rollOut(request(deployment('ready/ledger:3', bad)));
    expect(refused.fault).toMatchObject({ code: 'release/rejected', place: { line: 31 } });
    expect(await images()).toEqual(['ready/ledger:2', 'ready/ledger:2']);
  });

  it('puts back what somebody changed by hand, although the release is the same', async () => {
    const manifests = deployment('ready/ledger:1', config('a'));
    await rollOut(request(manifests));
    await cluster.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${environment.namespace}/configmaps/a`,
      query: { fieldManager: 'kubectl-edit' },
      contentType: 'application/merge-patch+json',
      body: { data: { a: 'by hand' } },
    });
    const refused = await rollOut(request(manifests));
    expect(refused.result).toBe('failed');
    expect(refused.fault).toMatchObject({ code: 'release/rejected' });
    expect(refused.fault?.message).toContain('kubectl-edit');
    expect(refused.fault?.place?.line).toBe(27);
    const forced = await rollOut(request(manifests, { force: true }));
    expect(forced.result).toBe('healthy');
    expect(forced.changes).toContainEqual({ kind: 'ConfigMap', name: 'a', action: 'configured' });
  });

  it.each([
    ['missing/ledger:2', /does not exist in its registry/, /not found/],
    ['crash/ledger:2', /ends with exit code 3, 4 times/, /./],
  ])('ends early where %s can not become healthy, and the old pods stay', async (image, reason, note) => {
    await rollOut(request(deployment('ready/ledger:1')));
    const old = (await pods()).map(({ metadata }) => metadata.uid);
    const bad = await rollOut(request(deployment(image)));
    expect(bad.result).toBe('failed');
    expect(bad.duration).toBeLessThan(15_000);
    expect(bad.fault).toMatchObject({ code: 'release/rollout-failed' });
    expect(bad.fault?.message).toMatch(reason);
    expect(bad.fault?.notes.join('\n')).toMatch(note);
    expect((await pods()).map(({ metadata }) => metadata.uid)).toEqual(expect.arrayContaining(old));
    const { rollouts } = await releaseHistory({ ...access(), service });
    expect(rollouts[0]).toMatchObject({ result: 'failed', reason: expect.stringMatching(reason) });
  });

  it('does not take a container without a probe for healthy that ends soon after its start', async () => {
    const bad = await rollOut(request(deployment('dies/ledger:1')));
    expect(bad.result).toBe('failed');
    expect(bad.fault?.message).toMatch(/ends with exit code 3/);
  });

  it.each([
    ['unready/ledger:2', /readiness probe .* fails: HTTP probe failed with statuscode: 503/],
    ['unschedulable/ledger:2', /finds no node: no node has enough memory left/],
  ])('ends %s at the deadline with its reason', async (image, reason) => {
    await rollOut(request(deployment('ready/ledger:1')));
    const bad = await rollOut(request(deployment(image), { deadline: 3 }));
    expect(bad.result).toBe('failed');
    expect(bad.fault?.message).toMatch(reason);
    expect(bad.duration).toBeGreaterThan(2_500);
    expect(bad.duration).toBeLessThan(10_000);
  });

  it('goes back from a failed release, then further back, and never to what it came from', async () => {
    await rollOut(request(deployment('ready/ledger:1')));
    await rollOut(request(deployment('ready/ledger:2')));
    await rollOut(request(deployment('crash/ledger:3')));
    const options = { ...access(), service, progress: silent, deadline: 20 };
    const first = await rollback(options);
    expect(first.result).toBe('healthy');
    expect(await images()).toEqual(['ready/ledger:2', 'ready/ledger:2']);
    const second = await rollback(options);
    expect(second.result).toBe('healthy');
    expect(await images()).toEqual(['ready/ledger:1', 'ready/ledger:1']);
    await expect(rollback(options)).rejects.toMatchObject({ code: 'release/no-good-release' });
    const { releases } = await releaseHistory({ ...access(), service });
    const bad = releases.find(({ manifests }) => manifests.includes('ready/ledger:2'));
    const third = await rollback({ ...options, to: bad?.id.slice(0, 12) ?? '' });
    expect(third.to.id).toBe(bad?.id);
    expect(await images()).toEqual(['ready/ledger:2', 'ready/ledger:2']);
  });

  it('recovers a StatefulSet whose bad pod holds up its own replacement', async () => {
    const set = (image: string) => `apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: postgres
spec:
  serviceName: postgres
  selector:
    matchLabels: { app: postgres }
  template:
    metadata:
      labels: { app: postgres }
    spec:
      containers:
        - name: postgres
          image: ${image}
`;
    expect((await rollOut(request(set('ready/postgres:1')))).result).toBe('healthy');
    expect((await rollOut(request(set('crash/postgres:2')))).result).toBe('failed');
    const back = await rollback({ ...access(), service, progress: silent, deadline: 20 });
    expect(back.result).toBe('healthy');
    expect(await images()).toEqual(['ready/postgres:1']);
  });

  it('lets a newer deploy take over from one that hangs', async () => {
    await rollOut(request(deployment('ready/ledger:1')));
    const hanging = rollOut(request(deployment('unready/ledger:2'), { deadline: 60 }));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const newer = await rollOut(request(deployment('ready/ledger:3')));
    expect(newer.result).toBe('healthy');
    expect(await hanging).toMatchObject({ result: 'superseded', fault: { code: 'release/superseded' } });
    const { rollouts } = await releaseHistory({ ...access(), service });
    expect(rollouts.map(({ result }) => result)).toEqual(['healthy', 'superseded', 'healthy']);
  });

  it('keeps two deploys of one service apart while they apply', async () => {
    const one = rollOut(request(deployment('ready/ledger:1', config('a', 'one'))));
    const two = rollOut(request(deployment('ready/ledger:2', config('a', 'two'))));
    const results = await Promise.all([one, two]);
    // One after the other, or the first overtaken by the second: never a mixture of both.
    const { rollouts } = await releaseHistory({ ...access(), service });
    const last = results.findIndex(({ release }) => release === rollouts[0]?.release);
    expect(results[last]?.result).toBe('healthy');
    expect(['healthy', 'superseded']).toContain(results[1 - last]?.result);
    const winner = last === 0 ? '1' : '2';
    expect(await images()).toEqual([`ready/ledger:${winner}`, `ready/ledger:${winner}`]);
    const live = await getObject(cluster, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'a',
      namespace: environment.namespace,
    });
    expect(live?.data).toEqual({ a: winner === '1' ? 'one' : 'two' });
  });

  it('waits for a lease that another holds, and takes one whose holder is dead', async () => {
    const store = createClusterStore(cluster, environment.namespace);
    await store.update(service.label, (record) => takeLease(record, 'somebody else', Date.now(), 2_000) ?? record);
    const phases: string[] = [];
    const began = Date.now();
    const result = await rollOut(request(deployment('ready/ledger:1'), { observe: ({ phase }) => phases.push(phase) }));
    expect(result.result).toBe('healthy');
    expect(phases).toContain('waiting');
    expect(Date.now() - began).toBeGreaterThan(1_000);
    expect((await store.read(service.label)).lease).toBeUndefined();
  });

  it('loses no record when many write at once', async () => {
    const store = createClusterStore(cluster, environment.namespace);
    const { release } = request(deployment('ready/ledger:1'));
    await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        store.update(service.label, (record) =>
          beginRollout(record, release, {
            id: `r${index}`,
            release: release.id,
            kind: 'deploy',
            by: 'test',
            startedAt: new Date().toISOString(),
            result: 'progressing',
          }),
        ),
      ),
    );
    const { rollouts, releases } = await store.read(service.label);
    expect(rollouts.map(({ id }) => id).sort()).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r5']);
    expect(releases).toHaveLength(1);
  });

  it('shows the line of the manifest that the API server refuses, and applies nothing', async () => {
    const bad = `${deployment('ready/ledger:1').replace('replicas: 2', 'replcias: 2')}${config('a')}`;
    const refused = await rollOut(request(bad));
    expect(refused.fault).toMatchObject({
      code: 'release/rejected',
      place: { file: 'bank/ledger/deployment.yaml', line: 6 },
    });
    const untouched = { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', namespace: environment.namespace };
    expect(await getObject(cluster, untouched)).toBeUndefined();
    expect((await session.store.read(service.label)).rollouts).toEqual([]);
  });

  it('tells the status of what is there and of what is not', async () => {
    const other: Service = {
      label: '//bank/gateway:gateway' as Label,
      name: 'gateway',
      owner: undefined,
      kind: 'service' as const,
    };
    await rollOut(request(deployment('ready/ledger:1')));
    await rollOut(request(deployment('crash/ledger:2')));
    const [ledger, gateway] = await serviceStatus({ ...access(), services: [service, other] });
    expect(ledger).toMatchObject({
      service: service.label,
      health: 'failed',
      origin: { commit: 'c0ffee' },
      lastRollout: { result: 'failed' },
    });
    expect(ledger?.pods.filter(({ ready, current }) => ready && !current)).toHaveLength(2);
    expect(gateway).toMatchObject({ health: 'absent', release: undefined, pods: [] });
  });

  it('stops when it is told to, and says so in the record', async () => {
    const stop = new AbortController();
    const running = rollOut(request(deployment('unready/ledger:1'), { signal: stop.signal, deadline: 60 }));
    setTimeout(() => stop.abort(), 1_500);
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    const { rollouts, lease } = await session.store.read(service.label);
    expect(rollouts[0]).toMatchObject({ result: 'failed', reason: 'interrupted before its end' });
    expect(lease).toBeUndefined();
  });

  it('goes on when the API server crashes in the middle of a rollout', async () => {
    const running = rollOut(request(deployment('unready/ledger:1'), { deadline: 40 }));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await api.crash();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await api.restart();
    const items = await pods();
    for (const { metadata } of items) {
      await cluster.request({
        method: 'PATCH',
        path: `/api/v1/namespaces/${environment.namespace}/pods/${metadata.name}/status`,
        contentType: 'application/merge-patch+json',
        body: { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
      });
    }
    expect(await running).toMatchObject({ result: 'healthy' });
  }, 90_000);
});
