import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFault } from '../../fault/index.ts';
import type { Label } from '../../graph/index.ts';
import type { Release, Rollout } from '../types.ts';
import {
  beginRollout,
  dropLease,
  emptyRecord,
  endRollout,
  findRelease,
  isSuperseded,
  lastRollout,
  releaseId,
  releaseNamed,
  rollbackTarget,
  type ServiceRecord,
  takeLease,
} from './record.ts';

const service = '//bank/ledger:ledger' as Label;
let number = 0;

function release(name: string): Release {
  const content = { service, manifests: name, images: [] };
  return { id: releaseId(content), ...content, origin: { dirty: false }, createdAt: '2026-01-01T00:00:00Z' };
}

type Step = readonly [kind: 'deploy' | 'rollback', name: string, result: 'healthy' | 'failed'];

function play(record: ServiceRecord, [kind, name, result]: Step): ServiceRecord {
  const id = `r${++number}`;
  const from = lastRollout(record)?.release;
  const rollout: Rollout = {
    id,
    release: release(name).id,
    kind,
    ...(from !== undefined && { from }),
    by: 'test',
    startedAt: '2026-01-01T00:00:00Z',
    result: 'progressing',
  };
  return endRollout(beginRollout(record, release(name), rollout), id, { result, endedAt: '2026-01-01T00:00:01Z' });
}

const after = (...steps: readonly Step[]) => steps.reduce(play, emptyRecord(service));
const target = (record: ServiceRecord) => rollbackTarget(record).manifests;
const code = (body: () => unknown) => {
  try {
    body();
  } catch (error) {
    return isFault(error) ? error.code : error;
  }
  return undefined;
};

describe('rollbackTarget', () => {
  it('is the release that was healthy before', () => {
    expect(target(after(['deploy', 'A', 'healthy'], ['deploy', 'B', 'healthy']))).toBe('A');
    expect(target(after(['deploy', 'A', 'healthy'], ['deploy', 'B', 'failed']))).toBe('A');
    expect(target(after(['deploy', 'A', 'healthy'], ['deploy', 'B', 'failed'], ['deploy', 'C', 'failed']))).toBe('A');
    expect(target(after(['deploy', 'A', 'healthy'], ['deploy', 'A', 'healthy'], ['deploy', 'B', 'healthy']))).toBe('A');
  });

  it('goes further back when it is done again, and never forth', () => {
    const start: Step[] = [
      ['deploy', 'A', 'healthy'],
      ['deploy', 'B', 'healthy'],
      ['deploy', 'C', 'healthy'],
    ];
    const once: Step[] = [...start, ['rollback', 'B', 'healthy']];
    expect(target(after(...start))).toBe('B');
    expect(target(after(...once))).toBe('A');
    expect(code(() => target(after(...once, ['rollback', 'A', 'healthy'])))).toBe('release/no-good-release');
  });

  it('counts a release as good again once it was deployed anew', () => {
    const steps: Step[] = [
      ['deploy', 'A', 'healthy'],
      ['deploy', 'B', 'healthy'],
      ['rollback', 'A', 'healthy'],
      ['deploy', 'B', 'healthy'],
      ['deploy', 'C', 'failed'],
    ];
    expect(target(after(...steps))).toBe('B');
  });

  it('skips one whose return failed', () => {
    const steps: Step[] = [
      ['deploy', 'A', 'healthy'],
      ['deploy', 'B', 'healthy'],
      ['deploy', 'C', 'healthy'],
      ['rollback', 'B', 'failed'],
    ];
    expect(target(after(...steps))).toBe('A');
  });

  it('says so where there is none', () => {
    expect(code(() => rollbackTarget(emptyRecord(service)))).toBe('release/never-deployed');
    expect(code(() => rollbackTarget(after(['deploy', 'A', 'failed'])))).toBe('release/no-good-release');
    expect(code(() => rollbackTarget(after(['deploy', 'A', 'healthy'])))).toBe('release/no-good-release');
  });
});

describe('a record', () => {
  it('names a release by its content alone', () => {
    const content = { service, manifests: 'a', images: [] };
    expect(releaseId(content)).toBe(releaseId({ ...content }));
    const image = { label: service, reference: 'r/x:1', digest: 'sha256:1' };
    const ids = [
      content,
      { ...content, manifests: 'b' },
      { ...content, service: '//a:a' as Label },
      { ...content, images: [image] },
      { ...content, images: [{ ...image, digest: 'sha256:2' }] },
    ].map(releaseId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('ends a rollout that is overtaken, and keeps how it ended', () => {
    const rollout = (id: string, name: string): Rollout => ({
      id,
      release: release(name).id,
      kind: 'deploy',
      by: 'test',
      startedAt: '2026-01-01T00:00:00Z',
      result: 'progressing',
    });
    let record = beginRollout(emptyRecord(service), release('A'), rollout('a', 'A'));
    record = beginRollout(record, release('B'), rollout('b', 'B'));
    expect(record.rollouts.map(({ result }) => result)).toEqual(['superseded', 'progressing']);
    expect(isSuperseded(record, rollout('a', 'A'))).toBe(true);
    expect(isSuperseded(record, rollout('b', 'B'))).toBe(false);
    record = endRollout(record, 'a', { result: 'healthy', endedAt: 'x' });
    expect(record.rollouts[0]?.result).toBe('superseded');
    // Another deploy of the same release is no reason to stop waiting.
    expect(isSuperseded(beginRollout(record, release('B'), rollout('c', 'B')), rollout('b', 'B'))).toBe(false);
  });

  it('gives a lease to one holder at a time, and to another when the first is dead', () => {
    const record = emptyRecord(service);
    const held = takeLease(record, 'a', 1_000, 500) as ServiceRecord;
    expect(takeLease(held, 'b', 1_400, 500)).toBeUndefined();
    expect(takeLease(held, 'a', 1_400, 500)?.lease?.until).toBe(new Date(1_900).toISOString());
    expect(takeLease(held, 'b', 1_600, 500)?.lease?.holder).toBe('b');
    expect(dropLease(held, 'b').lease?.holder).toBe('a');
    expect(dropLease(held, 'a').lease).toBeUndefined();
  });

  it('finds a release by the beginning of its id, if that names one only', () => {
    const record = after(['deploy', 'A', 'healthy'], ['deploy', 'B', 'healthy']);
    const { id } = release('A');
    expect(releaseNamed(record, id.slice(0, 12)).id).toBe(id);
    expect(code(() => releaseNamed(record, ''))).toBe('release/unknown-release');
    expect(code(() => releaseNamed(record, 'zzzz'))).toBe('release/unknown-release');
  });

  it('holds whatever happens: bounded, its last rollout known, and a rollback goes to something good and other', () => {
    const step = fc.tuple(
      fc.constantFrom('deploy' as const, 'rollback' as const),
      fc.constantFrom('A', 'B', 'C', 'D', 'E'),
      fc.constantFrom('healthy' as const, 'failed' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
        const record = after(...steps);
        expect(record.rollouts.length).toBeLessThanOrEqual(23);
        const last = lastRollout(record);
        expect(last?.release).toBe(release(steps.at(-1)?.[1] ?? '').id);
        expect(findRelease(record, last?.release ?? '')).toBeDefined();
        for (const rollout of record.rollouts) expect(findRelease(record, rollout.release)).toBeDefined();
        if (code(() => rollbackTarget(record)) !== undefined) return;
        const { id } = rollbackTarget(record);
        expect(id).not.toBe(last?.release);
        expect(record.rollouts.some(({ release: of, result }) => of === id && result === 'healthy')).toBe(true);
      }),
    );
  });
});
