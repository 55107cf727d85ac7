import { holdsOn } from './hold.ts';
import { newestStarted } from './rollback.ts';
import { isRemoval, liveRollout, waitingRollouts } from './state.ts';
import type { Placement, ReleaseRef, Time } from './types.ts';

/** The release that a placement serves: healthy, and nothing started since. */
export function healthyRelease(placement: Placement): ReleaseRef | undefined {
  const live = liveRollout(placement);
  return live?.state === 'healthy' ? live.release : undefined;
}

/** What was ever healthy here and was not rolled back from, the newest first: what the environment behind may take. */
export function provenReleases({ rollouts }: Placement): readonly ReleaseRef[] {
  const last = new Map<string, { readonly release: ReleaseRef; readonly good: boolean }>();
  // What was proven before the service was removed is not what the environment stands for any more.
  const removed = Math.max(-1, ...rollouts.filter(isRemoval).map(({ started = -1 }) => started));
  for (const { release, state, steps, started = -1 } of rollouts) {
    if (started < removed) continue;
    if (steps.some((step) => step.state === 'healthy') || state === 'rolled-back') {
      last.set(release.id, { release, good: state === 'healthy' });
    }
  }
  return [...last.values()]
    .filter(({ good }) => good)
    .map(({ release }) => release)
    .sort((a, b) => b.order - a.order);
}

/**
 * The release that an automatic environment asks for next: the newest whose gates are open, so that frequent releases with a long
 * soak do not keep each other out for ever; else the newest, to wait for its gates.
 *
 * @param candidates what the environment may take
 * @param isOpen whether all gates of a release hold now
 * @returns undefined where nothing is to be asked for: nothing newer, held, or it waits already
 */
export function nextAutomatic(
  placement: Placement,
  candidates: readonly ReleaseRef[],
  isOpen: (release: ReleaseRef) => boolean,
  now: Time,
): ReleaseRef | undefined {
  const newest = newestStarted(placement);
  const eligible = candidates
    .filter(({ order }) => order > newest && holdsOn(placement, order, now).length === 0)
    .sort((a, b) => b.order - a.order);
  const chosen = eligible.find(isOpen) ?? eligible[0];
  if (chosen === undefined) return undefined;
  const waits = waitingRollouts(placement).some(
    ({ release, kind }) =>
      (release.id === chosen.id && (kind === 'automatic' || kind === 'promotion')) ||
      // What a person asked for is not pushed aside by what nobody asked for.
      kind === 'promotion' ||
      kind === 'removal',
  );
  return waits ? undefined : chosen;
}
