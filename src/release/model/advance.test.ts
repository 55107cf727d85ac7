import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Label } from '../../graph/index.ts';
import { advance } from './advance.ts';
import { emptyPlacement, findRollout } from './change.ts';
import { holdsOn, isInForce } from './hold.ts';
import { nextMoment } from './next-moment.ts';
import { provenReleases } from './promotion.ts';
import { goodReleases, lastGoodRelease } from './rollback.ts';
import { stageEnds } from './stage.ts';
import {
  activeRollout,
  baseRollout,
  hasEnded,
  hasStarted,
  isActive,
  isRemoval,
  liveRollout,
  transitions,
  waitingRollouts,
} from './state.ts';
import type {
  GateAnswer,
  Happening,
  Placement,
  ReleaseRef,
  ReleaseRequest,
  RolloutKind,
  Stage,
  Terms,
} from './types.ts';

const service = '//bank/ledger:ledger' as Label;
const terms: Terms = { patience: 1000, deadline: 100, onFailure: 'return', returnGates: ['provenance'] };
const stages: readonly Stage[] = [
  { share: 10, lasts: 50 },
  { share: 50, lasts: 70 },
];
const release = (order: number): ReleaseRef => ({ id: `release-${order}`, order });
const answer = (gate: string, holds = true): GateAnswer => ({ gate, holds, reason: holds ? 'yes' : 'no' });
const open = [answer('soak'), answer('provenance')];

function request(
  id: string,
  order: number,
  kind: RolloutKind = 'promotion',
  more: Partial<Terms> = {},
): ReleaseRequest {
  const gates = kind === 'rollback' ? ['provenance'] : ['soak', 'provenance'];
  return { id, release: release(order), kind, by: 'ada', gates, terms: { ...terms, ...more } };
}

const play = (start: Placement, ...happenings: readonly Happening[]) =>
  happenings.reduce((placement, each) => advance(placement, each).placement, start);

/** All that a rollout goes through until it serves. */
function brought(id: string, order: number, at: number, kind: RolloutKind = 'promotion'): Happening[] {
  return [
    { kind: 'plan', at, request: request(id, order, kind) },
    { kind: 'gates', at, rollout: id, answers: open },
    { kind: 'applied', at, rollout: id },
    { kind: 'ready', at, rollout: id, verifies: true },
    { kind: 'verified', at, rollout: id },
  ];
}

const empty = emptyPlacement(service, 'prod');
const openRollouts = ({ rollouts }: Placement) => rollouts.filter((rollout) => !hasEnded(rollout));
const states = ({ rollouts }: Placement) => Object.fromEntries(rollouts.map(({ id, state }) => [id, state]));

describe('a rollout', () => {
  it('goes from planned to healthy, each step with its time', () => {
    const placement = play(empty, ...brought('a', 1, 10));
    expect(findRollout(placement, 'a')?.steps.map(({ state }) => state)).toEqual([
      'planned',
      'applying',
      'progressing',
      'verifying',
      'healthy',
    ]);
    expect(openRollouts(placement)).toEqual([]);
  });

  it('waits for a gate that is shut, and for one that nobody has answered', () => {
    const planned = play(empty, { kind: 'plan', at: 0, request: request('a', 1) });
    const shut = advance(planned, { kind: 'gates', at: 1, rollout: 'a', answers: [answer('soak', false)] });
    expect(shut.refused).toBe('gate-closed');
    expect(states(shut.placement)).toEqual({ a: 'gated' });
    const half = advance(shut.placement, { kind: 'gates', at: 2, rollout: 'a', answers: [answer('soak')] });
    expect(states(half.placement)).toEqual({ a: 'gated' });
    expect(states(advance(half.placement, { kind: 'gates', at: 3, rollout: 'a', answers: open }).placement)).toEqual({
      a: 'applying',
    });
  });

  it('is not open where one of two answers to a gate says no', () => {
    const answers = [...open, answer('soak', false)];
    const placement = play(empty, { kind: 'plan', at: 0, request: request('a', 1) });
    expect(advance(placement, { kind: 'gates', at: 1, rollout: 'a', answers }).refused).toBe('gate-closed');
  });

  it('takes over from a stuck one when its gates open, not before', () => {
    const stuck = play(empty, ...brought('a', 1, 0).slice(0, 3), { kind: 'plan', at: 5, request: request('b', 2) });
    expect(states(stuck)).toEqual({ a: 'progressing', b: 'planned' });
    const taken = play(stuck, { kind: 'gates', at: 6, rollout: 'b', answers: open });
    expect(states(taken)).toEqual({ a: 'superseded', b: 'applying' });
    expect(findRollout(taken, 'b')?.from).toBe('release-1');
    expect(advance(taken, { kind: 'ready', at: 7, rollout: 'a', verifies: false }).refused).toBe('wrong-state');
  });

  it('replaces one that waits', () => {
    const placement = play(
      empty,
      { kind: 'plan', at: 0, request: request('a', 1) },
      { kind: 'plan', at: 1, request: request('b', 2) },
    );
    expect(states(placement)).toEqual({ a: 'superseded', b: 'planned' });
  });

  it('ends as cancelled when its gates do not open in time', () => {
    const placement = play(empty, { kind: 'plan', at: 0, request: request('a', 1) }, { kind: 'tick', at: 1000 });
    expect(states(placement)).toEqual({ a: 'cancelled' });
    expect(placement.rollouts[0]?.steps.at(-1)?.why).toBe('its gates did not open within 1 s');
    expect(placement.holds).toEqual([]);
  });

  it('is refused where its release serves already', () => {
    const placement = play(empty, ...brought('a', 1, 0));
    expect(advance(placement, { kind: 'plan', at: 1, request: request('b', 1) }).refused).toBe('already-there');
  });

  it('never goes back by itself', () => {
    const placement = play(empty, ...brought('b', 2, 0));
    expect(advance(placement, { kind: 'plan', at: 1, request: request('a', 1, 'automatic') }).refused).toBe('older');
  });
});

describe('a failure', () => {
  const failing = play(empty, ...brought('a', 1, 0), ...brought('b', 2, 10).slice(0, 3));

  it('brings the last healthy release back and holds what failed', () => {
    const failed = play(failing, { kind: 'failed', at: 20, rollout: 'b', why: 'crashes' });
    expect(states(failed)).toEqual({ a: 'healthy', b: 'failed', 'b-return': 'planned' });
    expect(findRollout(failed, 'b-return')).toMatchObject({ kind: 'return', release: release(1), by: 'banksman' });
    expect(advance(failed, { kind: 'plan', at: 21, request: request('c', 2, 'automatic') }).refused).toBe('older');
    const back = play(
      failed,
      { kind: 'gates', at: 21, rollout: 'b-return', answers: [answer('provenance')] },
      { kind: 'applied', at: 22, rollout: 'b-return' },
      { kind: 'ready', at: 23, rollout: 'b-return', verifies: false },
    );
    expect(states(back)).toEqual({ a: 'healthy', b: 'rolled-back', 'b-return': 'healthy' });
    expect(holdsOn(back, 2, 24)).toHaveLength(1);
    expect(holdsOn(back, 3, 24)).toEqual([]);
    const passed = play(back, ...brought('c', 3, 30, 'automatic'));
    expect(passed.holds[0]?.ended?.why).toBe('passed by release release-3');
  });

  it('comes by the deadline too', () => {
    const late = play(failing, { kind: 'tick', at: 110 });
    expect(states(late)).toMatchObject({ b: 'failed', 'b-return': 'planned' });
    expect(findRollout(late, 'b')?.steps.at(-1)?.why).toBe('not healthy within 0 s');
  });

  it('is not followed by another return when the way back fails', () => {
    const stuck = play(
      empty,
      ...brought('a', 1, 0),
      ...brought('b', 2, 5),
      ...brought('c', 3, 10).slice(0, 3),
      { kind: 'failed', at: 20, rollout: 'c', why: 'crashes' },
      { kind: 'gates', at: 21, rollout: 'c-return', answers: [answer('provenance')] },
      { kind: 'failed', at: 22, rollout: 'c-return', why: 'crashes too' },
    );
    expect(states(stuck)).toEqual({ a: 'healthy', b: 'healthy', c: 'failed', 'c-return': 'failed' });
    expect(openRollouts(stuck)).toEqual([]);
  });

  it('only holds where the environment says stop, and where nothing was ever healthy', () => {
    const stop = play(
      play(empty, ...brought('a', 1, 0)),
      { kind: 'plan', at: 1, request: request('b', 2, 'promotion', { onFailure: 'stop' }) },
      { kind: 'gates', at: 1, rollout: 'b', answers: open },
      { kind: 'failed', at: 2, rollout: 'b', why: 'x' },
    );
    expect(states(stop)).toEqual({ a: 'healthy', b: 'failed' });
    expect(holdsOn(stop, 2, 3)).toHaveLength(1);
    const first = play(empty, ...brought('a', 1, 0).slice(0, 3), { kind: 'failed', at: 1, rollout: 'a', why: 'x' });
    expect(states(first)).toEqual({ a: 'failed' });
  });

  it('leaves a fix that waits where it is', () => {
    const placement = play(
      failing,
      { kind: 'plan', at: 15, request: request('c', 3) },
      { kind: 'failed', at: 20, rollout: 'b', why: 'crashes' },
      { kind: 'gates', at: 21, rollout: 'b-return', answers: [answer('provenance')] },
    );
    expect(states(placement)).toMatchObject({ 'b-return': 'applying', c: 'planned' });
    const fixed = play(placement, { kind: 'gates', at: 22, rollout: 'c', answers: open });
    expect(states(fixed)).toMatchObject({ 'b-return': 'superseded', c: 'applying' });
  });

  it('of one cancelled half-way is gone back from as well', () => {
    const placement = play(failing, { kind: 'cancel', at: 20, rollout: 'b', by: 'ada', why: 'wrong one' });
    expect(states(placement)).toMatchObject({ b: 'cancelled', 'b-return': 'planned' });
  });
});

describe('a rollback', () => {
  const three = play(empty, ...brought('a', 1, 0), ...brought('b', 2, 10), ...brought('c', 3, 20));
  const back = (from: Placement, id: string, at: number) => {
    const to = lastGoodRelease(from)!;
    return play(from, ...brought(id, to.order, at, 'rollback'));
  };

  it('goes further back each time, and never forth', () => {
    expect(lastGoodRelease(three)).toEqual(release(2));
    const once = back(three, 'x', 30);
    expect(states(once)).toMatchObject({ c: 'rolled-back', x: 'healthy' });
    const twice = back(once, 'y', 40);
    expect(liveRollout(twice)?.release).toEqual(release(1));
    expect(goodReleases(twice)).toEqual([]);
  });

  it('holds automatic rollouts until lifted, or until a newer release passes', () => {
    const once = back(three, 'x', 30);
    expect(holdsOn(once, 3, 31)).toHaveLength(1);
    const passing = advance(once, { kind: 'plan', at: 31, request: request('d', 4, 'automatic') });
    expect(passing.refused).toBeUndefined();
    const lifted = play(once, { kind: 'lift', at: 31, hold: 'x-hold', by: 'ada', why: 'fixed outside' });
    expect(holdsOn(lifted, 3, 32)).toEqual([]);
  });

  it('stops what waits and is not newer than what it leaves', () => {
    const placement = play(
      three,
      { kind: 'plan', at: 30, request: request('d', 4) },
      { kind: 'plan', at: 31, request: request('x', 2, 'rollback') },
    );
    expect(states(placement)).toMatchObject({ d: 'planned', x: 'planned' });
    const older = play(
      back(three, 'x', 30),
      { kind: 'plan', at: 40, request: request('again', 3) },
      { kind: 'plan', at: 41, request: request('y', 1, 'rollback') },
    );
    expect(states(older)).toMatchObject({ again: 'superseded', y: 'planned' });
  });

  it('counts a release as good again once it was brought in anew', () => {
    const again = play(back(three, 'x', 30), ...brought('c2', 3, 40), ...brought('d', 4, 50));
    expect(lastGoodRelease(again)).toEqual(release(3));
  });
});

describe('a hold', () => {
  it('keeps automatic rollouts from being asked for and from starting, and lets a person go on', () => {
    const waiting = play(empty, { kind: 'plan', at: 0, request: request('a', 1, 'automatic') });
    const held = play(waiting, { kind: 'hold', at: 1, hold: { id: 'h', by: 'ada', why: 'looking' } });
    expect(advance(held, { kind: 'gates', at: 2, rollout: 'a', answers: open })).toMatchObject({ refused: 'held' });
    expect(advance(held, { kind: 'plan', at: 2, request: request('b', 2, 'automatic') }).refused).toBe('held');
    expect(advance(held, { kind: 'plan', at: 2, request: request('b', 2) }).refused).toBeUndefined();
    const lifted = play(held, { kind: 'lift', at: 3, hold: 'h', by: 'ada', why: 'done' });
    expect(states(play(lifted, { kind: 'gates', at: 4, rollout: 'a', answers: open }))).toEqual({ a: 'applying' });
  });

  it('ends by itself at its time', () => {
    const held = play(empty, { kind: 'hold', at: 1, hold: { id: 'h', by: 'ada', why: 'lunch', until: 50 } });
    expect(nextMoment(held, 2)).toBe(50);
    expect(isInForce(held.holds[0]!, 49)).toBe(true);
    const over = play(held, { kind: 'tick', at: 60 });
    expect(over.holds[0]?.ended).toEqual({ at: 50, by: 'banksman', why: 'its time is over' });
  });

  it('keeps an automatic rollout away that a person cancelled', () => {
    const placement = play(
      empty,
      { kind: 'plan', at: 0, request: request('a', 1, 'automatic') },
      { kind: 'cancel', at: 1, rollout: 'a', by: 'ada', why: 'not this one' },
    );
    expect(advance(placement, { kind: 'plan', at: 2, request: request('b', 1, 'automatic') }).refused).toBe('held');
    expect(advance(placement, { kind: 'plan', at: 2, request: request('b', 2, 'automatic') }).refused).toBeUndefined();
  });
});

describe('a progressive delivery', () => {
  const served = play(empty, ...brought('a', 1, 0));
  const asked = (from: Placement, id: string, order: number, more: Partial<ReleaseRequest> = {}) =>
    play(
      from,
      { kind: 'plan', at: 10, request: { ...request(id, order, 'promotion', { stages }), ...more } },
      { kind: 'gates', at: 10, rollout: id, answers: [...open, answer('emergency')] },
    );
  const inStage = (from: Placement, id: string, stage: number | undefined, at: number) =>
    play(from, { kind: 'applied', at, rollout: id, stage }, { kind: 'ready', at, rollout: id, stage, verifies: false });
  const first = asked(served, 'b', 2);

  it('goes through its stages one after the other, then to the whole', () => {
    expect(findRollout(first, 'b')).toMatchObject({ state: 'applying', stage: 0, due: 10 + 100 + 50 });
    const watched = inStage(first, 'b', 0, 20);
    expect(findRollout(watched, 'b')).toMatchObject({ state: 'verifying', stage: 0 });
    expect(nextMoment(watched, 20)).toBe(70);
    const early = advance(watched, { kind: 'verified', at: 69, rollout: 'b', stage: 0 });
    expect(early).toMatchObject({ refused: 'too-early', placement: watched });
    const second = play(watched, { kind: 'verified', at: 70, rollout: 'b', stage: 0 });
    expect(findRollout(second, 'b')).toMatchObject({ state: 'applying', stage: 1, due: 70 + 100 + 70 });
    expect(baseRollout(second)?.id).toBe('a');
    const whole = play(inStage(second, 'b', 1, 80), { kind: 'verified', at: 150, rollout: 'b', stage: 1 });
    expect(findRollout(whole, 'b')).toMatchObject({ state: 'applying', due: 250 });
    expect(findRollout(whole, 'b')?.stage).toBeUndefined();
    const done = inStage(whole, 'b', undefined, 160);
    expect(states(done)).toEqual({ a: 'healthy', b: 'healthy' });
    expect(findRollout(done, 'b')?.steps.map(({ state, stage }) => [state, stage])).toEqual([
      ['planned', undefined],
      ['applying', 0],
      ['progressing', 0],
      ['verifying', 0],
      ['applying', 1],
      ['progressing', 1],
      ['verifying', 1],
      ['applying', undefined],
      ['progressing', undefined],
      ['healthy', undefined],
    ]);
  });

  it('does not take what is told late of an earlier stage for news of this one', () => {
    const second = play(inStage(first, 'b', 0, 20), { kind: 'verified', at: 70, rollout: 'b', stage: 0 });
    for (const stage of [0, undefined]) {
      expect(advance(second, { kind: 'applied', at: 71, rollout: 'b', stage }).refused).toBe('wrong-state');
    }
  });

  it('goes back from a stage to what serves, also where the environment says stop', () => {
    const failed = play(inStage(first, 'b', 0, 20), { kind: 'failed', at: 30, rollout: 'b', why: 'errors' });
    expect(states(failed)).toEqual({ a: 'healthy', b: 'failed', 'b-return': 'planned' });
    const stop = play(
      served,
      {
        kind: 'plan',
        at: 10,
        request: request('b', 2, 'promotion', { stages, onFailure: 'stop' }),
      },
      { kind: 'gates', at: 10, rollout: 'b', answers: open },
      { kind: 'failed', at: 30, rollout: 'b', why: 'errors' },
    );
    expect(findRollout(stop, 'b-return')).toMatchObject({ release: release(1), state: 'planned' });
  });

  it('goes back to what served when it began, not to what was left before that', () => {
    const three = play(empty, ...brought('a', 1, 0), ...brought('b', 2, 1), ...brought('c', 3, 2));
    const back = play(three, ...brought('x', 1, 3, 'rollback'));
    const staged = asked(back, 'd', 4);
    expect(lastGoodRelease(staged)).toEqual(release(1));
    const failed = play(staged, { kind: 'failed', at: 30, rollout: 'd', why: 'errors' });
    expect(findRollout(failed, 'd-return')?.release).toEqual(release(1));
  });

  it('is taken over in a stage by a newer one, which begins at its own first stage', () => {
    const second = asked(inStage(first, 'b', 0, 20), 'c', 3);
    expect(states(second)).toEqual({ a: 'healthy', b: 'superseded', c: 'applying' });
    expect(findRollout(second, 'c')?.stage).toBe(0);
    const failed = play(second, { kind: 'failed', at: 40, rollout: 'c', why: 'errors' });
    expect(findRollout(failed, 'c-return')?.release).toEqual(release(1));
    const overtaken = asked(
      play(failed, { kind: 'gates', at: 41, rollout: 'c-return', answers: [answer('provenance')] }),
      'd',
      4,
    );
    expect(states(overtaken)).toMatchObject({ 'c-return': 'superseded', d: 'applying' });
    expect(findRollout(overtaken, 'd')?.stage).toBe(0);
  });

  it('is applied whole where nothing healthy serves, on a way back and in an emergency', () => {
    expect(findRollout(asked(empty, 'b', 2), 'b')?.stage).toBeUndefined();
    const broken = play(served, ...brought('x', 2, 5).slice(0, 3), { kind: 'failed', at: 6, rollout: 'x', why: 'y' });
    expect(findRollout(asked(broken, 'b', 3), 'b')).toMatchObject({ state: 'applying' });
    expect(findRollout(asked(broken, 'b', 3), 'b')?.stage).toBeUndefined();
    const emergency = asked(served, 'b', 2, { emergency: 'the bank is on fire', gates: ['emergency'] });
    expect(findRollout(emergency, 'b')).toMatchObject({ state: 'applying' });
    expect(findRollout(emergency, 'b')?.stage).toBeUndefined();
    const two = play(served, ...brought('b', 2, 5));
    expect(findRollout(asked(two, 'r', 1, { kind: 'rollback' }), 'r')?.stage).toBeUndefined();
  });

  it('ends by the deadline of the stage that it hangs in', () => {
    const hanging = play(first, { kind: 'applied', at: 20, rollout: 'b', stage: 0 }, { kind: 'tick', at: 159 });
    expect(states(hanging)).toMatchObject({ b: 'progressing' });
    expect(states(play(hanging, { kind: 'tick', at: 160 }))).toMatchObject({ b: 'failed', 'b-return': 'planned' });
  });
});

describe('a removal', () => {
  const asked = (from: Placement, id: string, at: number, more: Partial<ReleaseRequest> = {}) =>
    play(from, {
      kind: 'plan',
      at,
      request: { ...request(id, liveRollout(from)?.release.order ?? 1, 'removal'), gates: ['approvals'], ...more },
    });
  const approved = [answer('approvals')];
  const gone = (from: Placement, id: string, at: number) =>
    play(
      asked(from, id, at),
      { kind: 'gates', at, rollout: id, answers: approved },
      { kind: 'applied', at, rollout: id },
      { kind: 'ready', at, rollout: id, verifies: false },
    );
  const served = play(empty, ...brought('a', 1, 0), ...brought('b', 2, 10));

  it('waits for its gates, and ends as removed, from which nothing serves', () => {
    const waiting = asked(served, 'x', 20, { why: 'moved to the core' });
    expect(states(waiting)).toMatchObject({ b: 'healthy', x: 'planned' });
    expect(advance(waiting, { kind: 'gates', at: 21, rollout: 'x', answers: open }).refused).toBe('gate-closed');
    const begun = play(waiting, { kind: 'gates', at: 22, rollout: 'x', answers: approved });
    expect(findRollout(begun, 'x')).toMatchObject({ state: 'applying', release: release(2), from: 'release-2' });
    const removed = gone(served, 'x', 20);
    expect(findRollout(removed, 'x')?.steps.map(({ state }) => state)).toEqual([
      'planned',
      'applying',
      'progressing',
      'removed',
    ]);
    expect(liveRollout(removed)?.id).toBe('x');
    expect(openRollouts(removed)).toEqual([]);
  });

  it('is refused where nothing is, and where it is being done', () => {
    const plan = (from: Placement) =>
      advance(from, { kind: 'plan', at: 30, request: request('y', 1, 'removal') }).refused;
    expect(plan(empty)).toBe('not-there');
    expect(plan(play(asked(served, 'x', 20), { kind: 'gates', at: 21, rollout: 'x', answers: approved }))).toBe(
      'not-there',
    );
    expect(plan(gone(served, 'x', 20))).toBe('not-there');
  });

  it('keeps everything automatic away from when it is asked for, until a person brings the service in again', () => {
    const automatic = (from: Placement) =>
      advance(from, { kind: 'plan', at: 40, request: request('d', 4, 'automatic') }).refused;
    expect(automatic(asked(served, 'x', 20))).toBe('held');
    const removed = gone(served, 'x', 20);
    expect(automatic(removed)).toBe('held');
    expect(provenReleases(removed)).toEqual([]);
    const again = play(removed, ...brought('c', 2, 50));
    expect(states(again)).toMatchObject({ x: 'removed', c: 'healthy' });
    expect(findRollout(again, 'c')?.from).toBeUndefined();
    expect(holdsOn(again, 9, 60)).toEqual([]);
    expect(automatic(again)).toBeUndefined();
    expect(provenReleases(again)).toEqual([release(2)]);
  });

  it('replaces what waits, takes over from what is under way, and is replaced by what a person asks for later', () => {
    const staged = play(
      served,
      { kind: 'plan', at: 20, request: request('c', 3) },
      { kind: 'gates', at: 20, rollout: 'c', answers: open },
      { kind: 'plan', at: 21, request: request('d', 4) },
    );
    const waiting = asked(staged, 'x', 22);
    expect(states(waiting)).toMatchObject({ c: 'applying', d: 'superseded', x: 'planned' });
    expect(states(play(waiting, { kind: 'gates', at: 23, rollout: 'x', answers: approved }))).toMatchObject({
      c: 'superseded',
      x: 'applying',
    });
    expect(states(play(waiting, { kind: 'plan', at: 23, request: request('e', 4) }))).toMatchObject({
      x: 'superseded',
    });
  });

  it('that fails leaves things as they are for a person, who may go back', () => {
    const stuck = play(
      asked(served, 'x', 20),
      { kind: 'gates', at: 20, rollout: 'x', answers: approved },
      { kind: 'applied', at: 21, rollout: 'x' },
      { kind: 'tick', at: 200 },
    );
    expect(states(stuck)).toMatchObject({ x: 'failed' });
    expect(stuck.rollouts).toHaveLength(3);
    expect(holdsOn(stuck, 9, 201)).toHaveLength(1);
    expect(lastGoodRelease(stuck)).toEqual(release(2));
    const back = play(stuck, ...brought('r', 2, 210, 'rollback'));
    expect(states(back)).toMatchObject({ r: 'healthy', x: 'failed' });
    expect(states(play(stuck, { kind: 'plan', at: 210, request: request('y', 2, 'removal') }))).toMatchObject({
      y: 'planned',
    });
  });

  it('is not undone by the return of what failed behind it', () => {
    const failed = play(gone(served, 'x', 20), ...brought('c', 3, 30).slice(0, 3), {
      kind: 'failed',
      at: 31,
      rollout: 'c',
      why: 'crashes',
    });
    expect(states(failed)).toEqual({ a: 'healthy', b: 'healthy', x: 'removed', c: 'failed' });
  });
});

/** Happenings in any order, about rollouts that exist and some that do not, with times that also go back. */
const identifiers = ['a', 'b', 'c', 'd', 'e', 'a-return', 'b-return', 'c-return', 'nobody'];
const id = fc.constantFrom(...identifiers);
const gateAnswers = fc
  .subarray(['soak', 'provenance'])
  .chain((gates) => fc.tuple(...gates.map((gate) => fc.boolean().map((holds) => answer(gate, holds)))));
const at = fc.nat({ max: 3000 });
const inStage = fc.constantFrom(undefined, 0, 1);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        order: fc.integer({ min: 1, max: 4 }),
        kind: fc.constantFrom<RolloutKind>('automatic', 'promotion', 'rollback', 'removal'),
        onFailure: fc.constantFrom<Terms['onFailure']>('return', 'stop'),
        stages: fc.constantFrom(undefined, stages),
        at,
      })
      .map(({ id, order, kind, onFailure, stages, at }): Happening => {
        return { kind: 'plan', at, request: request(id, order, kind, { onFailure, stages }) };
      }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('gates' as const), at, rollout: id, answers: fc.constant(open) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('gates' as const), at, rollout: id, answers: gateAnswers }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('applied' as const), at, rollout: id, stage: inStage }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('ready' as const),
      at,
      rollout: id,
      stage: inStage,
      verifies: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('verified' as const), at, rollout: id, stage: inStage }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('failed' as const), at, rollout: id, why: fc.constant('x') }) },
  fc.record({ kind: fc.constant('cancel' as const), at, rollout: id, by: fc.constant('ada'), why: fc.constant('x') }),
  fc
    .record({ id: fc.constantFrom('h', 'i'), upTo: fc.option(fc.nat({ max: 4 }), { nil: undefined }), at })
    .map(({ id, upTo, at }): Happening => ({ kind: 'hold', at, hold: { id, upTo, by: 'ada', why: 'x' } })),
  fc
    .record({ hold: fc.constantFrom('h', 'a-hold', 'b-hold'), at })
    .map(({ hold, at }): Happening => ({ kind: 'lift', at, hold, by: 'ada', why: 'x' })),
  fc.record({ kind: fc.constant('tick' as const), at }),
);
const story = fc.array(happening, { maxLength: 60, size: 'max' });

/** What brings a release through its stages, each told up to twice or left out, with other happenings in between. */
const delivery: readonly Happening[] = [
  ...brought('a', 1, 0),
  { kind: 'plan', at: 1, request: request('b', 2, 'promotion', { stages, deadline: 9000 }) },
  { kind: 'gates', at: 1, rollout: 'b', answers: open },
  ...[0, 1, undefined].flatMap((stage, turn): Happening[] => [
    { kind: 'applied', at: 10, rollout: 'b', stage },
    { kind: 'ready', at: 10, rollout: 'b', stage, verifies: false },
    { kind: 'verified', at: 1000 * (turn + 1), rollout: 'b', stage },
  ]),
];
const deliveryStory = fc
  .tuple(
    ...delivery.map((each) =>
      fc.tuple(
        fc.constantFrom([each], [each, each], [each], [each], [each], []),
        fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.tuple(happening) }),
      ),
    ),
  )
  .map((parts) => parts.flat(2));

/** Each step of a story: before, what happened, after. */
function steps(happenings: readonly Happening[]): { before: Placement; happened: Happening; after: Placement }[] {
  let before = empty;
  return happenings.map((happened) => {
    const after = advance(before, happened).placement;
    const step = { before, happened, after };
    before = after;
    return step;
  });
}

const runs = { numRuns: 600 };

describe('over any order of happenings', () => {
  it('there are never two active rollouts', () => {
    fc.assert(
      fc.property(story, (happenings) => {
        for (const { after } of steps(happenings)) {
          const active = after.rollouts.filter(isActive);
          expect(active.length).toBeLessThanOrEqual(1);
          if (active[0] !== undefined) expect(liveRollout(after)).toBe(active[0]);
        }
      }),
      runs,
    );
  });

  it('nothing starts but by answers in which each of its gates holds', () => {
    fc.assert(
      fc.property(story, (happenings) => {
        for (const { before, happened, after } of steps(happenings)) {
          for (const rollout of after.rollouts) {
            const was = findRollout(before, rollout.id);
            if (!hasStarted(rollout) || (was && hasStarted(was))) continue;
            expect(happened).toMatchObject({ kind: 'gates', rollout: rollout.id });
            if (happened.kind !== 'gates') continue;
            for (const gate of rollout.gates) {
              const said = happened.answers.filter((each) => each.gate === gate);
              expect(said.length > 0 && said.every(({ holds }) => holds)).toBe(true);
            }
            if (rollout.kind === 'automatic') {
              expect(holdsOn(before, rollout.release.order, happened.at)).toEqual([]);
            }
          }
        }
      }),
      runs,
    );
  });

  it('no record is lost or rewritten, and every change of state is one of the table', () => {
    fc.assert(
      fc.property(story, (happenings) => {
        for (const { before, after } of steps(happenings)) {
          expect(after.rollouts.slice(0, before.rollouts.length).map((each) => each.id)).toEqual(
            before.rollouts.map((each) => each.id),
          );
          for (const [index, was] of before.rollouts.entries()) {
            const now = after.rollouts[index]!;
            expect(now.steps.slice(0, was.steps.length)).toEqual(was.steps);
            expect([now.release, now.kind, now.by, now.gates, now.terms]).toEqual([
              was.release,
              was.kind,
              was.by,
              was.gates,
              was.terms,
            ]);
            let state = was.state;
            for (const step of now.steps.slice(was.steps.length)) {
              expect(transitions[state]).toContain(step.state);
              state = step.state;
            }
            expect(now.state).toBe(state);
          }
          for (const [index, was] of before.holds.entries()) {
            const { ended, ...rest } = after.holds[index]!;
            expect(rest).toMatchObject({ id: was.id, by: was.by, why: was.why, at: was.at });
            if (was.ended !== undefined) expect(ended).toEqual(was.ended);
          }
          expect(new Set(after.rollouts.map((each) => each.id)).size).toBe(after.rollouts.length);
          for (const { steps: all } of after.rollouts) {
            expect(all.every((step, index) => index === 0 || step.at >= all[index - 1]!.at)).toBe(true);
          }
        }
      }),
      runs,
    );
  });

  it('stages follow each other, each lasts its time, and the whole comes after the last', () => {
    let whole = 0;
    fc.assert(
      fc.property(deliveryStory, (happenings) => {
        for (const { before, after } of steps(happenings)) {
          for (const now of after.rollouts) {
            const was = findRollout(before, now.id);
            if (was === undefined || !hasStarted(was) || was.stage === now.stage) continue;
            expect(was.state).toBe('verifying');
            expect(was.terms.stages).toEqual(stages);
            expect(now.state).toBe('applying');
            expect(now.stage).toBe(was.stage === 0 ? 1 : undefined);
            expect(now.steps.at(-1)?.at).toBeGreaterThanOrEqual(stageEnds(was)!);
            if (now.stage === undefined) whole++;
          }
        }
      }),
      runs,
    );
    // The stories reach what this is about.
    expect(whole).toBeGreaterThan(0);
  });

  it('whatever is told twice changes nothing the second time', () => {
    fc.assert(
      fc.property(story, (happenings) => {
        for (const { happened, after } of steps(happenings)) {
          expect(advance(after, happened).placement).toEqual(after);
        }
      }),
      runs,
    );
  });

  it('every rollout ends when time passes and nothing else happens', () => {
    fc.assert(
      fc.property(story, (happenings) => {
        let placement = play(empty, ...happenings);
        let now = 3000;
        // A failure may bring a way back with it, and that one ends as well: more rounds than that are not needed.
        for (let round = 0; round < 3 && !placement.rollouts.every(hasEnded); round++) {
          now = Math.max(now, ...placement.rollouts.filter((each) => !hasEnded(each)).map(({ due }) => due));
          placement = play(placement, { kind: 'tick', at: now });
        }
        expect(placement.rollouts.every(hasEnded)).toBe(true);
      }),
      runs,
    );
  });

  it('one that has not ended waits or is the active one, and has a moment at which it ends', () => {
    fc.assert(
      fc.property(story, (happenings) => {
        const placement = play(empty, ...happenings);
        const open = placement.rollouts.filter((each) => !hasEnded(each));
        const active = activeRollout(placement);
        const waiting = waitingRollouts(placement);
        // So whoever was killed asks for these two and goes on.
        expect([...(active === undefined ? [] : [active.id]), ...waiting.map((each) => each.id)].sort()).toEqual(
          open.map((each) => each.id).sort(),
        );
        const moment = nextMoment(placement, 0);
        for (const { due } of open) expect(moment).toBeLessThanOrEqual(due);
        expect(waiting.length).toBeLessThanOrEqual(2);
      }),
      runs,
    );
  });

  it('what was removed comes back only by a person', () => {
    let removals = 0;
    fc.assert(
      fc.property(story, (happenings) => {
        for (const { before, after } of steps(happenings)) {
          const out = liveRollout(before);
          if (out === undefined || !isRemoval(out)) continue;
          removals++;
          const now = liveRollout(after);
          if (now === undefined || now.id === out.id) continue;
          // Who lifts its hold says that it may come back by itself.
          const lifted = before.holds.some(({ id, ended }) => id === `${out.id}-hold` && ended !== undefined);
          if (!lifted) expect(['promotion', 'rollback', 'removal']).toContain(now.kind);
        }
      }),
      runs,
    );
    expect(removals).toBeGreaterThan(0);
  });

  it('a release that failed here is never brought in automatically again', () => {
    fc.assert(
      fc.property(story, (happenings) => {
        for (const { before, after } of steps(happenings)) {
          for (const rollout of after.rollouts.slice(before.rollouts.length)) {
            if (rollout.kind !== 'automatic') continue;
            const tried = before.rollouts.filter(hasStarted).map((each) => each.release.order);
            expect(rollout.release.order).toBeGreaterThan(Math.max(-1, ...tried));
          }
        }
      }),
      runs,
    );
  });
});
