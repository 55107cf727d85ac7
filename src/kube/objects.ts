import { objectPath } from './discover.ts';
import { isKubeFault, KubeFault } from './fault.ts';
import type { Cluster, Kind, KubeObject, ObjectName } from './types.ts';

export interface Call {
  readonly signal?: AbortSignal | undefined;
}

/** @returns undefined where there is no such object */
export async function getObject(cluster: Cluster, name: ObjectName, call: Call = {}): Promise<KubeObject | undefined> {
  const path = objectPath(await cluster.resource(name), name);
  try {
    return asObject(await cluster.request({ path, ...call }), path);
  } catch (error) {
    if (isKubeFault(error, 'kube/not-found')) return undefined;
    throw error;
  }
}

export interface Selection extends Call {
  /** All namespaces where it is left out. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Objects without anything but their metadata. */
  readonly metadataOnly?: boolean | undefined;
}

/** Kubernetes API concepts, "Metadata-only fetches"; whole objects from a server that does not know it. */
export function acceptFor({ metadataOnly }: Selection, form: 'one' | 'list'): { readonly accept?: string } {
  if (!metadataOnly) return {};
  const kind = form === 'one' ? 'PartialObjectMetadata' : 'PartialObjectMetadataList';
  return { accept: `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json` };
}

/** All objects of a kind, read in pages. `resourceVersion` is where a watch goes on from. */
export async function listObjects(
  cluster: Cluster,
  kind: Kind,
  selection: Selection = {},
): Promise<{ readonly items: readonly KubeObject[]; readonly resourceVersion: string }> {
  const { namespace, labelSelector, fieldSelector, signal } = selection;
  const path = objectPath(await cluster.resource(kind), { namespace });
  const items: KubeObject[] = [];
  let page: string | undefined;
  for (;;) {
    const answer = (await cluster.request({
      path,
      query: { limit: 500, continue: page, labelSelector, fieldSelector },
      ...acceptFor(selection, 'list'),
      signal,
    })) as { metadata?: { continue?: string; resourceVersion?: string }; items?: unknown[] };
    if (!Array.isArray(answer.items)) {
      throw new KubeFault('kube/bad-answer', `${path} was answered with something that is no list`);
    }
    for (const item of answer.items) {
      // Entries of a list leave their kind out, or name the form that was asked for.
      items.push({ ...(item as object), apiVersion: kind.apiVersion, kind: kind.kind } as KubeObject);
    }
    page = answer.metadata?.continue;
    if (!page) return { items, resourceVersion: answer.metadata?.resourceVersion ?? '' };
  }
}

/** @throws KubeFault kube/already-exists */
export async function createObject(
  cluster: Cluster,
  object: KubeObject,
  { dryRun, ...call }: Call & { readonly dryRun?: boolean } = {},
): Promise<KubeObject> {
  const path = objectPath(await cluster.resource(object), { namespace: object.metadata.namespace });
  return asObject(
    await cluster.request({
      method: 'POST',
      path,
      query: { fieldManager, dryRun: dryRun ? 'All' : undefined },
      body: object,
      ...call,
    }),
    path,
  );
}

/** Writes an object that was read before. @throws KubeFault kube/changed where somebody wrote it since */
export async function replaceObject(cluster: Cluster, object: KubeObject, call: Call = {}): Promise<KubeObject> {
  const { namespace, name } = object.metadata;
  const path = objectPath(await cluster.resource(object), { namespace, name });
  return asObject(await cluster.request({ method: 'PUT', path, query: { fieldManager }, body: object, ...call }), path);
}

export interface DeleteOptions extends Call {
  /** Only the object with this uid, so that one made anew under the same name stays. */
  readonly uid?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  /** It stays until what it owns is gone. */
  readonly foreground?: boolean | undefined;
  readonly dryRun?: boolean;
}

/** Deletes an object; what it owns follows in the background unless told. @returns false where it was not there */
export async function deleteObject(cluster: Cluster, name: ObjectName, options: DeleteOptions = {}): Promise<boolean> {
  const path = objectPath(await cluster.resource(name), name);
  const { uid, gracePeriodSeconds, foreground, dryRun, signal } = options;
  try {
    await cluster.request({
      method: 'DELETE',
      path,
      query: { dryRun: dryRun ? 'All' : undefined },
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: foreground ? 'Foreground' : 'Background',
        ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
        ...(uid !== undefined && { preconditions: { uid } }),
      },
      signal,
    });
    return true;
  } catch (error) {
    if (isKubeFault(error, 'kube/not-found')) return false;
    throw error;
  }
}

/** The name under which fields of objects are ours (metav1.ManagedFieldsEntry). */
export const fieldManager = 'banksman';

export function asObject(value: unknown, path: string): KubeObject {
  const object = value as Partial<KubeObject> | null;
  if (typeof object !== 'object' || object === null || typeof object.metadata?.name !== 'string') {
    throw new KubeFault('kube/bad-answer', `${path} was answered with something that is no object`);
  }
  return object as KubeObject;
}

/** `Deployment/ledger`, as people name objects. */
export function nameOf(object: Pick<KubeObject, 'kind' | 'metadata'>): string {
  return `${object.kind}/${object.metadata.name}`;
}
