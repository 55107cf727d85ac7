import { createHash } from 'node:crypto';
import { mapConcurrently } from './concurrent.ts';
import { isKubeFault } from './fault.ts';
import { deleteObject, listObjects } from './objects.ts';
import { inOrder } from './order.ts';
import type { Cluster, Kind, KubeObject, ObjectName } from './types.ts';

/**
 * ApplySets (KEP-3659): a parent object names the set, its members carry the set's id as a label, and an annotation of the
 * parent says which kinds there are. Members that are applied no more are deleted. Other tools that know the standard, kubectl
 * among them, read the same marks.
 */
export const partOfLabel = 'applyset.kubernetes.io/part-of';
export const idLabel = 'applyset.kubernetes.io/id';
export const toolingAnnotation = 'applyset.kubernetes.io/tooling';
export const kindsAnnotation = 'applyset.kubernetes.io/contains-group-kinds';

/** The id of the set whose parent this is, as the KEP computes it. */
export function applySetId(parent: ObjectName): string {
  const group = parent.apiVersion.includes('/') ? parent.apiVersion.split('/')[0] : '';
  const text = [parent.name, parent.namespace ?? '', parent.kind, group].join('.');
  return `applyset-${createHash('sha256').update(text).digest('base64url')}-v1`;
}

/** `Deployment.apps`, `Service` for the core group; sorted, without repetition. */
export function groupKinds(objects: readonly Kind[]): string[] {
  const named = objects.map(({ apiVersion, kind }) =>
    apiVersion.includes('/') ? `${kind}.${apiVersion.split('/')[0]}` : kind,
  );
  return [...new Set(named)].sort();
}

/** The object with the set's label. */
export function asMember(object: KubeObject, id: string): KubeObject {
  return { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, [partOfLabel]: id } } };
}

/** Their loss can't be undone by applying anything. */
const precious = ['Namespace', 'PersistentVolumeClaim', 'PersistentVolume', 'CustomResourceDefinition'];

export function isPrecious({ kind }: Pick<KubeObject, 'kind'>): boolean {
  return precious.includes(kind);
}

export interface PruneOptions {
  readonly id: string;
  readonly namespace: string;
  /** What was applied and stays. */
  readonly keep: readonly KubeObject[];
  /** Kinds to look through: the set's from before, as groupKinds gives them. */
  readonly kinds: readonly string[];
  /** Delete namespaces, volumes and definitions too. */
  readonly preciousToo?: boolean;
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Deletes the members of a set that are applied no more.
 *
 * @returns what was deleted (or would be, with `dryRun`), and what was kept because only a person may delete it
 */
export async function prune(
  cluster: Cluster,
  options: PruneOptions,
): Promise<{ readonly deleted: readonly KubeObject[]; readonly kept: readonly KubeObject[] }> {
  const stays = new Set(options.keep.map(identity));
  const members = await listMembers(cluster, options);
  const left = members.filter((object) => !stays.has(identity(object)) && !object.metadata.deletionTimestamp);
  const kept = options.preciousToo ? [] : left.filter(isPrecious);
  const deleted = left.filter((object) => !kept.includes(object));
  if (options.dryRun) return { deleted, kept };
  for (const group of inOrder(deleted).reverse()) {
    await mapConcurrently(group, 8, ({ apiVersion, kind, metadata }) =>
      deleteObject(
        cluster,
        { apiVersion, kind, ...metadata },
        { ...(metadata.uid !== undefined && { uid: metadata.uid }), signal: options.signal },
      ),
    );
  }
  return { deleted, kept };
}

/** All objects of a set that are there, those on their way out among them. */
export async function listMembers(
  cluster: Cluster,
  { id, namespace, kinds, signal }: Pick<PruneOptions, 'id' | 'namespace' | 'kinds' | 'signal'>,
): Promise<readonly KubeObject[]> {
  const lists = await mapConcurrently(kinds, 8, async (groupKind) => {
    const kind = await servedKind(cluster, groupKind, signal);
    if (kind === undefined) return [];
    const { namespaced } = await cluster.resource(kind);
    const { items } = await listObjects(cluster, kind, {
      namespace: namespaced ? namespace : undefined,
      labelSelector: `${partOfLabel}=${id}`,
      signal,
    });
    return items;
  });
  return lists.flat();
}

function identity({ apiVersion, kind, metadata }: KubeObject): string {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  return `${group} ${kind} ${metadata.name}`;
}

/** A version in which the cluster serves a kind; undefined where it does so no more, and then there are no such objects. */
async function servedKind(
  cluster: Cluster,
  groupKind: string,
  signal: AbortSignal | undefined,
): Promise<Kind | undefined> {
  const [kind = '', ...rest] = groupKind.split('.');
  if (rest.length === 0) return { apiVersion: 'v1', kind };
  const group = rest.join('.');
  try {
    const answer = (await cluster.request({ path: `/apis/${encodeURIComponent(group)}`, signal })) as {
      versions?: { groupVersion: string }[];
    };
    for (const { groupVersion } of answer.versions ?? []) {
      const found = await cluster.resource({ apiVersion: groupVersion, kind }).catch((error: unknown) => {
        if (isKubeFault(error, 'kube/unknown-kind')) return undefined;
        throw error;
      });
      if (found !== undefined) return { apiVersion: groupVersion, kind };
    }
  } catch (error) {
    if (!isKubeFault(error, 'kube/not-found')) throw error;
  }
  return undefined;
}
