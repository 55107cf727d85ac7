import { setTimeout as sleep } from 'node:timers/promises';
import type { Label } from '../../graph/index.ts';
import { isKubeFault, nameOf } from '../../kube/index.ts';
import { appliedRecord, beginRecord, keepRecordLease } from '../cluster/record-steps.ts';
import type { Session } from '../cluster/session.ts';
import type { Placement, Rollout } from '../model/index.ts';
import {
  deleteLeaving,
  namespaceIsThere,
  requireYes,
  type Whereabouts,
  whatIsLeft,
  whatLeaves,
  whyLeft,
} from '../removal.ts';
import { removeVerification } from '../verify/index.ts';

/** A service on its way out of an environment. */
export interface RemovalJob {
  readonly service: Label;
  readonly session: Session;
  readonly rollout: Rollout;
  /** What is known of the service there: whose lease nobody holds any more. */
  readonly placement: Placement;
  /** Kinds of the objects that its release makes: looked through where the cluster's record has been lost. */
  readonly releaseKinds: () => Promise<readonly string[]>;
  /** Writes down what is about to be deleted, before it is. */
  readonly note: (text: string) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Milliseconds between two looks for what is still there. */
const lookEvery = 500;

/**
 * Deletes what a service has in its environment. Done again, it deletes what is left.
 *
 * @returns kinds to look through until all is gone
 * @throws ReleaseFault release/needs-yes, release/busy; KubeFault
 */
export async function removeObjects(job: RemovalJob): Promise<readonly string[]> {
  const { service, session, rollout, placement, releaseKinds, note, signal } = job;
  const { store } = session;
  const where = whereOf(job);
  if (!(await namespaceIsThere(where))) return [];
  const { kinds } = await store.read(service);
  const mine = new Set(placement.rollouts.map(({ id }) => id));
  const record = await beginRecord({
    store,
    service,
    release: undefined,
    rollout: {
      id: rollout.id,
      release: rollout.release.id.replace(/^sha256:/, ''),
      kind: 'removal',
      by: rollout.by,
      startedAt: new Date(rollout.steps.find(({ state }) => state === 'applying')?.at ?? 0).toISOString(),
      result: 'progressing',
    },
    kinds: kinds.length > 0 ? [] : await releaseKinds(),
    // Its rollouts are driven by one server at a time, and that is this one.
    isGone: (holder) => mine.has(holder),
    onWait: () => {},
    signal,
  });
  const { deletes = [] } = rollout;
  const renewal = keepRecordLease(store, service, rollout.id);
  try {
    const leaving = await whatLeaves(where, record.kinds);
    requireYes(service, leaving, deletes);
    await removeVerification(session, service, { signal });
    const precious = leaving.precious.map(({ object }) => nameOf(object));
    const stay = precious.filter((name) => !deletes.includes(name)).sort();
    const go = [...leaving.goes.map(nameOf), ...precious.filter((name) => deletes.includes(name))].sort();
    if (stay.length > 0) await note(`left in place, since nobody agreed to delete it: ${stay.join(', ')}`);
    if (go.length > 0) await note(`deletes: ${go.join(', ')}`);
    await deleteLeaving(where, leaving, deletes);
    await appliedRecord(store, service, rollout.id, record.kinds).catch(unlessItself(job));
    return record.kinds;
  } finally {
    renewal.stop();
  }
}

/**
 * Waits until all is gone, pods included.
 *
 * @param due milliseconds by this machine's clock
 * @returns what is still there then, and why; undefined where nothing is
 */
export async function untilGone(job: RemovalJob, kinds: readonly string[], due: number): Promise<string | undefined> {
  const { rollout, signal } = job;
  for (;;) {
    const left = await whatIsLeft(whereOf(job), kinds, rollout.deletes ?? []);
    if (left.length === 0) return undefined;
    if (Date.now() >= due) return `not gone in time: ${left.map(whyLeft).sort().join('; ')}`;
    await sleep(lookEvery, undefined, { signal });
  }
}

/** The record in the cluster goes with the namespace that it is in. */
export function unlessItself({
  session,
  rollout,
}: {
  readonly session: Pick<Session, 'namespace'>;
  readonly rollout: Rollout;
}): (error: unknown) => void {
  return (error) => {
    const own = rollout.deletes?.includes(`Namespace/${session.namespace}`) === true;
    if (!own || !isKubeFault(error, 'kube/not-found', 'kube/forbidden')) throw error;
  };
}

function whereOf({ service, session: { cluster, namespace }, signal }: RemovalJob): Whereabouts {
  return { cluster, namespace, service, signal };
}
