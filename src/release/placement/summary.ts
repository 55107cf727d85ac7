import {
  activeRollout,
  type Hold,
  liveRollout,
  type Placement,
  type ReleaseRef,
  type Rollout,
  type RolloutKind,
  type RolloutState,
  type Time,
  waitingRollouts,
} from '../model/index.ts';

/** What a list shows of a placement. */
export interface PlacementSummary {
  /** The rollout whose objects are in the cluster. */
  readonly live?: LiveSummary | undefined;
  /** What is under way or waits, the one under way first. */
  readonly open: readonly OpenSummary[];
  /** Those that nobody has ended; one whose time has passed may be among them. */
  readonly holds: readonly Hold[];
}

export interface LiveSummary {
  readonly rollout: string;
  readonly release: ReleaseRef;
  readonly kind: RolloutKind;
  readonly by: string;
  readonly state: RolloutState;
  /** Since when it is in its state. */
  readonly since: Time;
}

export interface OpenSummary extends LiveSummary {
  readonly due: Time;
  /** Gates that did not hold when they were last looked at. */
  readonly shut: readonly string[];
}

export function summaryOf(placement: Placement): PlacementSummary {
  const live = liveRollout(placement);
  const active = activeRollout(placement);
  const open = [...(active === undefined ? [] : [active]), ...waitingRollouts(placement)];
  return {
    ...(live !== undefined && { live: liveSummary(live) }),
    open: open.map((rollout) => ({
      ...liveSummary(rollout),
      due: rollout.due,
      shut: rollout.answers.filter(({ holds }) => !holds).map(({ gate }) => gate),
    })),
    holds: placement.holds.filter(({ ended }) => ended === undefined),
  };
}

function liveSummary({ id, release, kind, by, state, steps }: Rollout): LiveSummary {
  const since = steps.findLast((step) => step.state === state)?.at ?? 0;
  return { rollout: id, release: { id: release.id, order: release.order }, kind, by, state, since };
}

/** When the last of its holds ends: `infinity` where one does not end by itself, undefined where there is none. */
export function heldUntil({ holds }: PlacementSummary): string | undefined {
  const ends = holds.map(({ until }) => until ?? Number.POSITIVE_INFINITY);
  if (ends.length === 0) return undefined;
  const last = Math.max(...ends);
  return Number.isFinite(last) ? new Date(last).toISOString() : 'infinity';
}
