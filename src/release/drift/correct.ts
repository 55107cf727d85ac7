import type { Label } from '../../graph/index.ts';
import { applyObject, inOrder, isKubeFault, type KubeObject } from '../../kube/index.ts';
import { dropLease, takeLease } from '../cluster/record.ts';
import type { Session } from '../cluster/session.ts';
import { objectKey } from './types.ts';

export interface Correction {
  readonly session: Session;
  readonly service: Label;
  /** Who holds the lease: nobody else's name. */
  readonly holder: string;
  /** Asked once nobody else may apply: whether the same release is still the one that serves. */
  readonly mayGoOn: () => Promise<boolean>;
  readonly objects: readonly KubeObject[];
  /** The object as it was compared; undefined where it was not there. */
  readonly live: (object: KubeObject) => KubeObject | undefined;
  readonly signal: AbortSignal;
}

/** Milliseconds. */
const leaseDuration = 30_000;

/**
 * Puts objects right, under the lease that rollouts apply under too. An object that is another than the one that was compared is left.
 *
 * @returns the objects as they are now, by their keys; those that are missing were not put right
 */
export async function correct(correction: Correction): Promise<ReadonlyMap<string, KubeObject>> {
  const { session, service, holder, mayGoOn, objects, live, signal } = correction;
  const { store, cluster, namespace } = session;
  const done = new Map<string, KubeObject>();
  let held = false;
  await store.update(service, (record) => {
    const leased = takeLease(record, holder, Date.now(), leaseDuration);
    held = leased !== undefined;
    return leased ?? record;
  });
  if (!held) return done;
  try {
    if (!(await mayGoOn())) return done;
    for (const object of inOrder(objects).flat()) {
      const resourceVersion = live(object)?.metadata.resourceVersion;
      const exact =
        resourceVersion === undefined ? object : { ...object, metadata: { ...object.metadata, resourceVersion } };
      try {
        const now = await applyObject(cluster, exact, { namespace, force: true, signal });
        done.set(objectKey(object, object.metadata.name), now);
      } catch (error) {
        if (!isKubeFault(error, 'kube/changed', 'kube/not-found', 'kube/conflict')) throw error;
      }
    }
    return done;
  } finally {
    await store.update(service, (record) => dropLease(record, holder));
  }
}
