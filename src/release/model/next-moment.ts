import { isInForce } from './hold.ts';
import { stageEnds } from './stage.ts';
import { hasEnded, isWaiting } from './state.ts';
import type { Placement, Time } from './types.ts';

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
