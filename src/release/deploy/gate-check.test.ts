import { describe, expect, it } from 'vitest';
import type { Environment, GateForm, Label } from '../../graph/index.ts';
import type { Release } from '../types.ts';
import { passGates } from './gate-check.ts';

const place = { file: 'banksman.yaml', line: 9 };
const hour = { days: 0, milliseconds: 3_600_000 };
const window: GateForm = {
  kind: 'window',
  name: 'windows',
  spans: [{ starts: '2026-01-05T09:00:00', lasts: hour, zone: 'UTC', place }],
  place,
};
const release: Release = {
  id: 'a'.repeat(64),
  service: '//bank/ledger:ledger' as Label,
  manifests: '',
  images: [],
  origin: { commit: 'c', author: 'ada', dirty: false },
  createdAt: '2026-01-01T00:00:00Z',
};
const environment = (...gates: GateForm[]): Environment => {
  return { name: 'prod', cluster: 'c', namespace: 'n', registry: 'r', parameters: {}, gates, place };
};
const pass = (at: string, ...gates: GateForm[]) =>
  passGates({ environment: environment(...gates), release, by: 'bob' }, () => Date.parse(at));

describe('passGates', () => {
  it('lets a release into an environment without gates, and into one whose window is open', async () => {
    await pass('2026-01-05T08:00:00Z');
    await pass('2026-01-05T09:30:00Z', window);
  });

  it('says which gate is shut, where it stands and what opens it', async () => {
    await expect(pass('2026-01-05T08:00:00Z', window)).rejects.toMatchObject({
      code: 'release/gate-closed',
      message: '//bank/ledger:ledger may not go into prod: windows',
      place: { line: 9 },
      notes: ['windows: outside of every window; opens by: the window of 2026-01-05 09:00 UTC'],
    });
  });

  it('does not let through what nobody can know yet', async () => {
    const gates: GateForm[] = [
      { kind: 'soak', name: 'soak', duration: 1, place },
      { kind: 'tests', name: 'tests', targets: ['//a:t'], place },
      { kind: 'approvals', name: 'approvals', count: 1, place },
      { kind: 'provenance', name: 'provenance', policy: 'p', place },
      { kind: 'metric', name: 'metric:m', url: 'http://127.0.0.1:1', query: 'q', atMost: 1, place },
    ];
    for (const gate of gates) {
      await expect(pass('2026-01-05T09:30:00Z', gate)).rejects.toMatchObject({ code: 'release/gate-closed' });
    }
  });
});
