import { type GateAnswer, isRemoval, type Placement, type ReleaseRef, type Time } from '../model/index.ts';
import { told } from './length.ts';

/**
 * The release has served upstream, healthy, for a time. Times before a later release took its place count too: where releases
 * follow each other quickly, those that were long enough there may go on.
 *
 * @param duration milliseconds
 */
export function soak(
  gate: string,
  duration: number,
  release: ReleaseRef,
  upstream: Placement | undefined,
  now: Time,
): GateAnswer {
  const where = upstream?.environment ?? 'the environment before';
  const spans = upstream === undefined ? [] : healthySpans(upstream, release.id, now);
  if (spans === 'removed') {
    const opens = `be brought into ${where} again, and be healthy there for ${told(duration)}`;
    return { gate, holds: false, reason: `the service was removed from ${where}`, opens };
  }
  if (spans === 'rolled-back') {
    return {
      gate,
      holds: false,
      reason: `${where} was brought back from this release`,
      opens: `a newer release that is healthy in ${where}`,
    };
  }
  let total = 0;
  for (const { from, until } of spans) {
    if (total + (until - from) >= duration) {
      return { gate, holds: true, reason: `healthy in ${where} for ${told(duration)}`, since: from + duration - total };
    }
    total += until - from;
  }
  const missing = duration - total;
  const serves = spans.at(-1)?.open === true;
  if (serves) {
    return {
      gate,
      holds: false,
      reason: `healthy in ${where} for ${told(total)} of ${told(duration)}`,
      since: spans.at(-1)?.from,
      opens: `${told(missing)} more in ${where}`,
      opensAt: now + missing,
    };
  }
  const reason =
    total > 0
      ? `healthy in ${where} for ${told(total)} of ${told(duration)}, and not there now`
      : `not healthy in ${where} yet`;
  return { gate, holds: false, reason, opens: `be healthy in ${where} for ${told(missing)}` };
}

interface Span {
  readonly from: Time;
  readonly until: Time;
  readonly open: boolean;
}

/** When a release served: from healthy until the next rollout began to change objects. */
function healthySpans({ rollouts }: Placement, id: string, now: Time): readonly Span[] | 'rolled-back' | 'removed' {
  const started = rollouts
    .filter((rollout) => rollout.started !== undefined)
    .toSorted((a, b) => (a.started ?? 0) - (b.started ?? 0));
  const spans: Span[] = [];
  let left = false;
  // What was before the service was removed there says nothing any more.
  const removed = started.findLastIndex(isRemoval);
  if (removed !== -1 && removed === started.length - 1) return 'removed';
  started.forEach(({ release, steps, state }, index) => {
    if (release.id !== id || index <= removed) return;
    const healthy = steps.find((step) => step.state === 'healthy')?.at;
    if (healthy === undefined && state !== 'rolled-back') return;
    left = state === 'rolled-back';
    if (healthy === undefined) return;
    const next = started[index + 1]?.steps.find((step) => step.state === 'applying')?.at;
    const until = Math.max(healthy, next ?? now);
    spans.push({ from: healthy, until, open: next === undefined });
  });
  return left ? 'rolled-back' : spans;
}
