import type { Environment, Label } from '../graph/index.ts';
import { isKubeFault, type KubeObject } from '../kube/index.ts';
import type { ReleaseContent } from './artifact/index.ts';
import { changesBetween, fieldsBetween, type ObjectChanges } from './changes.ts';
import { kindsOf, planObjects, pruneObjects, toldBySource } from './cluster/service-objects.ts';
import type { Session } from './cluster/session.ts';
import { renderBundle } from './render.ts';
import { splitVerification } from './verify/index.ts';

/** What a release would change in an environment. */
export interface Preview {
  /** With what it was compared: the cluster's own objects by a dry run, or the release that is there as it was written. */
  readonly against: 'cluster' | 'release';
  readonly objects: readonly ObjectChanges[];
  readonly unchanged: number;
}

/** The objects that serve, as a release makes them in an environment. */
export function servedObjects(content: ReleaseContent, environment: Environment): readonly KubeObject[] {
  const { documents } = renderBundle(content.bundle, content.images, environment);
  return splitVerification(documents).served.map(({ object }) => object as unknown as KubeObject);
}

/**
 * Compares a release with the cluster, by the dry run that a rollout begins with. Changes nothing.
 *
 * @throws ReleaseFault release/rejected where the cluster would refuse it; KubeFault where it can't be reached
 */
export async function previewInCluster(
  service: Label,
  content: ReleaseContent,
  environment: Environment,
  session: Session,
  signal: AbortSignal,
): Promise<Preview> {
  const { documents } = renderBundle(content.bundle, content.images, environment);
  const { served } = splitVerification(documents);
  const { cluster, namespace, store } = session;
  const objects = { service: { label: service }, documents: served, cluster, namespace, force: false, signal };
  try {
    const [plan, record] = await Promise.all([planObjects(objects), store.read(service)]);
    const { deleted } = await pruneObjects(objects, [...new Set([...record.kinds, ...kindsOf(objects)])], {
      dryRun: true,
    });
    const planned = plan.flatMap(({ object, action, live, after }): ObjectChanges[] => {
      if (action === 'unchanged') return [];
      const { kind, metadata } = object;
      const fields = live === undefined || after === undefined ? [] : fieldsBetween(live, after);
      return [{ kind, name: metadata.name, change: action === 'create' ? 'added' : 'changed', fields }];
    });
    const removed = deleted.map(({ kind, metadata }): ObjectChanges => {
      return { kind, name: metadata.name, change: 'removed', fields: [] };
    });
    return { against: 'cluster', objects: [...planned, ...removed], unchanged: plan.length - planned.length };
  } catch (error) {
    if (isKubeFault(error, 'kube/not-found')) {
      // The namespace itself is still to be made.
      const all = served.map(({ object }) => object as unknown as KubeObject);
      return { against: 'cluster', objects: changesBetween([], all), unchanged: 0 };
    }
    throw toldBySource(error, objects);
  }
}

/** Compares two releases as they are written, each in its environment. */
export function compareReleases(
  before: readonly KubeObject[],
  after: readonly KubeObject[],
): Pick<Preview, 'objects' | 'unchanged'> {
  const objects = changesBetween(before, after);
  return { objects, unchanged: after.length - objects.filter(({ change }) => change !== 'removed').length };
}
