import type { Database } from '../database/index.ts';
import { dropLeaderLease, type LeaderLease, type PlacementStore, takeLeaderLease } from '../release/index.ts';
import type { Metrics } from './metrics.ts';

export interface LeadOptions {
  readonly database: Database;
  readonly store: PlacementStore;
  /** Unique among all servers of the database. */
  readonly holder: string;
  readonly metrics: Metrics;
  readonly now: () => number;
  /** Milliseconds that a leader may be silent; 15 seconds unless told. */
  readonly leaseTime?: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Seeks to lead, and while it leads lets time pass for every open rollout: deadlines end it, holds come to their end. One server
 * at a time does that; each change is refused once the lease is another's.
 */
export function lead(options: LeadOptions): { stop(): Promise<void> } {
  const { database, store, holder, metrics, now, leaseTime = 15_000, onError } = options;
  let lease: LeaderLease | undefined;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<void> = Promise.resolve();

  const once = async () => {
    try {
      lease = await takeLeaderLease(database, 'rollouts', holder, leaseTime);
      metrics.set('leader', lease === undefined ? 0 : 1);
      const open = await store.open();
      metrics.set('open_rollouts', open.length);
      if (lease === undefined) return;
      for (const { service, environment } of open) {
        if (stopped) return;
        const actor = { who: 'banksman', source: holder };
        await store.happen(service, environment, { kind: 'tick', at: now() }, actor, lease);
      }
    } catch (error) {
      metrics.set('leader', 0);
      onError(error);
    }
  };
  const next = () => {
    if (stopped) return;
    timer = setTimeout(() => {
      turn = once().finally(next);
    }, leaseTime / 5);
  };
  turn = once().finally(next);
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await turn;
      if (lease !== undefined) await dropLeaderLease(database, lease).catch(onError);
    },
  };
}
