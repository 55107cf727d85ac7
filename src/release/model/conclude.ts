import { enter, findRollout, replace } from './change.ts';
import { addHold, endHold, endPassedHolds } from './hold.ts';
import { releaseBefore } from './rollback.ts';
import { goesBack, hasStarted, isActive, isRemoval, isWaiting } from './state.ts';
import type { Placement, Rollout, Time } from './types.ts';

/** It serves, or it is gone. Holds that it has passed end; where it went back, what was left is marked. */
export function succeed(placement: Placement, rollout: Rollout, at: Time): Placement {
  if (isRemoval(rollout)) return replace(placement, enter(rollout, 'removed', at));
  const healthy = endRemovalHolds(replace(placement, enter(rollout, 'healthy', at)), rollout, at);
  return goesBack(rollout) ? markLeft(healthy, rollout, at) : endPassedHolds(healthy, rollout, at);
}

/** A person has brought the service in again: that it was once removed keeps nothing away any more. */
function endRemovalHolds(placement: Placement, { release }: Rollout, at: Time): Placement {
  const why = `brought in again by release ${release.id.slice(0, 12)}`;
  return placement.rollouts
    .filter(isRemoval)
    .map(({ id }) => `${id}-hold`)
    .filter((id) => placement.holds.some((hold) => hold.id === id && hold.ended === undefined))
    .reduce((next, id) => endHold(next, id, { at, by: 'banksman', why }), placement);
}

function markLeft(placement: Placement, back: Rollout, at: Time): Placement {
  const left = placement.rollouts.findLast(
    (other) =>
      other.id !== back.id &&
      !isRemoval(other) &&
      other.release.id === back.from &&
      other.release.id !== back.release.id &&
      (other.state === 'healthy' || other.state === 'failed') &&
      (other.started ?? 0) < (back.started ?? 0),
  );
  if (left === undefined) return placement;
  return replace(placement, enter(left, 'rolled-back', at, `to release ${back.release.id.slice(0, 12)}`));
}

/**
 * It will not serve. Where it has changed objects, the environment goes back to the last healthy release if its terms say so,
 * and nothing automatic brings this release in again. From a stage it always goes back, since what serves beside has not changed. A
 * way back that fails is not followed by another: a person is needed.
 *
 * @param state how it ends; `cancelled` where a person stopped it half-way
 */
export function giveUp(
  placement: Placement,
  rollout: Rollout,
  state: 'failed' | 'cancelled',
  at: Time,
  why: string,
): Placement {
  const started = hasStarted(rollout);
  const ended = replace(placement, enter(rollout, state, at, why));
  if (!started) return ended;
  const held = addHold(ended, {
    id: `${rollout.id}-hold`,
    by: 'banksman',
    why: `rollout ${rollout.id} ${state === 'failed' ? 'failed' : 'was cancelled'}: ${why}`,
    at,
    upTo: rollout.release.order,
  });
  // What was to go is not brought back by anybody but a person.
  if (isRemoval(rollout)) return held;
  if (goesBack(rollout) || (rollout.terms.onFailure === 'stop' && rollout.stage === undefined)) return held;
  const to = releaseBefore(held, rollout);
  const id = `${rollout.id}-return`;
  // A person who is on the way back already knows where to.
  const goingBack = held.rollouts.some((other) => goesBack(other) && (isWaiting(other) || isActive(other)));
  if (to === undefined || goingBack || findRollout(held, id) !== undefined) return held;
  const back: Rollout = {
    id,
    release: to,
    kind: 'return',
    by: 'banksman',
    why: `rollout ${rollout.id} ${state}`,
    ...(rollout.trace !== undefined && { trace: rollout.trace }),
    gates: rollout.terms.returnGates,
    terms: rollout.terms,
    state: 'planned',
    due: at + rollout.terms.patience,
    answers: [],
    steps: [{ state: 'planned', at, why: `rollout ${rollout.id} ${state}` }],
  };
  return { ...held, rollouts: [...held.rollouts, back] };
}
