import type { Placement, Rollout, RolloutState } from './types.ts';

/** Every change of state that there is. The property tests check each step against it. */
export const transitions: Readonly<Record<RolloutState, readonly RolloutState[]>> = {
  planned: ['gated', 'applying', 'superseded', 'cancelled'],
  gated: ['applying', 'superseded', 'cancelled'],
  applying: ['progressing', 'failed', 'superseded', 'cancelled'],
  progressing: ['verifying', 'healthy', 'removed', 'failed', 'superseded', 'cancelled'],
  // From a stage to the next one, or to the whole.
  verifying: ['applying', 'healthy', 'failed', 'superseded', 'cancelled'],
  healthy: ['rolled-back'],
  failed: ['rolled-back'],
  removed: [],
  'rolled-back': [],
  superseded: [],
  cancelled: [],
};

export function isWaiting({ state }: Pick<Rollout, 'state'>): boolean {
  return state === 'planned' || state === 'gated';
}

/** It changes objects, or judges what it has changed. A service has at most one such rollout in an environment. */
export function isActive({ state }: Pick<Rollout, 'state'>): boolean {
  return state === 'applying' || state === 'progressing' || state === 'verifying';
}

export function hasEnded(rollout: Pick<Rollout, 'state'>): boolean {
  return !isWaiting(rollout) && !isActive(rollout);
}

/** It has changed objects, or was about to. */
export function hasStarted({ started }: Pick<Rollout, 'started'>): boolean {
  return started !== undefined;
}

/** It goes to a release that was there before. */
export function goesBack({ kind }: Pick<Rollout, 'kind'>): boolean {
  return kind === 'rollback' || kind === 'return';
}

/** It takes the service out of the environment. */
export function isRemoval({ kind }: Pick<Rollout, 'kind'>): boolean {
  return kind === 'removal';
}

/** Somebody has asked for the service to be taken out, and that has not ended. */
export function isBeingRemoved({ rollouts }: Placement): boolean {
  return rollouts.some((rollout) => isRemoval(rollout) && !hasEnded(rollout));
}

export function activeRollout({ rollouts }: Placement): Rollout | undefined {
  return rollouts.find(isActive);
}

export function waitingRollouts({ rollouts }: Placement): readonly Rollout[] {
  return rollouts.filter(isWaiting);
}

/** The last rollout, before one, that was to apply all its objects: what serves beside a stage. */
export function baseRollout({ rollouts }: Placement, before = Number.POSITIVE_INFINITY): Rollout | undefined {
  return rollouts
    .filter(({ started, stage }) => started !== undefined && started < before && stage === undefined)
    .reduce<Rollout | undefined>(
      (last, each) => ((each.started ?? 0) > (last?.started ?? -1) ? each : last),
      undefined,
    );
}

/** The rollout that started last. Its objects are in the cluster, unless it is a removal. */
export function liveRollout({ rollouts }: Placement): Rollout | undefined {
  let live: Rollout | undefined;
  for (const rollout of rollouts) {
    if (rollout.started !== undefined && rollout.started > (live?.started ?? -1)) live = rollout;
  }
  return live;
}

/** The rollout whose objects are in the cluster; undefined where there are none: never brought in, or removed since. */
export function presentRollout(placement: Placement): Rollout | undefined {
  const live = liveRollout(placement);
  return live?.state === 'removed' ? undefined : live;
}
