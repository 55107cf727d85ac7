import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ApiServer, findEngine, startApiServer } from '../../../test/support/api-server.ts';
import { type RunningDatabase, testDatabases } from '../../../test/support/databases.ts';
import { readEntries } from '../../audit/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import { applyObject, asMember, type Cluster, connect, getObject, type KubeObject } from '../../kube/index.ts';
import { serviceSetId } from '../cluster/cluster-store.ts';
import { openSession, type Session } from '../cluster/session.ts';
import type { Happening } from '../model/index.ts';
import { openPlacementStore, type PlacementStore } from '../placement/index.ts';
import { type Drift, readDrift, watchDrift } from './index.ts';

const engine = findEngine();
const actor = { who: 'ada', source: 'test' };
const terms = { patience: 1e9, deadline: 1e9, onFailure: 'return', returnGates: [] } as const;
/** Milliseconds: what a busy machine may take. */
const patience = { timeout: 60_000, interval: 50 };

describe.skipIf(engine === undefined)('drift on a real API server (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let running: RunningDatabase;
  let store: PlacementStore;
  let count = 0;

  beforeAll(async () => {
    api = await startApiServer(engine as string);
    cluster = await connect({ kubeconfig: api.kubeconfig });
    running = await testDatabases[0]!.start();
    store = await openPlacementStore(running.database);
  }, 120_000);

  afterAll(async () => {
    cluster?.close();
    await running?.stop();
    await api?.stop();
  });

  const contents = new Map<string, readonly KubeObject[]>();
  const errors: unknown[] = [];
  let sessions: Session[] = [];
  let environments: Map<string, Environment>;
  let stop: AbortController;
  let watching: Promise<void> | undefined;
  let watches: string[];
  /** Called before each dry run: between the look at an object and what it is compared with. */
  let beforeDryRun: () => Promise<void>;

  vi.setConfig({ testTimeout: 120_000 });

  beforeEach(() => {
    sessions = [];
    environments = new Map();
    stop = new AbortController();
    watches = [];
    beforeDryRun = async () => {};
    errors.length = 0;
    return async () => {
      stop.abort();
      await watching;
      watching = undefined;
      for (const session of sessions) session.close();
      expect(errors).toEqual([]);
    };
  });

  async function newEnvironment(drift?: Environment['drift'], kubeconfigPath = api.kubeconfig): Promise<Environment> {
    const name = `drift-${++count}`;
    const place = { file: 'banksman.yaml' };
    await applyObject(cluster, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, { namespace: name });
    const environment: Environment = {
      name,
      cluster: 'local',
      namespace: name,
      registry: 'registry.local',
      parameters: {},
      place,
      ...(drift !== undefined && { drift }),
    };
    environments.set(name, environment);
    const session = await openSession({ kubeconfigPath }, environment);
    const counting: Cluster = {
      ...session.cluster,
      async request(request) {
        if (request.query?.dryRun !== undefined) await beforeDryRun();
        return await session.cluster.request(request);
      },
      stream(request) {
        watches.push(request.path);
        return session.cluster.stream(request);
      },
    };
    sessions.push({ ...session, cluster: counting });
    return environment;
  }

  function watch() {
    watching = watchDrift({
      database: running.database,
      store,
      environments,
      clusters: {
        open: async ({ namespace }) => sessions.find((each) => each.namespace === namespace) as Session,
        forget() {},
      },
      objectsOf: async (_, { name }, release) => contents.get(`${name} ${release}`) ?? [],
      now: Date.now,
      source: 'test',
      onError: (error) => errors.push(error),
      signal: stop.signal,
    });
  }

  const tell = (service: Label, environment: Environment, ...happenings: readonly Omit<Happening, 'at'>[]) =>
    happenings.reduce<Promise<unknown>>(
      (before, each) =>
        before.then(() => store.happen(service, environment.name, { ...each, at: Date.now() } as Happening, actor)),
      Promise.resolve(),
    );

  /** Applies a service's objects as a rollout does, and says that it is healthy. */
  async function rollOut(
    environment: Environment,
    objects: readonly KubeObject[],
    { service = `//test/s${count}:s` as Label, order = 1, end = true } = {},
  ): Promise<Label> {
    const id = `${service}-${order}`;
    await store.addRelease(
      { id, service, reference: `r@${id}`, commit: 'c', authors: ['ada'], madeAt: Date.now() },
      actor,
    );
    contents.set(`${environment.name} ${id}`, objects);
    const rollout = `r${order}`;
    const request = { id: rollout, release: { id, order }, kind: 'promotion', by: 'ada', gates: [], terms } as const;
    await tell(
      service,
      environment,
      { kind: 'plan', request } as never,
      { kind: 'gates', rollout, answers: [] } as never,
    );
    if (!end) return service;
    await finish(environment, service, order);
    return service;
  }

  async function finish(environment: Environment, service: Label, order: number): Promise<void> {
    const { namespace } = environment;
    for (const object of contents.get(`${environment.name} ${service}-${order}`) ?? []) {
      await applyObject(cluster, asMember(object, serviceSetId(service, namespace)), { namespace, force: true });
    }
    const rollout = `r${order}`;
    await tell(
      service,
      environment,
      { kind: 'applied', rollout } as never,
      { kind: 'ready', rollout, verifies: false } as never,
    );
  }

  const config = (name: string, data: Record<string, string> = { a: 'x' }): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data,
  });
  const deployment: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'ledger' },
    spec: {
      selector: { matchLabels: { app: 'ledger' } },
      template: {
        metadata: { labels: { app: 'ledger' } },
        spec: { containers: [{ name: 'main', image: 'a:1', resources: { requests: { cpu: '1000m' } } }] },
      },
    },
  };

  const patch = (environment: Environment, path: string, body: object, manager = 'kubectl-edit', type = 'merge') =>
    cluster.request({
      method: 'PATCH',
      path: path.replace('NS', `namespaces/${environment.namespace}`),
      query: { fieldManager: manager },
      contentType: `application/${type}-patch+json`,
      body,
    });
  const edit = (environment: Environment, name: string, data: object, manager?: string) =>
    patch(environment, `/api/v1/NS/configmaps/${name}`, { data }, manager);
  const drifted = (environment: Environment, service: Label, check: (drift: Drift | undefined) => void) =>
    vi.waitFor(async () => check(await readDrift(running.database, service, environment.name)), patience);
  const dataOf = async (environment: Environment, name: string) => {
    const { namespace } = environment;
    return (await getObject(cluster, { apiVersion: 'v1', kind: 'ConfigMap', namespace, name }))?.data;
  };
  const told = async (environment: Environment, service: Label) =>
    (await readEntries(running.database, { subject: `${service} in ${environment.name}`, limit: 500 }))
      .filter(({ event }) => event.action.startsWith('drift.'))
      .map(({ event }) => event);

  it('is seen, told with who did it, and left where the environment only reports', async () => {
    const environment = await newEnvironment();
    const service = await rollOut(environment, [config('a'), config('b')]);
    watch();
    await edit(environment, 'a', { a: 'by hand' });
    await drifted(environment, service, (drift) =>
      expect(drift?.objects).toMatchObject([
        {
          kind: 'ConfigMap',
          name: 'a',
          change: 'changed',
          fields: [{ path: 'data.a', wanted: 'x', found: 'by hand', by: { manager: 'kubectl-edit' } }],
          left: 'the environment only reports',
        },
      ]),
    );
    expect(await told(environment, service)).toMatchObject([{ action: 'drift.found', who: 'banksman' }]);
    await edit(environment, 'a', { a: 'x' });
    await drifted(environment, service, (drift) => expect(drift).toBeUndefined());
    // The field is the other one's still: what is done with it is seen all the same.
    await edit(environment, 'a', { a: 'once more' });
    await drifted(environment, service, (drift) => expect(drift?.objects).toHaveLength(1));
    await edit(environment, 'a', { a: 'x' });
    await drifted(environment, service, (drift) => expect(drift).toBeUndefined());
    expect((await told(environment, service)).map(({ action }) => action)).toEqual([
      'drift.found',
      'drift.gone',
      'drift.found',
      'drift.gone',
    ]);
  });

  it('is seen also where it came in the middle of the first look', async () => {
    const environment = await newEnvironment();
    const service = await rollOut(environment, [config('a')]);
    beforeDryRun = async () => {
      beforeDryRun = async () => {};
      await edit(environment, 'a', { a: 'by hand' });
      // Long enough for the watch to tell of it while nothing is known of the object yet.
      await sleep(1_000);
    };
    watch();
    await drifted(environment, service, (drift) => expect(drift?.objects).toMatchObject([{ name: 'a' }]));
  });

  it('is no drift what the release does not say', async () => {
    const environment = await newEnvironment();
    const service = await rollOut(environment, [deployment, config('a')]);
    watch();
    const path = '/apis/apps/v1/NS/deployments/ledger';
    // The release says no replicas: an autoscaler does. Nor does it say another container, an annotation or the status.
    await patch(environment, `${path}/scale`, { spec: { replicas: 3 } }, 'hpa');
    const sidecar = { spec: { template: { spec: { containers: [{ name: 'first', image: 'b:1' }] } } } };
    await patch(environment, path, sidecar, 'injector', 'strategic-merge');
    await patch(environment, path, { metadata: { annotations: { note: 'x' } } }, 'someone');
    await patch(environment, `${path}/status`, { status: { replicas: 7 } }, 'controller');
    await edit(environment, 'a', { more: 'y' });
    // What comes after all of that is seen; so that would have been.
    await patch(environment, path, { metadata: { labels: { 'applyset.kubernetes.io/part-of': 'applyset-other' } } });
    await edit(environment, 'a', { a: 'by hand' });
    await drifted(environment, service, (drift) =>
      expect(drift?.objects.flatMap(({ fields }) => fields.map(({ path }) => path)).sort()).toEqual([
        'data.a',
        'metadata.labels[applyset.kubernetes.io/part-of]',
      ]),
    );
  });

  it('is what somebody deleted, removed from an object, or did while nobody watched', async () => {
    const environment = await newEnvironment();
    const service = await rollOut(environment, [config('a'), config('b', { a: 'x', b: 'y' }), config('c')]);
    await edit(environment, 'c', { a: 'before' });
    watch();
    await drifted(environment, service, (drift) => expect(drift?.objects).toMatchObject([{ name: 'c' }]));
    await cluster.request({ method: 'DELETE', path: `/api/v1/namespaces/${environment.namespace}/configmaps/a` });
    await edit(environment, 'b', { b: null });
    await drifted(environment, service, (drift) =>
      expect(drift?.objects).toMatchObject([
        { name: 'a', change: 'deleted', fields: [] },
        { name: 'b', change: 'changed', fields: [{ path: 'data.b', wanted: 'y' }] },
        { name: 'c', change: 'changed' },
      ]),
    );
  });

  it('is seen where somebody writes in our name', async () => {
    const environment = await newEnvironment();
    const service = await rollOut(environment, [config('a')]);
    watch();
    const { namespace } = environment;
    const set = serviceSetId(service, namespace);
    await applyObject(cluster, asMember(config('a', { a: 'other' }), set), { namespace });
    await drifted(environment, service, (drift) => expect(drift?.objects).toMatchObject([{ name: 'a' }]));
  });

  it('does not show what a Secret holds', async () => {
    const environment = await newEnvironment();
    const secret: KubeObject = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { key: 'c2VjcmV0' } };
    const service = await rollOut(environment, [secret]);
    watch();
    await patch(environment, '/api/v1/NS/secrets/s', { data: { key: 'b3RoZXI=' } });
    await drifted(environment, service, (drift) =>
      expect(drift?.objects[0]?.fields).toMatchObject([
        { path: 'data.key', wanted: '(not shown)', found: '(not shown)' },
      ]),
    );
    expect(JSON.stringify(await told(environment, service))).not.toMatch(/c2VjcmV0|b3RoZXI/);
  });

  it('is put right where the environment says so, and the record tells both', async () => {
    const environment = await newEnvironment('correct');
    const service = await rollOut(environment, [config('a'), config('b')]);
    watch();
    await edit(environment, 'a', { a: 'by hand' });
    await vi.waitFor(async () => expect(await dataOf(environment, 'a')).toEqual({ a: 'x' }), patience);
    await cluster.request({ method: 'DELETE', path: `/api/v1/namespaces/${environment.namespace}/configmaps/b` });
    await vi.waitFor(async () => expect(await dataOf(environment, 'b')).toEqual({ a: 'x' }), patience);
    await vi.waitFor(
      async () =>
        expect((await told(environment, service)).map(({ action }) => action)).toEqual([
          'drift.found',
          'drift.corrected',
          'drift.found',
          'drift.corrected',
        ]),
      patience,
    );
    expect(await told(environment, service)).toMatchObject([
      { after: { fields: [{ path: 'data.a', found: 'by hand', by: { manager: 'kubectl-edit' } }] } },
      {},
      { after: { object: { name: 'b' }, change: 'deleted' } },
      {},
    ]);
  });

  it('waits for a hold to be lifted', async () => {
    const environment = await newEnvironment('correct');
    const service = await rollOut(environment, [config('a')]);
    const hold = { kind: 'hold', hold: { id: 'h', by: 'ada', why: 'looking' } } as never;
    await tell(service, environment, hold);
    watch();
    await edit(environment, 'a', { a: 'by hand' });
    await drifted(environment, service, (drift) =>
      expect(drift?.objects).toMatchObject([{ name: 'a', left: 'held by ada: looking' }]),
    );
    expect(await dataOf(environment, 'a')).toEqual({ a: 'by hand' });
    await tell(service, environment, { kind: 'lift', hold: 'h', by: 'ada', why: 'seen' } as never);
    await vi.waitFor(async () => expect(await dataOf(environment, 'a')).toEqual({ a: 'x' }), patience);
  });

  it('is nobody’s business while a rollout changes things, and looked at by the new release then', async () => {
    const environment = await newEnvironment('correct');
    const service = await rollOut(environment, [config('a')]);
    const other = await rollOut(environment, [config('z')], { service: '//test/other:other' as Label });
    await rollOut(environment, [config('a', { a: 'new' })], { service, order: 2, end: false });
    watch();
    await edit(environment, 'a', { a: 'by hand' });
    await edit(environment, 'z', { a: 'by hand' });
    await vi.waitFor(async () => expect(await dataOf(environment, 'z')).toEqual({ a: 'x' }), patience);
    expect(await dataOf(environment, 'a')).toEqual({ a: 'by hand' });
    await finish(environment, service, 2);
    await edit(environment, 'a', { a: 'again' });
    await vi.waitFor(async () => expect(await dataOf(environment, 'a')).toEqual({ a: 'new' }), patience);
    expect((await told(environment, other)).map(({ action }) => action)).toEqual(['drift.found', 'drift.corrected']);
  });

  it('ends a fight by a report', async () => {
    const environment = await newEnvironment('correct');
    const service = await rollOut(environment, [config('a')]);
    watch();
    const fighter = new AbortController();
    const fight = (async () => {
      while (!fighter.signal.aborted) {
        const data = (await dataOf(environment, 'a')) as { a?: string } | undefined;
        if (data?.a !== 'mine') await edit(environment, 'a', { a: 'mine' }, 'operator');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    await drifted(environment, service, (drift) =>
      expect(drift?.objects[0]?.left).toBe('it was put right 5 times within an hour and is changed again by operator'),
    );
    fighter.abort();
    await fight;
    expect(await dataOf(environment, 'a')).toEqual({ a: 'mine' });
    const corrections = (await told(environment, service)).filter(({ action }) => action === 'drift.corrected');
    expect(corrections).toHaveLength(5);
  });

  it('keeps to namespaces where rights end there', async () => {
    const environment = await newEnvironment('correct', api.strangerKubeconfig);
    const { namespace } = environment;
    const service = await rollOut(environment, [config('a')]);
    const group = 'rbac.authorization.k8s.io';
    const rules = [{ apiGroups: [''], resources: ['configmaps', 'secrets'], verbs: ['*'] }];
    const role = { apiVersion: `${group}/v1`, kind: 'Role', metadata: { name: 'deployer' }, rules };
    const subjects = [{ apiGroup: group, kind: 'User', name: 'stranger' }];
    const roleRef = { apiGroup: group, kind: 'Role', name: 'deployer' };
    const binding = {
      apiVersion: `${group}/v1`,
      kind: 'RoleBinding',
      metadata: { name: 'deployer' },
      subjects,
      roleRef,
    };
    for (const object of [role, binding]) await applyObject(cluster, object, { namespace });
    // The API server's own look at roles is a moment behind.
    await vi.waitFor(
      async () => void (await sessions[0]!.cluster.request({ path: `/api/v1/namespaces/${namespace}/configmaps` })),
      patience,
    );
    watch();
    await edit(environment, 'a', { a: 'by hand' });
    await vi.waitFor(async () => expect(await dataOf(environment, 'a')).toEqual({ a: 'x' }), patience);
    await drifted(environment, service, (drift) => expect(drift?.objects).toEqual([]));
    expect(watches).toEqual([`/api/v1/namespaces/${namespace}/configmaps`]);
  });

  it('takes one watch for each kind, however many environments and services there are', async () => {
    const first = await newEnvironment();
    const second = await newEnvironment();
    const a = await rollOut(first, [config('a')]);
    await rollOut(first, [config('b')], { service: '//test/b:b' as Label });
    const c = await rollOut(second, [config('a')], { service: '//test/c:c' as Label });
    watch();
    await edit(first, 'a', { a: 'by hand' });
    await edit(second, 'a', { a: 'by hand' });
    await drifted(first, a, (drift) => expect(drift?.objects).toHaveLength(1));
    await drifted(second, c, (drift) => expect(drift?.objects).toHaveLength(1));
    expect(new Set(watches)).toEqual(new Set(['/api/v1/configmaps']));
  });
});
