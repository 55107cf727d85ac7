import { describe, expect, it } from 'vitest';
import type { GateForm, Label } from '../../graph/index.ts';
import { advance, emptyPlacement, type Happening, type Placement } from '../model/index.ts';
import { answerGates, requiredGates } from './answer.ts';
import { approved } from './approvals.ts';
import { emergenciesReviewed, emergencyGate } from './emergency.ts';
import { told } from './length.ts';
import { metricWithin } from './metric.ts';
import { isSamePerson } from './person.ts';
import { provenanceVerified } from './provenance.ts';
import { replaced } from './replacement.ts';
import { soak } from './soak.ts';
import { termsOf } from './terms.ts';
import { testsPassed } from './tests.ts';
import type { Approval, GateFacts } from './types.ts';

const release = (order: number) => ({ id: `r${order}`, order });
const one = release(1);
const terms = { patience: 1e9, deadline: 1e9, onFailure: 'stop', returnGates: [] } as const;
const place = { file: 'banksman.yaml', line: 1 };

function serve(
  placement: Placement,
  order: number,
  at: number,
  kind: 'promotion' | 'rollback' = 'promotion',
): Placement {
  const id = `${kind}-${order}-${at}`;
  const happenings: Happening[] = [
    { kind: 'plan', at, request: { id, release: release(order), kind, by: 'ada', gates: [], terms } },
    { kind: 'gates', at, rollout: id, answers: [] },
    { kind: 'applied', at, rollout: id },
    { kind: 'ready', at: at + 10, rollout: id, verifies: false },
  ];
  return happenings.reduce((now, each) => advance(now, each).placement, placement);
}

const staging = emptyPlacement('//bank/ledger:ledger' as Label, 'staging');

describe('terms', () => {
  it('have the steps of the first rule that is about the service', () => {
    const step = (share: number) => ({ share, lasts: 1 });
    const [gateway, postgres, other] = ['//bank/gateway:gateway', '//bank/postgres:postgres', '//x:x'] as Label[];
    const progressive = [
      { services: [gateway!], steps: [step(5)], place },
      { services: [postgres!], steps: [], place },
      { steps: [step(25)], place },
    ];
    const base = { name: 'prod', cluster: 'c', namespace: 'p', registry: 'r', parameters: {}, place };
    const stages = (service: Label) => termsOf({ ...base, progressive }, service).stages;
    expect(stages(gateway!)).toEqual([step(5)]);
    expect(stages(postgres!)).toBeUndefined();
    expect(stages(other!)).toEqual([step(25)]);
    expect(termsOf(base, gateway!).stages).toBeUndefined();
  });
});

describe('a removal', () => {
  const gates: GateForm[] = [
    { kind: 'soak', name: 'soak', duration: 1, place },
    { kind: 'tests', name: 'tests', targets: ['//bank/ledger:test' as Label], place },
    { kind: 'approvals', name: 'approvals', count: 1, place },
    { kind: 'freeze', name: 'freezes', spans: [], place },
    { kind: 'provenance', name: 'provenance', policy: 'p.yaml', place },
  ];

  it('has to pass what is about the environment, and nothing that is about a release that comes in', () => {
    expect(requiredGates(gates, 'removal', undefined)).toEqual(['approvals', 'freezes', 'review']);
    expect(requiredGates(gates, 'removal', 'it leaks card numbers')).toEqual(['emergency']);
    expect(requiredGates([gates[0]!], 'removal', undefined)).toEqual([]);
  });

  it('waits for what takes its place', () => {
    const gateway = emptyPlacement('//bank/door:door' as Label, 'prod');
    expect(replaced('replacement', undefined)).toMatchObject({ holds: false });
    expect(replaced('replacement', gateway)).toMatchObject({
      holds: false,
      reason: '//bank/door:door is not there yet in prod',
    });
    expect(replaced('replacement', serve(gateway, 1, 0))).toMatchObject({ holds: true, since: 10 });
  });
});

describe('soak', () => {
  const ask = (upstream: Placement, now: number) => soak('soak', 1000, one, upstream, now);

  it('holds once the release has been healthy upstream for the time, and says since when', () => {
    const upstream = serve(staging, 1, 0);
    expect(ask(upstream, 500)).toMatchObject({ holds: false, since: 10, opensAt: 1010, opens: '1 s more in staging' });
    expect(ask(upstream, 1009)).toMatchObject({ holds: false });
    expect(ask(upstream, 1010)).toMatchObject({ holds: true, since: 1010 });
    expect(ask(upstream, 9000)).toMatchObject({ holds: true, since: 1010 });
  });

  it('does not count what was before the service was removed there', () => {
    const out = { id: 'x', release: one, kind: 'removal', by: 'ada', gates: [], terms } as const;
    const removed = (
      [
        { kind: 'plan', at: 3000, request: out },
        { kind: 'gates', at: 3000, rollout: 'x', answers: [] },
      ] satisfies Happening[]
    ).reduce((now: Placement, each) => advance(now, each).placement, serve(staging, 1, 0));
    expect(ask(removed, 9000)).toMatchObject({ holds: false, reason: 'the service was removed from staging' });
    const again = serve(removed, 1, 10_000);
    expect(ask(again, 10_500)).toMatchObject({ holds: false, since: 10_010 });
    expect(ask(again, 11_010)).toMatchObject({ holds: true });
  });

  it('counts from healthy, not from the start, and not what is only on its way', () => {
    expect(ask(staging, 9000)).toMatchObject({ holds: false, reason: 'not healthy in staging yet' });
    expect(soak('soak', 1000, one, undefined, 9000)).toMatchObject({ holds: false });
    expect(soak('soak', 1000, release(2), serve(staging, 1, 0), 9000)).toMatchObject({ holds: false });
  });

  it('goes on holding after a newer release took its place, and ends where it was brought back from', () => {
    const long = serve(serve(staging, 1, 0), 2, 2000);
    expect(ask(long, 9000)).toMatchObject({ holds: true, since: 1010 });
    const short = serve(serve(staging, 1, 0), 2, 500);
    expect(ask(short, 9000)).toMatchObject({
      holds: false,
      reason: expect.stringContaining('not there now') as string,
    });
    const again = serve(short, 1, 3000, 'rollback');
    // 490 before, and then 510 from 3010 on.
    expect(ask(again, 3519)).toMatchObject({ holds: false });
    expect(ask(again, 3520)).toMatchObject({ holds: true, since: 3520 });
    const left = soak('soak', 1000, release(2), serve(serve(serve(staging, 1, 0), 2, 20), 1, 5000, 'rollback'), 9000);
    expect(left).toMatchObject({ holds: false, reason: 'staging was brought back from this release' });
  });
});

describe('tests', () => {
  const proof = (target: string, passed: boolean, at: number, id = 'r1') => ({ release: id, target, passed, at });
  const ask = (...proofs: ReturnType<typeof proof>[]) => testsPassed('tests', ['//a:t', '//b:t'], one, proofs);

  it('hold when each passed on this release, by its last run', () => {
    expect(ask(proof('//a:t', true, 1), proof('//b:t', true, 5))).toMatchObject({ holds: true, since: 5 });
    expect(ask(proof('//a:t', false, 1), proof('//b:t', true, 2), proof('//a:t', true, 3))).toMatchObject({
      holds: true,
    });
    expect(ask(proof('//a:t', true, 1), proof('//b:t', true, 2), proof('//a:t', false, 3))).toMatchObject({
      holds: false,
      since: 3,
      reason: 'failed: //a:t',
    });
  });

  it('of another release say nothing', () => {
    expect(ask(proof('//a:t', true, 1), proof('//b:t', true, 1, 'r0'))).toMatchObject({
      holds: false,
      opens: 'a run that passes: banksman test //b:t',
    });
  });
});

describe('approvals', () => {
  const by = (name: string, at: number, more: Partial<Approval> = {}): Approval => {
    return { release: 'r1', by: name, roles: ['release-manager'], verdict: 'approves', at, ...more };
  };
  const facts = { authors: ['Ada <ada@bank.example>'], requestedBy: 'bob' };
  const ask = (count: number, approvals: Approval[], more: Partial<typeof facts> = {}, role?: string) =>
    approved('approvals', { count, ...(role !== undefined && { role }) }, one, { ...facts, ...more, approvals });

  it('hold with enough people, since the last that was needed', () => {
    expect(ask(2, [by('cyd', 1), by('dan', 5), by('eve', 9)])).toMatchObject({ holds: true, since: 5 });
    expect(ask(2, [by('cyd', 1)])).toMatchObject({ holds: false, reason: '1 of 2 approvals (cyd)' });
  });

  it('of the author never count, however the name is written', () => {
    expect(ask(1, [by('ada@bank.example', 1)])).toMatchObject({ holds: false });
    expect(ask(1, [by('A. L. <ADA@bank.example>', 1)])).toMatchObject({ holds: false });
  });

  it('of who asked for it do not count alone, and count beside another', () => {
    expect(ask(1, [by('bob', 1)])).toMatchObject({
      holds: false,
      reason: expect.stringContaining('none of another') as string,
    });
    expect(ask(2, [by('bob', 1), by('cyd', 2)])).toMatchObject({ holds: true });
    // One person is one approval, however often.
    expect(ask(2, [by('cyd', 1), by('cyd', 2), by('CYD', 3)])).toMatchObject({ holds: false });
  });

  it('need the role, where one is asked for', () => {
    const two = [by('cyd', 1, { roles: ['engineer'] }), by('dan', 2)];
    expect(ask(2, two, {}, 'release-manager')).toMatchObject({ holds: false });
    expect(ask(1, two, {}, 'release-manager')).toMatchObject({ holds: true, since: 2 });
  });

  it('of another release are none, and one that was withdrawn is gone', () => {
    expect(ask(1, [by('cyd', 1, { release: 'r0' })])).toMatchObject({ holds: false });
    expect(ask(1, [by('cyd', 1), by('cyd', 2, { verdict: 'withdraws' })])).toMatchObject({ holds: false });
  });

  it('are not enough where nobody knows the author', () => {
    expect(ask(1, [by('cyd', 1)], { authors: [] })).toMatchObject({ holds: false });
  });
});

describe('a metric', () => {
  const ask = (values: number[], at = 1000) =>
    metricWithin(
      'm',
      { query: 'q', atMost: 0.5, atLeast: 0.1 },
      { at, result: { values: values.map((value) => ({ series: '', value })) } },
      1000,
    );

  it('holds where every series is within the bounds', () => {
    expect(ask([0.1, 0.5])).toMatchObject({ holds: true, since: 1000 });
    expect(ask([0.2, 0.51])).toMatchObject({ holds: false, opens: 'q is at most 0.5 and at least 0.1' });
    expect(ask([0.05])).toMatchObject({ holds: false });
  });

  it('does not hold by silence', () => {
    for (const values of [[], [Number.NaN], [Number.POSITIVE_INFINITY]])
      expect(ask(values)).toMatchObject({ holds: false });
    expect(ask([0.2], -200_000)).toMatchObject({ holds: false, reason: expect.stringContaining('old') as string });
    expect(metricWithin('m', { query: 'q', atMost: 1 }, undefined, 0)).toMatchObject({ holds: false });
    expect(metricWithin('m', { query: 'q', atMost: 1 }, { at: 0, result: { error: 'away' } }, 0)).toMatchObject({
      reason: 'away',
    });
  });
});

describe('provenance', () => {
  const verdict = { release: 'r1', policy: 'p.yaml', policySum: 's', verified: true, reason: 'signed by ci', at: 3 };

  it('holds by the verdict of this policy on this release alone', () => {
    expect(provenanceVerified('p', 'p.yaml', one, verdict)).toMatchObject({ holds: true, since: 3 });
    expect(provenanceVerified('p', 'p.yaml', one, { ...verdict, verified: false })).toMatchObject({ holds: false });
    expect(provenanceVerified('p', 'p.yaml', release(2), verdict)).toMatchObject({ holds: false });
    expect(provenanceVerified('p', 'q.yaml', one, verdict)).toMatchObject({ holds: false });
    expect(provenanceVerified('p', 'p.yaml', one, undefined)).toMatchObject({ holds: false });
  });
});

describe('an emergency', () => {
  it('needs a person and a reason', () => {
    expect(emergencyGate('e', 'payments are down', 'ada')).toMatchObject({ holds: true });
    for (const reason of [undefined, '', '   ', 'x'])
      expect(emergencyGate('e', reason, 'ada')).toMatchObject({ holds: false });
    expect(emergencyGate('e', 'payments are down', 'banksman')).toMatchObject({ holds: false });
  });

  it('keeps later rollouts out after a day without a second person', () => {
    const open = { rollout: 'x', by: 'ada', why: 'payments are down', startedAt: 0 };
    const day = 86_400_000;
    expect(emergenciesReviewed('review', [open], day - 1)).toMatchObject({ holds: true });
    expect(emergenciesReviewed('review', [open], day)).toMatchObject({ holds: false, since: day });
    expect(emergenciesReviewed('review', [{ ...open, review: { by: 'ADA', at: 5 } }], day)).toMatchObject({
      holds: false,
    });
    expect(emergenciesReviewed('review', [{ ...open, review: { by: 'bob', at: 5 } }], day)).toMatchObject({
      holds: true,
    });
  });
});

describe('answerGates', () => {
  const gates: GateForm[] = [
    { kind: 'soak', name: 'soak', duration: 1000, place },
    { kind: 'approvals', name: 'approvals', count: 1, place },
    { kind: 'provenance', name: 'provenance', policy: 'p.yaml', place },
  ];
  const facts: GateFacts = {
    now: 5000,
    release: one,
    kind: 'promotion',
    authors: ['ada'],
    requestedBy: 'bob',
    upstream: serve(staging, 1, 0),
    tests: [],
    approvals: [{ release: 'r1', by: 'cyd', roles: [], verdict: 'approves', at: 1 }],
    metrics: new Map(),
    provenance: { release: 'r1', policy: 'p.yaml', policySum: 's', verified: true, reason: 'signed', at: 1 },
    emergencies: [],
  };

  it('asks everything of a promotion, provenance alone of a way back, and a reason of an emergency', () => {
    expect(requiredGates(gates, 'automatic', undefined)).toEqual(['soak', 'approvals', 'provenance', 'review']);
    expect(requiredGates(gates, 'rollback', undefined)).toEqual(['provenance']);
    expect(requiredGates(gates, 'return', undefined)).toEqual(['provenance']);
    expect(requiredGates(gates, 'promotion', 'payments are down')).toEqual(['emergency', 'provenance']);
    expect(requiredGates([], 'promotion', undefined)).toEqual([]);
  });

  it('answers each, and a gate that is gone with no', () => {
    const names = requiredGates(gates, 'promotion', undefined);
    expect(answerGates(gates, names, facts).map(({ holds }) => holds)).toEqual([true, true, true, true]);
    expect(answerGates(gates, ['gone'], facts)).toMatchObject([{ gate: 'gone', holds: false }]);
  });

  it('lets a rollout of the model start, and only with every answer', () => {
    const names = requiredGates(gates, 'promotion', undefined);
    const request = { id: 'x', release: one, kind: 'promotion', by: 'bob', gates: names, terms } as const;
    const planned = advance(emptyPlacement(staging.service, 'prod'), { kind: 'plan', at: 5000, request }).placement;
    const start = (answers: ReturnType<typeof answerGates>) =>
      advance(planned, { kind: 'gates', at: 5000, rollout: 'x', answers }).refused;
    expect(start(answerGates(gates, names, { ...facts, approvals: [] }))).toBe('gate-closed');
    expect(start(answerGates(gates, names, facts))).toBeUndefined();
  });
});

it('isSamePerson goes by the mail', () => {
  expect(isSamePerson('Ada <ada@x.y>', 'ada@X.y')).toBe(true);
  expect(isSamePerson('Ada <ada@x.y>', 'Ada <bob@x.y>')).toBe(false);
});

it('told gives the two largest units', () => {
  expect([0, 999, 61_000, 93_780_000].map(told)).toEqual(['0 s', '1 s', '1 min 1 s', '1 d 2 h']);
});
