import { isInForce } from './hold.ts';
import { stageEnds } from './stage.ts';
import { hasEnded, isActive, isWaiting } from './state.ts';
import type { Placement, Rollout, Time } from './types.ts';

/** What has to be done next for a rollout, in its `stage` where it has one. Each may be done again after a kill. */
export interface Work {
  readonly do: 'look-at-gates' | 'apply' | 'watch' | 'verify';
  readonly rollout: Rollout;
}

/**
 * What a placement asks for now, from its data alone: whoever takes over after a kill asks the same question and goes on.
 * The one that is under way comes first.
 */
export function workOf({ rollouts }: Placement): readonly Work[] {
  const active = rollouts.filter(isActive).map((rollout): Work => {
    if (rollout.state === 'applying') return { do: 'apply', rollout };
    return { do: rollout.state === 'progressing' ? 'watch' : 'verify', rollout };
  });
  const waiting = rollouts.filter(isWaiting).map((rollout): Work => ({ do: 'look-at-gates', rollout }));
  return [...active, ...waiting];
}

/** When something happens by itself: a deadline, a stage's, a hold's or a gate's time. Undefined where nothing will. */
export function nextMoment({ rollouts, holds }: Placement, now: Time): Time | undefined {
  const open = rollouts.filter((rollout) => !hasEnded(rollout));
  const moments = [
    ...open.map(({ due }) => due),
    ...open.flatMap((rollout) => stageEnds(rollout) ?? []).filter((ends) => ends > now),
    ...open.filter(isWaiting).flatMap(({ answers }) => answers.flatMap(({ opensAt }) => opensAt ?? [])),
    ...holds.flatMap((hold) => (isInForce(hold, now) ? (hold.until ?? []) : [])),
  ];
  return moments.length === 0 ? undefined : Math.min(...moments);
}
