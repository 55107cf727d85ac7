import type { ProcessStatus } from './types.ts';

/** What the supervisor remembers of one process. */
export interface Health {
  readonly phase: ProcessStatus['state'];
  /** Since when it is in this phase: milliseconds of a clock that never goes back. */
  readonly since: number;
  /** Ends in a row, each soon after the start. */
  readonly failures: number;
  /** Starts after the first. */
  readonly restarts: number;
  /** It isn't started before this time. */
  readonly notBefore: number;
  readonly reason: string | undefined;
}

/** What the supervisor sees of it now. */
export interface Observation {
  readonly now: number;
  readonly alive: boolean;
  /** All that it needs is ready. */
  readonly needsReady: boolean;
  /** Answer to the last probe; undefined where none has ended since the start. */
  readonly probe: 'ready' | { readonly reason: string } | undefined;
  /** How it ended, where that is known. */
  readonly ended?: string;
}

export type Action = 'none' | 'start' | 'kill';

/** Milliseconds. */
export const patience = {
  /** A process that isn't ready so long after its start is started anew. */
  start: 90_000,
  /** Likewise one that was ready and doesn't answer, while all that it needs does. */
  unwell: 30_000,
  /** A process that has lived so long has not failed at its start. */
  settled: 20_000,
  /** Pause after the second end in a row; doubled at each further one. */
  firstPause: 200,
  longestPause: 10_000,
} as const;

export function initialHealth(now: number): Health {
  return { phase: 'waiting', since: now, failures: 0, restarts: -1, notBefore: 0, reason: undefined };
}

/** A process that was found alive: it was started by a supervisor that has died. */
export function adopted(now: number, restarts: number): Health {
  return { phase: 'starting', since: now, failures: 0, restarts, notBefore: 0, reason: undefined };
}

/**
 * Decides for one process. The first end of a process that had settled is answered at once; ends in a row wait
 * for longer and longer, so that a component with a broken configuration doesn't take the machine.
 */
export function decide(health: Health, seen: Observation): { readonly health: Health; readonly action: Action } {
  const { now } = seen;
  const running = health.phase === 'starting' || health.phase === 'ready' || health.phase === 'unwell';
  if (running && !seen.alive) {
    const settled = health.phase !== 'starting' && now - health.since >= patience.settled;
    const failures = settled ? 1 : health.failures + 1;
    const pause = failures <= 1 ? 0 : Math.min(patience.firstPause * 2 ** (failures - 2), patience.longestPause);
    const reason = seen.ended ?? health.reason ?? 'it ended';
    const next: Health = { ...health, phase: 'exited', since: now, failures, notBefore: now + pause, reason };
    return decide(next, seen);
  }
  if (!running) {
    if (!seen.needsReady || now < health.notBefore) return { health, action: 'none' };
    const started: Health = {
      ...health,
      phase: 'starting',
      since: now,
      restarts: health.restarts + 1,
      // Shown until it is ready: why it had to be started again.
      reason: health.reason,
    };
    return { health: started, action: 'start' };
  }
  if (seen.probe === 'ready') {
    if (health.phase === 'ready') {
      const settled = now - health.since >= patience.settled && health.failures > 0;
      return { health: settled ? { ...health, failures: 0 } : health, action: 'none' };
    }
    return { health: { ...health, phase: 'ready', since: now, reason: undefined }, action: 'none' };
  }
  const reason = seen.probe?.reason ?? health.reason;
  if (health.phase === 'ready') {
    if (seen.probe === undefined) return { health, action: 'none' };
    return { health: { ...health, phase: 'unwell', since: now, reason }, action: 'none' };
  }
  const limit = health.phase === 'starting' ? patience.start : patience.unwell;
  // What hangs because another hangs isn't helped by a new start. Its time begins when the other is well.
  if (!seen.needsReady) return { health: { ...health, since: now, reason }, action: 'none' };
  if (now - health.since > limit) return { health: { ...health, reason }, action: 'kill' };
  return { health: { ...health, reason }, action: 'none' };
}
