import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Database, openPglite } from '../../database/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import { asMember, type KubeObject } from '../../kube/index.ts';
import { serviceSetId } from '../cluster/cluster-store.ts';
import type { Session } from '../cluster/session.ts';
import { markOf, type Sighting } from './informer.ts';
import { appliedSet, type KnownObjects, whatIsApplied } from './known.ts';
import { basisOf, openMarks } from './marks.ts';
import { migrateDrift } from './store.ts';

const service = '//bank/ledger:ledger' as Label;
const environment: Environment = {
  name: 'prod',
  cluster: 'c',
  namespace: 'bank',
  registry: 'r',
  parameters: {},
  place: { file: 'banksman.yaml' },
};
const id = serviceSetId(service, 'bank');
const session = { namespace: 'bank', cluster: { server: 'https://c' } } as Session;

function configMap(value: string, kind = 'ConfigMap'): KubeObject {
  return asMember({ apiVersion: 'v1', kind, metadata: { name: 'rates' }, data: { value } } as KubeObject, id);
}

/** As the API server answers an apply. */
function live(object: KubeObject, version = '1', fields: object = { 'f:data': { 'f:value': {} } }): KubeObject {
  const own = { manager: 'banksman', operation: 'Apply', time: '2026-01-01T00:00:00Z', fieldsV1: fields };
  const metadata = { ...object.metadata, uid: 'u', namespace: 'bank', resourceVersion: version, managedFields: [own] };
  return { ...object, metadata };
}

function sighting(object: KubeObject, set = id): Sighting {
  const { apiVersion, kind, metadata } = object;
  return {
    apiVersion,
    kind,
    namespace: 'bank',
    name: metadata.name,
    set,
    mark: markOf(object),
    version: metadata.resourceVersion,
  };
}

let database: Database;
beforeAll(async () => {
  database = await openPglite(undefined);
  await migrateDrift(database);
}, 60_000);
afterAll(() => database?.close());

const noError = (error: unknown) => {
  throw error;
};

/** What is known of one object that was applied, and how it is seen now. */
function knowing(seen: Sighting | undefined, applied = configMap('1'), after: KubeObject | null = live(applied)) {
  const set = appliedSet(basisOf('r1', environment), [{ object: applied, after: after ?? undefined }], undefined);
  const known: KnownObjects = {
    marks: { load: async () => {}, get: () => set, set() {} },
    informer: () => ({ follow: async () => {}, find: () => seen, members: () => (seen === undefined ? [] : [seen]) }),
    onSighting() {},
  };
  return whatIsApplied(known, session, { service, environment }, [applied]).isAsApplied;
}

const seen = sighting(live(configMap('1')));

test('an object that is seen as it was applied need not be asked about', () => {
  expect(knowing(seen)(configMap('1'), true)).toBe(true);
});

test('what a release has otherwise than the one that was applied is compared', () => {
  expect(knowing(seen)(configMap('2'), true)).toBe(false);
});

test('an object is compared that is not there, or not seen yet', () => {
  expect(knowing(undefined)(configMap('1'), true)).toBe(false);
});

test.each([
  ['of which somebody took a field', live(configMap('1'), '2', { 'f:data': {} })],
  [
    'that was deleted and made anew',
    { ...live(configMap('1')), metadata: { ...live(configMap('1')).metadata, uid: 'v' } },
  ],
  [
    'that was written in our name',
    { ...live(configMap('1')), metadata: { ...live(configMap('1')).metadata, generation: 2 } },
  ],
])('an object is compared %s', (_, now) => {
  expect(knowing(sighting(now))(configMap('1'), true)).toBe(false);
});

test('an object is compared that another service took over', () => {
  expect(knowing(sighting(live(configMap('1')), 'applyset-other'))(configMap('1'), true)).toBe(false);
});

test('an object is compared that was never compared', () => {
  expect(knowing(seen, configMap('1'), null)(configMap('1'), true)).toBe(false);
});

test('where a field is not ours any version but the one that was compared may differ', () => {
  const object = configMap('1');
  const wanted = live(object, '1', { 'f:data': { 'f:value': {}, 'f:other': {} } });
  const set = appliedSet('b', [{ object, after: live(object), wanted }], undefined);
  expect([...set.marks.values()]).toMatchObject([{ held: false }]);
  const held = appliedSet('b', [{ object, after: live(object), wanted: live(object) }], undefined);
  expect([...held.marks.values()]).toMatchObject([{ held: true }]);
});

test('what is known of an object holds for the next release that has it alike, and for no other', () => {
  const first = appliedSet('b1', [{ object: configMap('1'), after: live(configMap('1')) }], undefined);
  expect(appliedSet('b2', [{ object: configMap('1') }], first).marks).toEqual(first.marks);
  expect(appliedSet('b2', [{ object: configMap('2') }], first).marks.size).toBe(0);
});

test('another namespace, parameter or policy is another basis', () => {
  const gates = [{ kind: 'provenance', name: 'p', policy: 'p.json', place: environment.place }] as never;
  const all = [
    basisOf('r1', environment),
    basisOf('r2', environment),
    basisOf('r1', { ...environment, namespace: 'other' }),
    basisOf('r1', { ...environment, parameters: { replicas: 2 } }),
    basisOf('r1', { ...environment, gates }),
  ];
  expect(new Set(all).size).toBe(all.length);
  expect(basisOf('r1', { ...environment, deadline: 1 })).toBe(all[0]);
});

test('the next server knows what this one knew, but nothing of Secrets and nothing of drift', async () => {
  const marks = openMarks(database, noError);
  const objects = ['ConfigMap', 'Secret'].map((kind) => configMap('1', kind));
  const set = appliedSet(
    'b',
    objects.map((object) => ({ object, after: live(object) })),
    undefined,
  );
  marks.set(service, 'prod', set);
  const drift = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name: 'rates',
    change: 'changed',
    fields: [],
    since: 0,
  } as const;
  const drifted = new Map([...set.marks].map(([key, mark]) => [key, { ...mark, drift }]));
  marks.set(service, 'dev', { ...set, marks: drifted });
  const next = openMarks(database, noError);
  await vi.waitFor(async () => {
    await next.load();
    expect(next.get(service, 'prod')).toBeDefined();
    expect(next.get(service, 'dev')).toBeDefined();
  });
  expect(next.get(service, 'prod')).toEqual({
    ...set,
    marks: new Map([...set.marks].filter(([key]) => !key.startsWith('Secret'))),
  });
  expect(next.get(service, 'dev')).toEqual({ ...set, marks: new Map() });
  expect(JSON.stringify(await database.query('SELECT * FROM object_marks'))).not.toContain(
    [...set.marks].find(([key]) => key.startsWith('Secret'))?.[1].content ?? '',
  );
});

test('what was learned while the former knowledge was read stays', async () => {
  const marks = openMarks(database, noError);
  const set = appliedSet('newer', [{ object: configMap('9') }], undefined);
  marks.set(service, 'prod', set);
  await marks.load();
  expect(marks.get(service, 'prod')).toBe(set);
});
