import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Label } from '../../graph/index.ts';
import type { Release, Rollout } from '../types.ts';
import { rememberRecords } from './cluster-store.ts';
import { emptyRecord, type ServiceRecord } from './record.ts';
import { beginRecord, endRecord, holdRecordLease, writeRollout } from './record-steps.ts';
import type { ReleaseStore } from './store.ts';

const service = '//bank/ledger:ledger' as Label;
const release = (id: string): Release => ({
  id,
  service,
  manifests: '',
  images: [],
  origin: { commit: 'c', dirty: false },
  createdAt: '2026-01-01T00:00:00.000Z',
});
const rollout = (id: string, of: string): Rollout => ({
  id,
  release: of,
  kind: 'deploy',
  by: 'ada',
  startedAt: '2026-01-01T00:00:00.000Z',
  result: 'progressing',
});

let record: ServiceRecord;
let writes: number;
const store: ReleaseStore = {
  read: async () => record,
  async update(_, change) {
    writes++;
    record = change(record);
    return record;
  },
};
const begin = (id: string, of: string, kinds = ['ConfigMap']) =>
  beginRecord({ store, service, release: release(of), rollout: rollout(id, of), kinds, onWait: () => {} });

beforeEach(() => {
  vi.useFakeTimers();
  record = emptyRecord(service);
  writes = 0;
});
afterEach(() => void vi.useRealTimers());

test('a lease is renewed while objects are applied, and given back soon after', async () => {
  await begin('a', 'one', ['ConfigMap', 'Service']);
  const lease = holdRecordLease(store, service, 'a');
  const first = record.lease?.until ?? '';
  await vi.advanceTimersByTimeAsync(10_000);
  expect((record.lease?.until ?? '') > first).toBe(true);
  lease.applied(['ConfigMap']);
  expect(record.lease).toBeDefined();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(record).toMatchObject({ lease: undefined, kinds: ['ConfigMap'] });
  const before = writes;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(writes).toBe(before);
});

test('a rollout that ends soon gives its lease back with its last word, in one write', async () => {
  await begin('a', 'one', ['ConfigMap', 'Service']);
  const lease = holdRecordLease(store, service, 'a');
  lease.applied(['ConfigMap']);
  lease.stop();
  await endRecord(store, service, rollout('a', 'one'), { result: 'healthy' }, 'a', ['ConfigMap']);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(writes).toBe(2);
  expect(record).toMatchObject({ lease: undefined, kinds: ['ConfigMap'], rollouts: [{ result: 'healthy' }] });
});

test('what one that was overtaken says last changes neither the kinds nor the lease of the one after', async () => {
  await begin('a', 'one');
  const isGone = () => true;
  const next = { store, service, release: release('two'), rollout: rollout('b', 'two'), kinds: ['Service'] };
  await beginRecord({ ...next, isGone, onWait: () => {} });
  await endRecord(store, service, rollout('a', 'one'), { result: 'superseded' }, 'a', []);
  expect(record).toMatchObject({ lease: { holder: 'b' }, kinds: ['ConfigMap', 'Service'] });
  expect(record.rollouts.map(({ result }) => result)).toEqual(['superseded', 'progressing']);
});

test('a rollout with nothing to change is written from its beginning to its end at once, also twice', async () => {
  await begin('a', 'one');
  await endRecord(store, service, rollout('a', 'one'), { result: 'healthy' }, 'a');
  writes = 0;
  const whole = { store, service, release: release('two'), rollout: rollout('b', 'two'), kinds: ['ConfigMap'] };
  await writeRollout(whole, { result: 'healthy' });
  await writeRollout(whole, { result: 'healthy' });
  expect(writes).toBe(2);
  expect(record.rollouts).toMatchObject([
    { id: 'a', result: 'healthy' },
    { id: 'b', from: 'one', result: 'healthy' },
  ]);
  expect(record.releases.map(({ id }) => id)).toEqual(['one', 'two']);
});

test('records that were written last are remembered up to a bound of memory, the newest of them', () => {
  const written = rememberRecords();
  const keep = (label: Label, size: number) => {
    const releases = [{ ...release('one'), manifests: 'x'.repeat(size) }];
    written.keep(label, { version: '1', record: { ...emptyRecord(label), releases } });
  };
  const labels = Array.from({ length: 10 }, (_, index) => `//s${index}:s` as Label);
  for (const label of labels) keep(label, 1024 * 1024);
  expect(labels.filter((label) => written.get(label) !== undefined)).toEqual(labels.slice(2));
  keep(labels[9] as Label, 10);
  written.forget(labels[8] as Label);
  for (const label of labels.slice(0, 2)) keep(label, 1024);
  expect(labels.filter((label) => written.get(label) === undefined)).toEqual([labels[8]]);
});
