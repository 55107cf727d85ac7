import { baseRollout, goesBack, hasStarted, isRemoval, liveRollout } from './state.ts';
import type { Placement, ReleaseRef, Rollout } from './types.ts';

/**
 * Releases that the environment can go back to, the best one first: they were healthy here, other than what is there now, and
 * were not themselves rolled back from since. So a second rollback goes further back, never forth again.
 */
export function goodReleases(placement: Placement): readonly ReleaseRef[] {
  const last = liveRollout(placement);
  const live = last === undefined || isRemoval(last) ? undefined : last.release.id;
  const judged = new Map<string, Rollout>();
  const deployed = new Map<string, number>();
  placement.rollouts.forEach((rollout, index) => {
    const { id } = rollout.release;
    // Where a rollout failed, was cancelled or superseded, that says nothing of when it was healthy before.
    const wasHealthy = rollout.steps.some(({ state }) => state === 'healthy');
    if (!wasHealthy && rollout.state !== 'rolled-back') return;
    judged.set(id, rollout);
    // The place of a release in time is where it was last brought forward: going back to it does not make it newer.
    if (wasHealthy && (!goesBack(rollout) || !deployed.has(id))) deployed.set(id, index);
  });
  return [...judged.values()]
    .filter(({ state, release }) => state === 'healthy' && release.id !== live)
    .sort((a, b) => (deployed.get(b.release.id) ?? 0) - (deployed.get(a.release.id) ?? 0))
    .map(({ release }) => release);
}

/**
 * What a return goes to: what served when the rollout began, where that was healthy; else the best of those that were. Where the
 * service had been removed before, there is nothing to go to.
 */
export function releaseBefore(placement: Placement, rollout: Rollout): ReleaseRef | undefined {
  const base = baseRollout(placement, rollout.started);
  if (base !== undefined && isRemoval(base)) return undefined;
  return base?.state === 'healthy' && base.release.id !== rollout.release.id
    ? base.release
    : lastGoodRelease(placement);
}

/** What a plain `banksman rollback` goes to; from a stage that is what serves beside it. */
export function lastGoodRelease(placement: Placement): ReleaseRef | undefined {
  if (liveRollout(placement)?.stage !== undefined) {
    const base = baseRollout(placement);
    if (base?.state === 'healthy') return base.release;
  }
  return goodReleases(placement)[0];
}

/** The newest place of a release that was started here: automatic rollouts only go on from there. */
export function newestStarted({ rollouts }: Placement): number {
  return rollouts.filter(hasStarted).reduce((newest, { release }) => Math.max(newest, release.order), -1);
}
