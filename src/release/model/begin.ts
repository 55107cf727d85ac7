import { enter, findRollout, replace, replaceAll } from './change.ts';
import { addHold, isHeld } from './hold.ts';
import { newestStarted } from './rollback.ts';
import { enterStage, firstStage } from './stage.ts';
import {
  activeRollout,
  goesBack,
  hasStarted,
  isActive,
  isBeingRemoved,
  isRemoval,
  isWaiting,
  liveRollout,
} from './state.ts';
import type { GateAnswer, Hold, Outcome, Placement, ReleaseRequest, Rollout, Time } from './types.ts';

/**
 * A release is asked for. It waits for its gates; nothing that is under way is touched before they open. One that waits
 * already in the same direction is superseded.
 */
export function plan(placement: Placement, request: ReleaseRequest, at: Time): Outcome {
  if (findRollout(placement, request.id) !== undefined) return { placement, refused: 'known' };
  const live = liveRollout(placement);
  const leaves = live !== undefined && isRemoval(live) && (live.state === 'removed' || isActive(live));
  if (request.kind === 'removal') {
    if (live === undefined || leaves) return { placement, refused: 'not-there' };
  } else if (
    live?.release.id === request.release.id &&
    !isRemoval(live) &&
    (live.state === 'healthy' || isActive(live))
  ) {
    return { placement, refused: 'already-there' };
  }
  if (request.kind === 'automatic') {
    if (isBeingRemoved(placement)) return { placement, refused: 'held' };
    if (request.release.order <= newestStarted(placement)) return { placement, refused: 'older' };
    if (isHeld(placement, request, at)) return { placement, refused: 'held' };
  }
  const back = goesBack(request);
  const rollout: Rollout = {
    ...request,
    state: 'planned',
    due: at + request.terms.patience,
    answers: [],
    steps: [{ state: 'planned', at, ...(request.why !== undefined && { why: request.why }) }],
  };
  const cleared = replaceAll(
    placement,
    (other) => isWaiting(other) && goesBack(other) === back,
    (other) => enter(other, 'superseded', at, `by rollout ${request.id}`),
  );
  const planned = { ...cleared, rollouts: [...cleared.rollouts, rollout] };
  return { placement: request.kind === 'rollback' ? leave(planned, rollout, at) : planned };
}

/** A person goes back: nothing automatic brings what is left, or anything before it, in again. */
function leave(placement: Placement, rollout: Rollout, at: Time): Placement {
  const left = Math.max(newestStarted(placement), liveRollout(placement)?.release.order ?? 0);
  const stopped = replaceAll(
    placement,
    (other) => isWaiting(other) && !goesBack(other) && other.release.order <= left,
    (other) => enter(other, 'superseded', at, `by rollback ${rollout.id}`),
  );
  return addHold(stopped, {
    id: `${rollout.id}-hold`,
    by: rollout.by,
    why: rollout.why ?? `rolled back to release ${rollout.release.id.slice(0, 12)}`,
    at,
    upTo: left,
  });
}

/**
 * The gates were looked at. The rollout starts when every gate that it needs is among the answers and holds; then it takes over
 * from whatever is under way.
 */
export function pass(placement: Placement, id: string, answers: readonly GateAnswer[], at: Time): Outcome {
  const rollout = findRollout(placement, id);
  if (rollout === undefined) return { placement, refused: 'unknown-rollout' };
  if (!isWaiting(rollout)) return { placement, refused: 'wrong-state' };
  if (at >= rollout.due) return { placement, refused: 'wrong-state' };
  const open = new Set(answers.filter(({ holds }) => holds).map(({ gate }) => gate));
  const shut = new Set(answers.filter(({ holds }) => !holds).map(({ gate }) => gate));
  const held = isHeld(placement, rollout, at);
  if (held || !rollout.gates.every((gate) => open.has(gate) && !shut.has(gate))) {
    const waiting = rollout.state === 'planned' ? enter(rollout, 'gated', at) : rollout;
    return { placement: replace(placement, { ...waiting, answers }), refused: held ? 'held' : 'gate-closed' };
  }
  return { placement: start(placement, rollout, answers, at) };
}

function start(placement: Placement, rollout: Rollout, answers: readonly GateAnswer[], at: Time): Placement {
  const live = liveRollout(placement);
  // Behind a removal that was carried out there is nothing.
  const from = live?.state === 'removed' ? undefined : live?.release.id;
  const active = activeRollout(placement);
  const why = `by rollout ${rollout.id}`;
  // A person's way back ends only by another person's wish.
  const passes = (other: Rollout) => other.kind === 'return' || rollout.kind === 'promotion' || isRemoval(rollout);
  const alone = replaceAll(
    placement,
    (other) =>
      other.id !== rollout.id &&
      // One that goes on has decided against going back; one that goes back leaves a newer fix in its place.
      (other === active || (isWaiting(other) && goesBack(other) && !goesBack(rollout) && passes(other))),
    (other) => enter(other, 'superseded', at, why),
  );
  const started = placement.rollouts.filter(hasStarted).length;
  const starting = { ...rollout, answers, started, ...(from !== undefined && { from }) };
  const entered = replace(alone, enterStage(starting, firstStage(alone, rollout), at));
  return isRemoval(rollout) ? addHold(entered, removalHold(rollout, at)) : entered;
}

/** What a person took out, nothing automatic brings in again. */
function removalHold({ id, by, why }: Rollout, at: Time): Hold {
  return { id: `${id}-hold`, by, why: `removed${why === undefined ? '' : `: ${why}`}`, at };
}
