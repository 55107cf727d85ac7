import type { Environment } from '../../graph/index.ts';
import { activeRollout, isInForce, liveRollout, type Placement, type ReleaseRef } from '../model/index.ts';

/** Corrections of one object after which it is left: somebody else sets it as often as we do. */
export const enough = 5;
/** Milliseconds in which they count. */
export const within = 3_600_000;

/** The release whose objects should be there; undefined while a rollout changes them, and where the last one did not succeed. */
export function settledRelease(placement: Placement): ReleaseRef | undefined {
  if (activeRollout(placement) !== undefined) return undefined;
  const live = liveRollout(placement);
  return live?.state === 'healthy' ? live.release : undefined;
}

/**
 * Why an object that drifted is left as it is; undefined where it is put right. A hold of everything holds corrections too; one that
 * keeps certain releases away does not.
 *
 * @param corrections when it was put right before
 */
export function whyLeft(
  { drift = 'report' }: Pick<Environment, 'drift'>,
  placement: Placement,
  corrections: readonly number[],
  holder: string | undefined,
  now: number,
): string | undefined {
  if (drift === 'report') return 'the environment only reports';
  const hold = placement.holds.find((each) => each.upTo === undefined && isInForce(each, now));
  if (hold !== undefined) return `held by ${hold.by}: ${hold.why}`;
  if (recent(corrections, now).length >= enough) {
    return `it was put right ${enough} times within an hour and is changed again${holder === undefined ? '' : ` by ${holder}`}`;
  }
  return undefined;
}

export function recent(corrections: readonly number[], now: number): readonly number[] {
  return corrections.filter((at) => now - at < within);
}
