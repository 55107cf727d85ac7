import { applyObject, type Cluster, getObject, isKubeFault, type KubeObject } from '../../kube/index.ts';
import { driftedFields, type FieldDrift } from './fields.ts';
import { holdsAll } from './known.ts';
import type { DriftedObject, ShownField } from './types.ts';

/** What an object was compared with. */
export interface Compared {
  /** As it is; undefined where it is not there. */
  readonly live: KubeObject | undefined;
  /** Undefined where it is as the release says. */
  readonly drift: DriftedObject | undefined;
  /** Our manager holds each field that the release sets: whoever changes one has to take it from us, and that shows. */
  readonly held: boolean;
}

/** Characters of a value that are shown. */
const shownLength = 200;

/**
 * Compares an object of a release with the cluster: what would applying it make of it, by dry run, so that what is only written
 * otherwise does not count.
 *
 * @param object with its mark of the ApplySet
 * @param now milliseconds since the epoch
 */
export async function compareObject(
  cluster: Cluster,
  object: KubeObject,
  namespace: string,
  now: number,
  signal?: AbortSignal,
): Promise<Compared> {
  const { namespaced } = await cluster.resource(object);
  const { apiVersion, kind } = object;
  const { name } = object.metadata;
  const live = await getObject(cluster, { apiVersion, kind, name, ...(namespaced && { namespace }) }, { signal });
  const base = { apiVersion, kind, name, since: now };
  if (live === undefined || live.metadata.deletionTimestamp !== undefined) {
    return { live, drift: { ...base, change: 'deleted', fields: [] }, held: false };
  }
  try {
    const wanted = await applyObject(cluster, object, { namespace, force: true, dryRun: true, signal });
    const fields = driftedFields(wanted, live).map((field) => shown(field, kind));
    const held = holdsAll(wanted, live);
    return { live, drift: fields.length === 0 ? undefined : { ...base, change: 'changed', fields }, held };
  } catch (error) {
    if (!isKubeFault(error, 'kube/invalid', 'kube/forbidden')) throw error;
    // It was deleted and made anew with a field that can't be changed, or the like.
    const left = `it can't be put back: ${error.message}`;
    return { live, drift: { ...base, change: 'changed', fields: [], left }, held: false };
  }
}

function shown({ path, wanted, found, by }: FieldDrift, kind: string): ShownField {
  const text = (value: unknown): string | undefined => {
    if (value === undefined) return undefined;
    if (kind === 'Secret' && !path.startsWith('metadata')) return '(not shown)';
    const whole = typeof value === 'string' ? value : JSON.stringify(value);
    return whole.length > shownLength ? `${whole.slice(0, shownLength)}...` : whole;
  };
  return { path, wanted: text(wanted), found: text(found), ...(by !== undefined && { by }) };
}
