import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { readEntries, verifyLog } from '../../src/audit/index.ts';
import { type Database, openPglite } from '../../src/database/index.ts';
import type { Environment, Label } from '../../src/graph/index.ts';
import { type Cluster, connect, getObject, listObjects } from '../../src/kube/index.ts';
import { type Clusters, openClusters } from '../../src/release/index.ts';
import { type ApiServer, findEngine, startApiServer } from '../support/api-server.ts';
import { typistAt } from '../support/command-line.ts';
import { playKubelet } from '../support/kubelet.ts';
import { type Caller, configMap, deployment, startCaller } from '../support/rollouts.ts';

const engine = findEngine();
const service = '//bank/statements:statements' as Label;
const place = { file: 'banksman.yaml' };
const approvals = { kind: 'approvals', name: 'approvals', count: 1, place } as const;
const soak = { kind: 'soak', name: 'soak', duration: 3_600_000, place } as const;
const environments = Array.from({ length: 9 }, (_, index): Environment => {
  const name = `dev-${index + 1}`;
  return {
    name,
    cluster: 'test',
    namespace: name,
    registry: 'registry.local',
    parameters: {},
    place,
    automatic: false,
  };
});
/** Its deadline is set by the test. */
const short: { deadline?: number } & Omit<Environment, 'deadline'> = {
  ...environments[0]!,
  name: 'short',
  namespace: 'short',
};
environments.push(
  { ...environments[0]!, name: 'gated', namespace: 'gated', after: 'dev-1', gates: [approvals, soak] },
  short,
);

interface Named {
  readonly kind: string;
  readonly name: string;
}

const claim = (name: string) => `---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: ${name} }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
`;

// The API server, its controllers, the database and the server are real; only the node is played.
describe.skipIf(engine === undefined)('taking a service out (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let clusters: Clusters;
  let database: Database;
  let caller: Caller;
  let count = 0;
  let dev: string;

  vi.setConfig({ testTimeout: 180_000 });

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
    const kubelet = playKubelet(cluster, dev);
    return () => kubelet.stop();
  });

  const object = (kind: string, name: string, namespace = dev, apiVersion = kind === 'Deployment' ? 'apps/v1' : 'v1') =>
    getObject(cluster, { apiVersion, kind, name, ...(kind !== 'Namespace' && { namespace }) });
  const at = (environment = dev, which = service) =>
    `/v1/environments/${environment}/services/${encodeURIComponent(which)}`;
  const serve = async (which: Label, manifests: string, environment = dev) => {
    const release = await caller.release(which, manifests);
    const { id } = await caller.promote(which, environment, release);
    expect(await caller.until(which, environment, id, 'healthy', 'failed')).toMatchObject({ state: 'healthy' });
    return release;
  };
  const preview = async (query = '') => {
    const { status, json } = await caller.call('GET', `${at()}/removal${query}`);
    expect(status).toBe(200);
    return json as {
      goes: Named[];
      precious: (Named & { loses: string; goesWith?: string; others: string[] })[];
      gates: string[];
      replacement?: { takesOver: Named[] };
    };
  };
  const remove = (body: object, environment = dev, which = service) =>
    caller.call('POST', `${at(environment, which)}/removals`, { why: 'nobody uses it', ...body });
  const names = (objects: readonly Named[]) => objects.map(({ kind, name }) => `${kind}/${name}`).sort();

  it('deletes what it showed, says so before, and leaves nothing that would bring it back', async () => {
    const release = await serve(
      service,
      deployment('statements', 'ready/statements:1', configMap('rates') + claim('data')),
    );
    const shown = await preview();
    expect(names(shown.goes)).toEqual(['ConfigMap/rates', 'Deployment/statements']);
    expect(shown.precious).toEqual([
      { kind: 'PersistentVolumeClaim', name: 'data', namespace: dev, loses: 'the data on it', others: [] },
    ]);
    const { status, json } = await remove({});
    expect(status).toBe(202);
    const { id } = json as { id: string };
    const removed = await caller.until(service, dev, id, 'removed', 'failed');
    expect(removed).toMatchObject({
      state: 'removed',
      kind: 'removal',
      by: 'ada@bank.example',
      release: { id: release },
    });
    expect(removed.steps.map(({ state }) => state)).toEqual(['planned', 'applying', 'progressing', 'removed']);
    expect(removed.notes?.map(({ text }) => text)).toEqual([
      'left in place, since nobody agreed to delete it: PersistentVolumeClaim/data',
      'deletes: ConfigMap/rates, Deployment/statements',
    ]);
    // Its end is the end of its pods.
    const { items } = await listObjects(cluster, { apiVersion: 'v1', kind: 'Pod' }, { namespace: dev });
    expect(items).toEqual([]);
    expect(await object('Deployment', 'statements')).toBeUndefined();
    expect(await object('PersistentVolumeClaim', 'data')).toBeDefined();
    const placement = await caller.placement(service, dev);
    expect(placement.live).toBeUndefined();
    expect(placement.holds).toMatchObject([{ by: 'ada@bank.example' }]);
    const entries = await readEntries(database, { subject: `${service} in ${dev}` });
    const told = entries.filter(({ event }) => (event.after as { rollout?: string }).rollout === id);
    // The record says what is deleted before anything is.
    expect(told.map(({ event }) => event.action)).toEqual([
      'rollout.planned',
      'rollout.applying',
      'rollout.note',
      'rollout.note',
      'rollout.progressing',
      'rollout.removed',
    ]);
    expect(await remove({})).toMatchObject({ status: 409 });
    const { json: back } = await caller.call('POST', `${at()}/rollbacks`, { why: 'somebody does' });
    expect(await caller.until(service, dev, (back as { id: string }).id, 'healthy', 'failed')).toMatchObject({
      state: 'healthy',
      release: { id: release },
    });
    const again = await caller.placement(service, dev);
    expect(again.holds.find(({ id: hold }) => hold === `${id}-hold`)?.ended).toBeDefined();
  });

  it('deletes a claim and a namespace only by a yes of their own', async () => {
    const own = `${dev}-own`;
    const space = `---\napiVersion: v1\nkind: Namespace\nmetadata: { name: ${own} }\n`;
    await serve(service, configMap('rates') + claim('data') + claim('other') + space);
    const { precious } = await preview();
    expect(names(precious)).toEqual([`Namespace/${own}`, 'PersistentVolumeClaim/data', 'PersistentVolumeClaim/other']);
    expect(precious.find(({ kind }) => kind === 'Namespace')?.loses).toBe('everything in it');
    const wrong = await remove({ deletes: ['PersistentVolumeClaim/date'] });
    expect(wrong).toMatchObject({ status: 400, json: { next: 'did you mean PersistentVolumeClaim/data?' } });
    const { json } = await remove({ deletes: ['PersistentVolumeClaim/data', `Namespace/${own}`] });
    expect(json).toMatchObject({ deletes: [`Namespace/${own}`, 'PersistentVolumeClaim/data'] });
    const removed = await caller.until(service, dev, (json as { id: string }).id, 'removed', 'failed');
    expect(removed.state).toBe('removed');
    expect(await object('PersistentVolumeClaim', 'data')).toBeUndefined();
    expect(await object('Namespace', own)).toBeUndefined();
    expect(await object('PersistentVolumeClaim', 'other')).toBeDefined();
  });

  it('does not let a namespace go in which others are, nor claims with a StatefulSet, without a word of them', async () => {
    const set = `---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: store }
spec:
  replicas: 1
  serviceName: store
  selector: { matchLabels: { app: store } }
  persistentVolumeClaimRetentionPolicy: { whenDeleted: Delete, whenScaled: Retain }
  template:
    metadata: { labels: { app: store } }
    spec: { containers: [{ name: main, image: "ready/store:1" }] }
  volumeClaimTemplates:
    - metadata: { name: data }
      spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
`;
    const space = `---\napiVersion: v1\nkind: Namespace\nmetadata: { name: ${dev} }\n`;
    const other = '//bank/ledger:ledger' as Label;
    await serve(other, configMap('ledger'));
    await serve(service, set + space);
    const { precious } = await preview();
    expect(precious.map(({ kind, name, goesWith, others }) => [kind, name, goesWith, others])).toEqual([
      ['Namespace', dev, undefined, [other]],
      ['PersistentVolumeClaim', 'data-store-0', 'StatefulSet/store', []],
    ]);
    const silent = await remove({});
    expect(silent).toMatchObject({ status: 409, json: { type: 'urn:banksman:release/needs-yes' } });
    expect((silent.json as { detail: string }).detail).toContain('would delete PersistentVolumeClaim/data-store-0');
    const claimYes = 'PersistentVolumeClaim/data-store-0';
    const whole = await remove({ deletes: [claimYes, `Namespace/${dev}`] });
    expect(whole).toMatchObject({ status: 409, json: { notes: [`${other} is in it`] } });
    expect(await object('ConfigMap', 'ledger')).toBeDefined();
    const { json } = await remove({ deletes: [claimYes] });
    await caller.until(service, dev, (json as { id: string }).id, 'removed');
    expect(await object('PersistentVolumeClaim', 'data-store-0')).toBeUndefined();
    expect(await object('ConfigMap', 'ledger')).toBeDefined();
  });

  it('waits for an approval of the removal, for which one of the release does not count', async () => {
    const kubelet = playKubelet(cluster, 'gated');
    const release = await caller.release(service, configMap('rates'));
    const { id: first } = await caller.promote(service, 'gated', release, { emergency: 'there is no other way' });
    await caller.until(service, 'gated', first, 'healthy');
    const bob = await caller.server.tokens.create(
      { name: 'bob@bank.example', roles: ['release-manager'], services: [], expiresAt: Date.now() + 3_600_000 },
      { who: 'test', source: 'test' },
      Date.now(),
    );
    const approve = (token: string, body: object) =>
      fetch(`${caller.server.url}${at('gated')}/approvals`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ release, ...body }),
      });
    expect((await approve(bob.token, {})).status).toBe(200);
    const { json } = await remove({}, 'gated');
    const { id } = json as { id: string };
    expect((await caller.until(service, 'gated', id, 'gated')).state).toBe('gated');
    const why = (await caller.call('GET', `${at('gated')}/why`)).json as {
      answers: { gate: string; holds: boolean }[];
    };
    // How long a release has been well somewhere says nothing of whether it may go.
    expect(why.answers.map(({ gate, holds }) => [gate, holds])).toEqual([
      ['approvals', false],
      ['review', true],
    ]);
    expect((await approve(bob.token, { rollout: 'another' })).status).toBe(409);
    // Who asked for it is its author.
    await caller.call('POST', `${at('gated')}/approvals`, { release, rollout: id });
    expect(await object('ConfigMap', 'rates', 'gated')).toBeDefined();
    expect((await approve(bob.token, { rollout: id })).status).toBe(200);
    expect(await caller.until(service, 'gated', id, 'removed', 'failed')).toMatchObject({ state: 'removed' });
    kubelet.stop();
  });

  it('of a service with a new name goes by what takes its place, without a pod less in between', async () => {
    const next = '//bank/letters:letters' as Label;
    await serve(service, deployment('statements', 'ready/statements:1', configMap('old')));
    const before = await object('Deployment', 'statements');
    const stuck = await caller.release(next, deployment('statements', 'ready/statements:1', configMap('new')));
    const shown = await preview(`?replacedBy=${encodeURIComponent(next)}&release=${stuck}`);
    expect(names(shown.goes)).toEqual(['ConfigMap/old']);
    expect(names(shown.replacement?.takesOver ?? [])).toEqual(['Deployment/statements']);
    expect(shown.gates).toEqual(['replacement']);
    const { json } = await remove({ replacedBy: next });
    const { id } = json as { id: string };
    expect(await caller.until(service, dev, id, 'removed', 'failed')).toMatchObject({
      state: 'removed',
      notes: [{ text: 'deletes: ConfigMap/old' }],
    });
    expect((await caller.until(next, dev, `${id}-replacement`, 'healthy')).state).toBe('healthy');
    const after = await object('Deployment', 'statements');
    expect(after?.metadata.uid).toBe(before?.metadata.uid);
    expect(after?.metadata.generation).toBe(before?.metadata.generation);
    expect(await object('ConfigMap', 'old')).toBeUndefined();
    expect(await object('ConfigMap', 'new')).toBeDefined();
  });

  it('that waits for a replacement which fails deletes nothing', async () => {
    const next = '//bank/posts:posts' as Label;
    await serve(service, configMap('old'));
    await caller.release(next, deployment('posts', 'crash/posts:1'));
    const { id } = (await remove({ replacedBy: next })).json as { id: string };
    await caller.until(next, dev, `${id}-replacement`, 'failed');
    expect(await caller.until(service, dev, id, 'gated')).toMatchObject({ state: 'gated' });
    expect(await object('ConfigMap', 'old')).toBeDefined();
    const why = (await caller.call('GET', `${at()}/why`)).json as { answers: { reason: string }[] };
    expect(why.answers[0]?.reason).toBe(`${next} is failed in ${dev}`);
  });

  it('asks a person at the terminal, for all and for each thing that would be lost', async () => {
    await serve(service, configMap('rates') + claim('data') + claim('other'));
    const { banksman, type } = await typistAt(caller.server, 'eve@bank.example');
    const words = ['remove', service, '--env', dev];
    /** As a person does who answers the questions in turn. */
    const answer = (last: string, shown: string) => {
      const steps = [
        ['', 'PersistentVolumeClaim/data too, with the data on it? [y/N]'],
        ['y\r', 'PersistentVolumeClaim/other too, with the data on it? [y/N]'],
        ['\r', `take ${service} out of ${dev}? [y/N]`],
        [`${last}\r`, shown],
      ] as const;
      return type(steps, ...words, '--why', 'old', '--wait');
    };
    const silent = await banksman(...words, '--why', 'old');
    expect(silent).toMatchObject({ code: 2, out: expect.stringContaining('nobody said yes') as string });
    expect(silent.out).toMatch(/- ConfigMap\/rates\n[\s\S]*= PersistentVolumeClaim\/data stays/);
    expect((await banksman(...words)).out).toContain('a removal needs --why');
    expect(await answer('n', 'nothing was asked for')).toMatchObject({ code: 0 });
    expect(await object('ConfigMap', 'rates')).toBeDefined();
    expect(await answer('y', ' removed ')).toMatchObject({ code: 0 });
    expect(await object('PersistentVolumeClaim', 'data')).toBeUndefined();
    expect(await object('PersistentVolumeClaim', 'other')).toBeDefined();
    const history = (await banksman('history', service, '--env', dev, '--limit', '1')).out;
    expect(history).toMatch(/^removal of release \w+ \(\d+\) {2}removed {2}asked for by eve@bank.example/);
    expect(history).toContain('agreed to delete: PersistentVolumeClaim/data');
    expect((await banksman('status', '--env', dev)).out).toMatch(
      /statements {2}removed\s+since \S+ {2}by eve@bank.example/,
    );
    expect((await banksman(...words, '--preview')).out).toContain(`nothing of ${service} is in ${dev}`);
  });

  it('ends at its deadline where something does not go, and says what it waits for', async () => {
    const finalizers = 'metadata: { name: kept, finalizers: [bank.example/never] }';
    await serve(service, configMap('kept').replace('metadata: { name: kept }', finalizers), 'short');
    short.deadline = 3_000;
    const { id } = (await remove({}, 'short')).json as { id: string };
    const failed = await caller.until(service, 'short', id, 'failed', 'removed');
    expect(failed.steps.at(-1)?.why).toMatch(/ConfigMap\/kept waits for bank\.example\/never|not healthy within 3 s/);
    delete short.deadline;
    await cluster.request({
      method: 'PATCH',
      path: '/api/v1/namespaces/short/configmaps/kept',
      contentType: 'application/merge-patch+json',
      body: { metadata: { finalizers: null } },
    });
    const { id: again } = (await remove({}, 'short')).json as { id: string };
    expect(await caller.until(service, 'short', again, 'failed', 'removed')).toMatchObject({ state: 'removed' });
    expect(await verifyLog(database)).toMatchObject({ findings: [] });
  });
});
