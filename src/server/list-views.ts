import {
  type ListedPlacement,
  type ListedRelease,
  type ListedService,
  model,
  type PastRollout,
} from '../release/index.ts';
import { holdView, rolloutView } from './views.ts';

const iso = (time: number) => new Date(time).toISOString();

function listedReleaseView({ id, order, commit, madeAt }: ListedRelease) {
  return { id, order, commit, madeAt: iso(madeAt) };
}

export function serviceView({ service, kind, owner, newest, gone }: ListedService) {
  return {
    service,
    kind,
    ...(owner !== undefined && { owner }),
    newest: listedReleaseView(newest),
    ...(gone !== undefined && { gone: { commit: gone.commit, at: iso(gone.at) } }),
  };
}

/** What runs, since when, what is under way or waits, and what holds it. */
export function listedPlacementView({ summary, live }: ListedPlacement, newest: number, now: number) {
  const last = summary.live;
  const running = last?.state === 'removed' ? undefined : last;
  return {
    state: last?.state ?? ('absent' as const),
    ...(last !== running &&
      last !== undefined && {
        removed: { release: last.release, rollout: last.rollout, by: last.by, since: iso(last.since) },
      }),
    ...(running !== undefined && {
      live: {
        release: live === undefined ? running.release : listedReleaseView(live),
        rollout: running.rollout,
        kind: running.kind,
        by: running.by,
        since: iso(running.since),
      },
      behind: Math.max(0, newest - running.release.order),
    }),
    open: summary.open.map(({ since, due, ...rollout }) => ({ ...rollout, since: iso(since), due: iso(due) })),
    held: summary.holds.filter((hold) => model.isInForce(hold, now)).map(holdView),
  };
}

export function pastRolloutView({ rollout, commit, authors }: PastRollout) {
  return {
    ...rolloutView(rollout),
    ...(commit !== undefined && { commit }),
    ...(authors !== undefined && { authors }),
  };
}
