import type { Label } from '../graph/index.ts';
import {
  type Cluster,
  deleteObject,
  getObject,
  groupKinds,
  idLabel,
  inOrder,
  isKubeFault,
  isPrecious,
  type KubeObject,
  listMembers,
  listObjects,
  mapConcurrently,
  nameOf,
} from '../kube/index.ts';
import { serviceSetId } from './cluster/cluster-store.ts';
import type { Session } from './cluster/session.ts';
import { ReleaseFault } from './fault.ts';

/** What a service has in an environment, looked at before it is taken out. */
export interface Leaving {
  /** What goes with the service. */
  readonly goes: readonly KubeObject[];
  /** What goes only where a person says so of each. */
  readonly precious: readonly PreciousObject[];
}

export interface PreciousObject {
  readonly object: KubeObject;
  /** What would be lost, in a person's words. */
  readonly loses: string;
  /** What would delete it with itself, whether anybody agrees or not. */
  readonly goesWith?: string | undefined;
  /** Services that have objects in it too. */
  readonly others: readonly string[];
}

/** Where a service is. */
export interface Whereabouts {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly service: Label;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Everything that a service has there: the members of its set, and the volume claims that its StatefulSets have made. Changes nothing.
 *
 * @param kinds to look through: all that the service ever had
 */
export async function whatLeaves(where: Whereabouts, kinds: readonly string[]): Promise<Leaving> {
  const { cluster, namespace, service, signal } = where;
  const members = await listMembers(cluster, { id: serviceSetId(service, namespace), namespace, kinds, signal });
  const there = members.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const claims = await claimsOf(where, there.filter(isSet), new Set(there.map(nameOf)));
  const precious = await Promise.all(
    there.filter(isPrecious).map(async (object): Promise<PreciousObject> => {
      const isOwn = object.kind === 'Namespace' && object.metadata.name === namespace;
      return { object, loses: lossOf(object), others: isOwn ? await othersIn(where) : [] };
    }),
  );
  return { goes: there.filter((object) => !isPrecious(object)), precious: [...precious, ...claims] };
}

/**
 * Nothing goes that nobody agreed to.
 *
 * @param agreed names of precious objects: `PersistentVolumeClaim/data`
 * @throws ReleaseFault release/needs-yes
 */
export function requireYes(service: Label, { precious }: Leaving, agreed: readonly string[]): void {
  for (const { object, goesWith, others } of precious) {
    const name = nameOf(object);
    if (goesWith !== undefined && !agreed.includes(name)) {
      throw new ReleaseFault('release/needs-yes', `${goesWith} of ${service} would delete ${name} with itself`, {
        next: `agree to that with --delete ${name}, or set whenDeleted: Retain in its persistentVolumeClaimRetentionPolicy and roll that out before`,
      });
    }
    if (others.length > 0 && agreed.includes(name)) {
      throw new ReleaseFault('release/needs-yes', `${name} holds other services, which would go without a record`, {
        notes: others.map((other) => `${other} is in it`),
        next: 'remove these first, or leave the namespace',
      });
    }
  }
}

/** Deletes what leaves, in the reverse of the order in which it was applied. Each stays visible until all that it owns is gone. */
export async function deleteLeaving(
  { cluster, signal }: Whereabouts,
  { goes, precious }: Leaving,
  agreed: readonly string[],
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): Promise<void> {
  const due = [...goes, ...precious.map(({ object }) => object).filter((object) => agreed.includes(nameOf(object)))];
  for (const group of inOrder(due).reverse()) {
    await mapConcurrently(group, 8, async ({ apiVersion, kind, metadata }) => {
      const { uid } = metadata;
      await deleteObject(cluster, { apiVersion, kind, ...metadata }, { uid, foreground: true, dryRun, signal });
    });
  }
}

/**
 * What would leave.
 *
 * @param written the objects as the service's release makes them: their kinds are looked through where the record has been lost
 */
export async function previewRemoval(
  { cluster, namespace, store }: Pick<Session, 'cluster' | 'namespace' | 'store'>,
  service: Label,
  written: () => Promise<readonly KubeObject[]>,
  signal: AbortSignal,
): Promise<Leaving> {
  const { kinds } = await store.read(service);
  const where = { cluster, namespace, service, signal };
  return await whatLeaves(where, kinds.length > 0 ? kinds : groupKinds(await written()));
}

/** Whether the cluster would let all that a person agreed to be deleted, by dry run. @throws KubeFault kube/forbidden */
export async function tryDeleting(
  { cluster, namespace }: Pick<Session, 'cluster' | 'namespace'>,
  service: Label,
  { precious }: Leaving,
  agreed: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await deleteLeaving({ cluster, namespace, service, signal }, { goes: [], precious }, agreed, { dryRun: true });
}

/** What is still there of that which was to go, those on their way out among them. */
export async function whatIsLeft(
  where: Whereabouts,
  kinds: readonly string[],
  agreed: readonly string[],
): Promise<readonly KubeObject[]> {
  const { cluster, namespace, service, signal } = where;
  const members = await listMembers(cluster, { id: serviceSetId(service, namespace), namespace, kinds, signal });
  const left = members.filter((object) => !isPrecious(object) || agreed.includes(nameOf(object)));
  const seen = new Set(left.map(nameOf));
  // Claims of a StatefulSet carry no mark of the set.
  const named = agreed.filter((name) => name.startsWith('PersistentVolumeClaim/') && !seen.has(name));
  const claims = await mapConcurrently(named, 8, (name) =>
    getObject(
      cluster,
      { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name: name.slice(name.indexOf('/') + 1) },
      { signal },
    ),
  );
  return [...left, ...claims.filter((claim) => claim !== undefined)];
}

/** Why an object is still there, as far as it says. */
export function whyLeft({ kind, metadata }: KubeObject): string {
  const { deletionTimestamp } = metadata;
  const finalizers = (metadata as { finalizers?: readonly string[] }).finalizers ?? [];
  const name = nameOf({ kind, metadata });
  if (deletionTimestamp === undefined) return `${name} is there again: somebody makes it anew`;
  const waits = finalizers.filter((each) => each !== 'foregroundDeletion');
  return waits.length > 0 ? `${name} waits for ${waits.join(', ')}` : `${name} waits for what it owns to be gone`;
}

/** Whether the environment's namespace exists; who may not look is told by what comes next. */
export async function namespaceIsThere({ cluster, namespace, signal }: Whereabouts): Promise<boolean> {
  try {
    return (
      (await getObject(cluster, { apiVersion: 'v1', kind: 'Namespace', name: namespace }, { signal })) !== undefined
    );
  } catch (error) {
    if (!isKubeFault(error, 'kube/forbidden')) throw error;
    return true;
  }
}

function isSet({ kind }: KubeObject): boolean {
  return kind === 'StatefulSet';
}

async function claimsOf(
  { cluster, namespace, signal }: Whereabouts,
  sets: readonly KubeObject[],
  known: ReadonlySet<string>,
): Promise<readonly PreciousObject[]> {
  if (sets.length === 0) return [];
  const kind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };
  const { items } = await listObjects(cluster, kind, { namespace, signal });
  return sets.flatMap((set) => {
    const { volumeClaimTemplates = [], persistentVolumeClaimRetentionPolicy: policy } = set.spec as {
      volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
      persistentVolumeClaimRetentionPolicy?: { readonly whenDeleted?: string };
    };
    const beginnings = volumeClaimTemplates.map(({ metadata }) => `${metadata.name}-${set.metadata.name}-`);
    const own = items.filter((claim) => {
      const { name } = claim.metadata;
      return beginnings.some((each) => name.startsWith(each) && /^[0-9]+$/.test(name.slice(each.length)));
    });
    return own
      .filter((claim) => !known.has(nameOf(claim)))
      .map((object): PreciousObject => {
        const goesWith = policy?.whenDeleted === 'Delete' ? nameOf(set) : undefined;
        return { object, loses: lossOf(object), others: [], ...(goesWith !== undefined && { goesWith }) };
      });
  });
}

function lossOf({ kind }: KubeObject): string {
  if (kind === 'Namespace') return 'everything in it';
  if (kind === 'CustomResourceDefinition') return 'every object of its kind, in all namespaces';
  return 'the data on it';
}

/** Services with a record in the namespace, beside this one. */
async function othersIn({ cluster, namespace, service, signal }: Whereabouts): Promise<readonly string[]> {
  const { items } = await listObjects(
    cluster,
    { apiVersion: 'v1', kind: 'Secret' },
    { namespace, labelSelector: idLabel, metadataOnly: true, signal },
  );
  return items
    .flatMap(({ metadata }) => metadata.annotations?.['banksman.local/service'] ?? [])
    .filter((each) => each !== service)
    .toSorted();
}
