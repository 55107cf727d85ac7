import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/index.ts';
import {
  type Clusters,
  dropLeaderLease,
  type ExecutorOptions,
  execute,
  guarded,
  type LeaderLease,
  type Leadership,
  openKnownObjects,
  releaseObjects,
  takeLeaderLease,
  watchDrift,
} from '../release/index.ts';
import type { Metrics } from './metrics/index.ts';

export interface LeadOptions {
  readonly database: Database;
  readonly executor: ExecutorOptions;
  readonly metrics: Metrics;
  /** Milliseconds that a leader may be silent; 15 seconds unless told. */
  readonly leaseTime?: number;
  readonly onError: ExecutorOptions['onError'];
}

/** Part of the lease's time after which who has not renewed it acts no more, however its clock runs against the database's. */
const trusted = 0.8;

/**
 * Seeks to lead, and while it leads does what rollouts ask for and watches for drift. One server at a time does that: whoever can't renew the lease stops
 * before another may take it, each write to a cluster looks at the clock first, and each change of the record is refused by the
 * database once the lease is another's.
 */
export function lead(options: LeadOptions): { stop(): Promise<void> } {
  const { database, executor, metrics, leaseTime = 15_000, onError } = options;
  const stopped = new AbortController();
  let term: Term | undefined;

  const once = async () => {
    const asked = clocks();
    let lease: LeaderLease | undefined;
    let isOthers = false;
    try {
      lease = await takeLeaderLease(database, 'rollouts', executor.source, leaseTime);
      isOthers = lease === undefined;
    } catch (error) {
      onError(error, 'the right to lead');
    }
    // Where the database is away, what was promised holds until its time.
    if (lease !== undefined && lease.term === term?.lease.term) term.extend(asked);
    else if (lease !== undefined) {
      await term?.end();
      term = begin(lease, asked);
    }
    if (isOthers || term?.leadership.signal.aborted) {
      await term?.end();
      term = undefined;
    }
    metrics.set('banksman_leader', term === undefined ? 0 : 1);
  };

  const begin = (lease: LeaderLease, asked: Clocks): Term => {
    const stop = new AbortController();
    let since = asked;
    const holds = () => !stop.signal.aborted && age(since) < leaseTime * trusted;
    // A process that slept wakes with this timer overdue.
    const timer = setInterval(() => {
      if (!holds()) stop.abort(new Error('the right to lead has ended'));
    }, leaseTime / 20);
    metrics.count('banksman_leaderships_total');
    const leadership: Leadership = { lease, signal: stop.signal, holds };
    const { store, environments, clusters, now, source } = executor;
    const bounded: Clusters = {
      ...clusters,
      open: async (environment) => guarded(await clusters.open(environment), leadership),
    };
    const known = openKnownObjects({ database, clusters: bounded, onError, signal: stop.signal });
    const drift = watchDrift({
      database,
      known,
      store,
      environments,
      clusters: bounded,
      objectsOf: releaseObjects(store, executor.fetchRelease),
      lease,
      now,
      source,
      observe: ({ environment }, corrected) =>
        metrics.count('banksman_drift_corrections_total', [environment], corrected.length),
      onError,
      signal: stop.signal,
    });
    const done = Promise.all([
      execute(executor, leadership, known).catch((error: unknown) => onError(error, 'leading')),
      drift.catch((error: unknown) => onError(error, 'watching for drift')),
    ]);
    return {
      lease,
      leadership,
      extend(from) {
        since = from;
      },
      async end() {
        stop.abort(new Error('the right to lead has ended'));
        clearInterval(timer);
        await done;
      },
    };
  };

  const run = async () => {
    while (!stopped.signal.aborted) {
      await once();
      await sleep(leaseTime / 5, undefined, { signal: stopped.signal }).catch(() => {});
    }
  };
  const running = run();
  return {
    async stop() {
      stopped.abort();
      await running;
      const { lease } = term ?? {};
      await term?.end();
      if (lease !== undefined)
        await dropLeaderLease(database, lease).catch((error) => onError(error, 'the right to lead'));
    },
  };
}

/** One time of leading. */
interface Term {
  readonly lease: LeaderLease;
  readonly leadership: Leadership;
  extend(from: Clocks): void;
  end(): Promise<void>;
}

/** Two clocks: one can be set, the other stands still while the machine sleeps. */
interface Clocks {
  readonly wall: number;
  readonly steady: number;
}

function clocks(): Clocks {
  return { wall: Date.now(), steady: performance.now() };
}

/** Milliseconds, by the clock that says more. */
function age(since: Clocks): number {
  const now = clocks();
  return Math.max(now.wall - since.wall, now.steady - since.steady);
}
