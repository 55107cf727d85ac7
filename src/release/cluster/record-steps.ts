import { setTimeout as sleep } from 'node:timers/promises';
import type { Label } from '../../graph/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { Release, Rollout } from '../types.ts';
import {
  appliedRelease,
  beginRollout,
  dropLease,
  endRollout,
  lastRollout,
  type ServiceRecord,
  takeLease,
} from './record.ts';
import type { ReleaseStore } from './store.ts';

/** Milliseconds. A holder that has not renewed it for this long is dead. */
const leaseDuration = 30_000;
/** Milliseconds that one waits for another who is applying. */
const leasePatience = 90_000;

export interface Beginning {
  readonly store: ReleaseStore;
  readonly service: Label;
  /** Undefined for a removal. */
  readonly release: Release | undefined;
  readonly rollout: Rollout;
  /** Kinds of the objects that will be there, as an ApplySet names them. */
  readonly kinds: readonly string[];
  /** Whether a lease of another holder is that of somebody who is known to act no more. */
  readonly isGone?: (holder: string) => boolean;
  /** Told where this rollout had begun before. */
  readonly onRepeat?: () => void;
  /** There is most likely no record of it yet. */
  readonly isNew?: boolean | undefined;
  /** Told who is waited for. */
  readonly onWait: (who: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a rollout's beginning and takes the lease, with the rollout's id as its holder: two never change a service's objects at the
 * same time. A rollout that only waits holds no lease, so that a bad one does not keep its own fix out. Begun twice, it is begun once.
 *
 * @throws ReleaseFault release/busy
 */
export async function beginRecord(beginning: Beginning): Promise<ServiceRecord> {
  const { store, service, release, rollout, kinds, isGone = () => false, onRepeat, isNew, onWait, signal } = beginning;
  const patience = Date.now() + leasePatience;
  for (;;) {
    let busy = false;
    const written = await store.update(
      service,
      (record) => {
        const free =
          record.lease !== undefined && isGone(record.lease.holder) ? { ...record, lease: undefined } : record;
        const leased = takeLease(free, rollout.id, Date.now(), leaseDuration);
        busy = leased === undefined;
        if (leased === undefined) return record;
        // What may be there from now on is written down first: whatever happens next, pruning will look for it.
        const all = [...new Set([...record.kinds, ...kinds])].sort();
        const last = lastRollout(record);
        if (last?.id === rollout.id) {
          onRepeat?.();
          return { ...leased, kinds: all };
        }
        const from = appliedRelease(record);
        return { ...beginRollout(leased, release, { ...rollout, ...(from !== undefined && { from }) }), kinds: all };
      },
      isNew,
    );
    if (!busy) return written;
    if (Date.now() > patience) {
      throw new ReleaseFault('release/busy', `somebody else has been applying ${service} for too long`, {
        notes: [`since ${lastRollout(written)?.startedAt}, by ${lastRollout(written)?.by}`],
        next: 'wait until that deploy has ended, and try again',
      });
    }
    onWait(lastRollout(written)?.by ?? 'somebody');
    await sleep(500, undefined, { ...(signal && { signal }) });
  }
}

/** Renews the lease while objects are being applied, however long that takes. */
export function keepRecordLease(store: ReleaseStore, service: Label, holder: string): { stop(): void } {
  const timer = setInterval(() => {
    store
      .update(service, (record) => takeLease(record, holder, Date.now(), leaseDuration) ?? record)
      // The next renewal or the end will tell; the lease outlives two that fail.
      .catch(() => {});
  }, leaseDuration / 3);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** The lease of a service while its objects are applied, and a little longer. */
export interface HeldLease {
  /** All is applied: it is given back with the record's next word, or by itself when it would have to be renewed. */
  applied(kinds: readonly string[]): void;
  /** Nothing is done with it any more. */
  stop(): void;
}

/**
 * Renews the lease while objects are being applied. It is not given back by a request of its own where the rollout ends soon after: whose
 * rollouts come next knows the holder, and others wait a few seconds.
 */
export function holdRecordLease(store: ReleaseStore, service: Label, holder: string): HeldLease {
  let kinds: readonly string[] | undefined;
  const next = () => {
    if (kinds !== undefined) clearInterval(timer);
    const done =
      kinds === undefined
        ? store.update(service, (record) => takeLease(record, holder, Date.now(), leaseDuration) ?? record)
        : appliedRecord(store, service, holder, kinds);
    // The next renewal or the end will tell; the lease outlives two that fail.
    done.catch(() => {});
  };
  const timer = setInterval(next, leaseDuration / 3);
  timer.unref();
  return {
    applied(now) {
      kinds = now;
    },
    stop: () => clearInterval(timer),
  };
}

/** All is applied: the lease is free, and only the kinds that are there now are looked through by the next pruning. */
export async function appliedRecord(
  store: ReleaseStore,
  service: Label,
  holder: string,
  kinds: readonly string[],
): Promise<void> {
  await store.update(service, (now) => dropLease(isLast(now, holder) ? { ...now, kinds } : now, holder));
}

function isLast(record: ServiceRecord, rollout: string): boolean {
  return lastRollout(record)?.id === rollout;
}

/** Writes down a rollout that had nothing to change, from its beginning to its end. Whoever applies meanwhile keeps the lease. */
export async function writeRollout(
  { store, service, release, rollout, kinds }: Pick<Beginning, 'store' | 'service' | 'release' | 'rollout' | 'kinds'>,
  result: Pick<Rollout, 'result' | 'reason'>,
): Promise<void> {
  await store.update(service, (record) => {
    const begun = withRollout(record, { release, rollout });
    return endRollout({ ...begun, kinds }, rollout.id, { ...result, endedAt: new Date().toISOString() });
  });
}

/** The record with a rollout that has begun; as it is where that is there already. */
export function withRollout(
  record: ServiceRecord,
  { release, rollout }: Pick<Beginning, 'release' | 'rollout'>,
): ServiceRecord {
  if (isLast(record, rollout.id)) return record;
  const from = appliedRelease(record);
  return beginRollout(record, release, { ...rollout, ...(from !== undefined && { from }) });
}

/**
 * Writes down how a rollout ended.
 *
 * @param holder whose lease ends with it
 * @param kinds of the objects that are there now, where they were all applied
 */
export async function endRecord(
  store: ReleaseStore,
  service: Label,
  rollout: Pick<Rollout, 'id'>,
  result: Pick<Rollout, 'result' | 'reason'>,
  holder?: string,
  kinds?: readonly string[],
): Promise<void> {
  await store.update(service, (before) => {
    const record = kinds !== undefined && isLast(before, rollout.id) ? { ...before, kinds } : before;
    const ended = endRollout(record, rollout.id, { ...result, endedAt: new Date().toISOString() });
    return holder === undefined ? ended : dropLease(ended, holder);
  });
}
