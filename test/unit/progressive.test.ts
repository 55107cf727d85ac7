import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Database, openPglite } from '../../src/database/index.ts';
import type { Environment, Label, StepForm } from '../../src/graph/index.ts';
import { type Cluster, connect, getObject } from '../../src/kube/index.ts';
import { type Clusters, openClusters } from '../../src/release/index.ts';
import { type ApiServer, findEngine, startApiServer } from '../support/api-server.ts';
import { playKubelet } from '../support/kubelet.ts';
import { type Caller, deployment, type RolloutAnswer, startCaller } from '../support/rollouts.ts';

const engine = findEngine();
const service = '//bank/gateway:gateway' as Label;
const place = { file: 'banksman.yaml' };

const job = (image: string) => `---
apiVersion: batch/v1
kind: Job
metadata: { name: smoke, annotations: { banksman.local/verify: "true" } }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: main, image: ${image} }]
`;
const four = (image: string, more = '') => deployment('gateway', image, more).replace('replicas: 1', 'replicas: 4');

// The API server, its controllers, the database and the server are real; the node and Prometheus are played.
describe.skipIf(engine === undefined)('progressive delivery (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let clusters: Clusters;
  let database: Database;
  let caller: Caller;
  let prometheus: Server;
  let environments: Environment[];
  const releases = new Map();
  let count = 0;
  let dev: string;
  /** What the metric is, and what is done when it is asked for. */
  let metric: () => Promise<number> = async () => 0;

  vi.setConfig({ testTimeout: 180_000 });

  beforeAll(async () => {
    api = await startApiServer(engine as string);
    cluster = await connect({ kubeconfig: api.kubeconfig });
    database = await openPglite(undefined);
    prometheus = createServer((_, response) => {
      metric().then(
        (value) => {
          const result = [{ metric: {}, value: [Date.now() / 1000, String(value)] }];
          response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
        },
        () => response.writeHead(500).end(),
      );
    });
    await new Promise<void>((resolve) => prometheus.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(prometheus.address() as AddressInfo).port}`;
    const measured = { kind: 'metric', url, query: 'errors', atMost: 0.1 } as const;
    const steps: readonly (readonly StepForm[])[] = [
      [
        { share: 25, lasts: 1_000, check: measured },
        { share: 50, lasts: 1_000, check: measured },
      ],
      [{ share: 25, lasts: 3_000, check: measured }],
      [{ share: 25, lasts: 1_000 }],
      [{ share: 25, lasts: 1_000, check: { kind: 'job', name: 'smoke' } }],
      [{ share: 25, lasts: 1_000 }],
      [{ share: 25, lasts: 4_000 }],
    ];
    environments = steps.map((each, index): Environment => {
      const name = `step-${index + 1}`;
      const base = { name, cluster: 'test', namespace: name, registry: 'registry.local', parameters: {}, place };
      return { ...base, progressive: [{ steps: each, place }] };
    });
    clusters = openClusters(() => ({ kubeconfigPath: api.kubeconfig }));
    caller = await startCaller({ database, environments, clusters, releases });
  }, 120_000);
  afterAll(async () => {
    await caller?.server.stop();
    clusters?.close();
    await database?.close();
    cluster?.close();
    prometheus?.closeAllConnections();
    prometheus?.close();
    await api?.stop();
  }, 30_000);
  beforeEach(() => {
    dev = `step-${++count}`;
    metric = async () => 0;
    const kubelet = playKubelet(cluster, dev);
    return () => kubelet.stop();
  });

  const find = (name: string, kind = 'Deployment', apiVersion = 'apps/v1') =>
    getObject(cluster, { apiVersion, kind, name, namespace: dev });
  const imageOf = async (name: string) => {
    const spec = (await find(name))?.spec as
      | { template: { spec: { containers: { image: string }[] } }; replicas: number }
      | undefined;
    return spec && [spec.template.spec.containers[0]?.image, spec.replicas];
  };
  const serve = async (manifests: string) => {
    const { id } = await caller.promote(service, dev, await caller.release(service, manifests));
    expect(await caller.until(service, dev, id, 'healthy', 'failed')).toMatchObject({ state: 'healthy' });
  };
  const promote = async (manifests: string) =>
    await caller.promote(service, dev, await caller.release(service, manifests));
  const whyFailed = ({ steps }: RolloutAnswer) => steps.find(({ state }) => state === 'failed')?.why;
  /** The way back has ended, the canary is gone, and what served was never touched. */
  const isBack = async (id: string, generation: number | undefined) => {
    expect(await caller.until(service, dev, `${id}-return`, 'healthy', 'failed')).toMatchObject({ state: 'healthy' });
    await vi.waitFor(async () => expect(await find('gateway-canary')).toBeUndefined(), { timeout: 60_000 });
    expect(await imageOf('gateway')).toEqual(['ready/gateway:1', 4]);
    expect((await find('gateway'))?.metadata.generation).toBe(generation);
  };

  it('goes by shares beside what serves, with the metric asked at each, then to the whole', async () => {
    await serve(four('ready/gateway:1'));
    const seen = new Set<string>();
    metric = async () => {
      seen.add(JSON.stringify([await imageOf('gateway'), await imageOf('gateway-canary')]));
      return 0.05;
    };
    const { id } = await promote(four('ready/gateway:2'));
    const rollout = await caller.until(service, dev, id, 'healthy', 'failed', 'rolled-back');
    expect(rollout.steps.map(({ state }) => state)).toEqual([
      'planned',
      ...['applying', 'progressing', 'verifying', 'applying', 'progressing', 'verifying'],
      ...['applying', 'progressing', 'healthy'],
    ]);
    expect([...seen].map((text) => JSON.parse(text))).toEqual([
      [
        ['ready/gateway:1', 4],
        ['ready/gateway:2', 1],
      ],
      [
        ['ready/gateway:1', 4],
        ['ready/gateway:2', 2],
      ],
    ]);
    expect(await imageOf('gateway')).toEqual(['ready/gateway:2', 4]);
    await vi.waitFor(async () => expect(await find('gateway-canary')).toBeUndefined(), { timeout: 60_000 });
  });

  it('goes back where the metric is out of bounds', async () => {
    await serve(four('ready/gateway:1'));
    const generation = (await find('gateway'))?.metadata.generation;
    metric = async () => 0.5;
    const { id } = await promote(four('ready/gateway:2'));
    const failed = await caller.until(service, dev, id, 'failed', 'rolled-back', 'healthy');
    expect(whyFailed(failed)).toMatch(/errors: 0.5, not at most 0.1/);
    await isBack(id, generation);
    expect((await caller.placement(service, dev)).holds).toMatchObject([{ by: 'banksman' }]);
  });

  it('goes back where the new pods are not well', async () => {
    await serve(four('ready/gateway:1'));
    const generation = (await find('gateway'))?.metadata.generation;
    const { id } = await promote(four('crash/gateway:2'));
    const failed = await caller.until(service, dev, id, 'failed', 'rolled-back', 'healthy');
    expect(whyFailed(failed)).toMatch(/ends with exit code 3/);
    await isBack(id, generation);
  });

  it('goes back where the job of the step fails', async () => {
    await serve(four('ready/gateway:1', job('done/smoke:1')));
    const generation = (await find('gateway'))?.metadata.generation;
    const { id } = await promote(four('ready/gateway:2', job('fails/smoke:1')));
    const failed = await caller.until(service, dev, id, 'failed', 'rolled-back', 'healthy');
    expect(whyFailed(failed)).toMatch(/verification job smoke-\w+ failed[\s\S]*exit code 3/);
    await isBack(id, generation);
  });

  it('says what can not be split before anything is applied', async () => {
    await serve(four('ready/gateway:1'));
    const set = deployment('store', 'ready/store:1').replace('kind: Deployment', 'kind: StatefulSet');
    const { id } = await promote(four('ready/gateway:2', `---\n${set}`));
    const failed = await caller.until(service, dev, id, 'failed', 'rolled-back', 'healthy');
    expect(whyFailed(failed)).toMatch(/a StatefulSet can't run two releases side by side: StatefulSet\/store/);
    expect(await find('store', 'StatefulSet')).toBeUndefined();
    expect(await find('gateway-canary')).toBeUndefined();
  });

  it('goes on where it was when another server takes over', async () => {
    await serve(four('ready/gateway:1'));
    const { id } = await promote(four('ready/gateway:2'));
    await caller.until(service, dev, id, 'verifying', 'healthy');
    await caller.server.stop();
    caller = await startCaller({ database, environments, clusters, releases });
    const rollout = await caller.until(service, dev, id, 'healthy', 'failed', 'rolled-back');
    expect(rollout.state).toBe('healthy');
    expect(rollout.steps.map(({ state }) => state)).toEqual([
      'planned',
      ...['applying', 'progressing', 'verifying'],
      ...['applying', 'progressing', 'healthy'],
    ]);
    expect(await imageOf('gateway')).toEqual(['ready/gateway:2', 4]);
  });
});
