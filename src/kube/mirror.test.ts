import { PassThrough } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { changesIn, openMirror } from './mirror.ts';
import { createObjectIndex } from './object-index.ts';
import type { ApiRequest, Cluster, KubeObject } from './types.ts';

let uids = 0;
function object(kind: string, name: string, more: Partial<KubeObject> = {}, owner?: KubeObject): KubeObject {
  const ownerReferences = owner && [{ kind: owner.kind, name: owner.metadata.name, uid: owner.metadata.uid ?? '' }];
  const uid = more.metadata?.uid ?? `uid-${++uids}`;
  const metadata = { name, uid, resourceVersion: '1', ...(ownerReferences && { ownerReferences }), ...more.metadata };
  return { apiVersion: kind === 'Event' || kind === 'Pod' ? 'v1' : 'apps/v1', kind, ...more, metadata };
}

const ledger = object('Deployment', 'ledger');
const set = object('ReplicaSet', 'ledger-1', {}, ledger);
const pod = object('Pod', 'ledger-1-a', {}, set);
const about = (subject: KubeObject) => {
  const { uid, name } = subject.metadata;
  return object('Event', `${name}.1`, { involvedObject: { kind: subject.kind, name, uid } });
};

test('objects are found by kind, name and owner, and an event by what it is about', () => {
  const index = createObjectIndex();
  const event = about(pod);
  for (const each of [ledger, set, pod, event, object('Pod', 'other')]) index.put(each);
  expect(index.find(ledger, 'ledger')).toEqual(ledger);
  expect(index.find({ apiVersion: 'other.example/v1', kind: 'Deployment' }, 'ledger')).toBeUndefined();
  expect(index.list('Pod')).toHaveLength(2);
  expect(index.list('Pod', set.metadata.uid)).toEqual([pod]);
  expect(index.list('ReplicaSet', set.metadata.uid)).toEqual([]);
  expect(index.list('Event', pod.metadata.uid)).toEqual([event]);
  index.remove(pod);
  expect(index.list('Pod', set.metadata.uid)).toEqual([]);
  expect(index.find(pod, 'ledger-1-a')).toBeUndefined();
});

test('one made anew under the same name is not lost with the one before', () => {
  const index = createObjectIndex();
  const anew = object('Deployment', 'ledger');
  index.put(ledger);
  index.put(anew);
  index.remove(ledger);
  expect(index.find(ledger, 'ledger')).toEqual(anew);
});

test('an object that changes its owner belongs to the new one alone', () => {
  const index = createObjectIndex();
  const orphan = { ...pod, metadata: { ...pod.metadata, ownerReferences: [] } };
  index.put(pod);
  index.put(orphan);
  expect(index.list('Pod', set.metadata.uid)).toEqual([]);
  expect(index.find(pod, pod.metadata.name)).toEqual(orphan);
});

test('a new list says what is new and gone by it, of its own group alone', () => {
  const index = createObjectIndex();
  const foreign = { ...object('Deployment', 'foreign'), apiVersion: 'other.example/v1' };
  const gone = object('Deployment', 'gone');
  for (const each of [ledger, foreign, gone]) index.put(each);
  const changed = { ...ledger, metadata: { ...ledger.metadata, resourceVersion: '2' } };
  expect(index.replace(ledger, [changed])).toEqual([gone, changed]);
  expect(index.replace(ledger, [changed])).toEqual([]);
  expect(index.list('Deployment')).toEqual([foreign, changed]);
});

test('a change of a pod, and an event about it, concern the Deployment above', () => {
  const index = createObjectIndex();
  for (const each of [ledger, set, pod]) index.put(each);
  expect([...index.concerned(pod)]).toEqual(['Pod/ledger-1-a', 'ReplicaSet/ledger-1', 'Deployment/ledger']);
  expect(index.concerned(about(pod))).toContain('Deployment/ledger');
  index.remove(pod);
  expect(index.concerned(pod)).toContain('Deployment/ledger');
  expect(index.concerned(object('Pod', 'other')).size).toBe(1);
});

test('who holds a field is not kept: it is half of an object', () => {
  const index = createObjectIndex();
  index.put({ ...ledger, metadata: { ...ledger.metadata, managedFields: [{ manager: 'kubectl' }] } });
  expect(index.find(ledger, 'ledger')?.metadata).not.toHaveProperty('managedFields');
});

/** An API server of Deployments that tells what it is given. */
function served(first: readonly KubeObject[]) {
  const body = new PassThrough();
  const cluster = {
    resource: async () => ({ ...ledger, plural: 'deployments', namespaced: true }),
    request: async () => ({ metadata: { resourceVersion: '1' }, items: first }),
    stream: async ({ signal }: ApiRequest) => {
      signal?.addEventListener('abort', () => body.destroy());
      return body;
    },
  } as unknown as Cluster;
  const tell = (type: string, told: object) => body.write(`${JSON.stringify({ type, object: told })}\n`);
  return { cluster, tell };
}

test('only what concerns it wakes one who waits', async () => {
  const other = object('Deployment', 'other');
  const { cluster, tell } = served([ledger, other]);
  const mirror = await openMirror(cluster, [ledger], { namespace: 'dev' });
  const woken = { ledger: vi.fn(), all: vi.fn() };
  mirror.onChange(woken.all);
  const forget = mirror.onChange(woken.ledger, [ledger]);
  tell('MODIFIED', { ...other, status: {} });
  await vi.waitFor(() => expect(woken.all).toHaveBeenCalledTimes(1));
  tell('MODIFIED', { ...ledger, status: {} });
  await vi.waitFor(() => expect(woken.ledger).toHaveBeenCalledTimes(1));
  forget();
  tell('DELETED', ledger);
  await vi.waitFor(() => expect(woken.all).toHaveBeenCalledTimes(3));
  expect(woken.ledger).toHaveBeenCalledTimes(1);
  expect(mirror.find(ledger, 'ledger')).toBeUndefined();
  mirror.close();
});

test('a change that came while nobody waited ends the next wait at once, and the one after that lasts', async () => {
  const { cluster, tell } = served([ledger]);
  const mirror = await openMirror(cluster, [ledger], { namespace: 'dev' });
  const changes = changesIn(mirror, [ledger]);
  const seen = new Promise<void>((resolve) => mirror.onChange(resolve));
  tell('MODIFIED', { ...ledger, spec: { replicas: 2 } });
  await seen;
  await changes.next(3_600_000);
  expect(mirror.find(ledger, 'ledger')?.spec).toEqual({ replicas: 2 });
  await changes.next(10);
  changes.end();
  mirror.close();
});

test('who waits is told that the mirror has failed, and that he is to stop', async () => {
  const { cluster, tell } = served([ledger]);
  const mirror = await openMirror(cluster, [ledger], { namespace: 'dev' });
  const stop = new AbortController();
  const stopped = changesIn(mirror, [ledger], stop.signal).next(3_600_000);
  stop.abort(new Error('stopped'));
  await expect(stopped).rejects.toThrow('stopped');
  const waiting = changesIn(mirror, [ledger]).next(3_600_000);
  tell('ERROR', { code: 403, kind: 'Status', message: 'no more' });
  await expect(waiting).rejects.toMatchObject({ code: 'kube/forbidden' });
  expect(() => mirror.throwIfFailed()).toThrow('no more');
});

test('a mirror that nobody looks into ends after a while, as a connection that broke, and not before', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { cluster } = served([ledger]);
    const mirror = await openMirror(cluster, [ledger], { namespace: 'dev', idle: 1_000 });
    vi.advanceTimersByTime(900);
    const changes = changesIn(mirror, []);
    vi.advanceTimersByTime(10_000);
    mirror.throwIfFailed();
    changes.end();
    changes.end();
    vi.advanceTimersByTime(900);
    mirror.throwIfFailed();
    vi.advanceTimersByTime(200);
    expect(() => mirror.throwIfFailed()).toThrow('nobody has looked');
    await expect(mirror.failure).rejects.toMatchObject({ code: 'kube/unreachable' });
  } finally {
    vi.useRealTimers();
  }
});
