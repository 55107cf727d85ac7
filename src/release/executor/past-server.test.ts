import { expect, it } from 'vitest';
import { emptyRecord } from '../cluster/record.ts';
import type { Rollout } from '../types.ts';
import { pastServer } from './past-server.ts';

const rollout = (id: string): Rollout => ({
  id,
  release: 'ab'.repeat(32),
  kind: 'deploy',
  by: 'ada@desk',
  startedAt: '2026-01-01T00:00:00.000Z',
  result: 'healthy',
});
const record = (...ids: string[]) => ({ ...emptyRecord('//a:a' as never), rollouts: ids.map(rollout) });

it('names what came past the server since it was last there, and nothing else', () => {
  const mine = new Set(['m1', 'm2', 'm3']);
  expect(pastServer(record('m3'), mine, 'm3')).toBeUndefined();
  expect(pastServer(record('x', 'm1', 'm3'), mine, 'm3')).toBeUndefined();
  expect(pastServer(record('x', 'm1', 'y', 'm3'), mine, 'm3')).toBe(
    "past the server, as the cluster's record has it: deploy of abababababab by ada@desk at 2026-01-01T00:00:00.000Z (healthy)",
  );
  const many = pastServer(record('m1', ...Array.from({ length: 8 }, (_, index) => `x${index}`), 'm2'), mine, 'm2');
  expect(many?.split('; ')).toHaveLength(5);
  expect(many).toMatch(/, and 3 before$/);
});
