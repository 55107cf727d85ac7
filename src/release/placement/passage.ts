import type { Label } from '../../graph/index.ts';
import type { Placement, Rollout, Step } from '../model/index.ts';

/** A rollout has come from one state into another. */
export interface Passage {
  readonly service: Label;
  readonly environment: string;
  /** As it is after all that happened at once. */
  readonly rollout: Rollout;
  /** Undefined for the first. */
  readonly from?: Step | undefined;
  readonly to: Step;
  /** Place of `to` among the rollout's steps. */
  readonly place: number;
}

/** What came between two looks at a placement, in the order of its rollouts. */
export function passagesBetween(before: Placement, { service, environment, rollouts }: Placement): Passage[] {
  return rollouts.flatMap((rollout, index) => {
    const known = before.rollouts[index]?.steps.length ?? 0;
    return rollout.steps.slice(known).map((to, more) => {
      const place = known + more;
      return { service, environment, rollout, from: rollout.steps[place - 1], to, place };
    });
  });
}
