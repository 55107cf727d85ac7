import type { Place } from '../../fault/index.ts';
import {
  applyPlan,
  asMember,
  type Cluster,
  groupKinds,
  type KubeObject,
  ObjectFault,
  type PlannedObject,
  type PlanOptions,
  planApply,
  prune,
} from '../../kube/index.ts';
import type { ManifestDocument } from '../../manifest/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { ObjectChange, Service } from '../types.ts';
import { serviceSetId } from './cluster-store.ts';

/** A service's objects on their way into an environment. */
export interface ServiceObjects {
  readonly service: Pick<Service, 'label'>;
  /** With places for what the API server may say of their fields. */
  readonly documents: readonly ManifestDocument[];
  readonly cluster: Cluster;
  readonly namespace: string;
  /** Take over fields that another field manager holds. */
  readonly force: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** The objects with the mark of the service's ApplySet: what is applied. */
export function membersIn({ service, documents, namespace }: ServiceObjects): KubeObject[] {
  const id = serviceSetId(service.label, namespace);
  return documents.map(({ object }) => asMember(object as unknown as KubeObject, id));
}

/**
 * What applying them would do; changes nothing.
 *
 * @param hints what is known of them without asking
 */
export function planObjects(
  objects: ServiceObjects,
  hints: Pick<PlanOptions, 'isAsApplied' | 'areNew'> = {},
): Promise<PlannedObject[]> {
  return planApply(objects.cluster, membersIn(objects), { ...optionsOf(objects), ...hints });
}

/** Applies what a plan would change. @returns all of them as they are now */
export function applyObjects(objects: ServiceObjects, plan: readonly PlannedObject[]): Promise<KubeObject[]> {
  return applyPlan(objects.cluster, plan, optionsOf(objects));
}

/**
 * What is in the cluster and left the manifests.
 *
 * @param kinds to look through: all that the service ever had
 * @param preciousToo namespaces, volumes and definitions too
 * @param dryRun only look
 */
export async function pruneObjects(
  { service, documents, cluster, namespace, signal }: ServiceObjects,
  kinds: readonly string[],
  { preciousToo = false, dryRun = false }: { readonly preciousToo?: boolean; readonly dryRun?: boolean } = {},
): Promise<{ readonly deleted: readonly KubeObject[]; readonly kept: readonly KubeObject[] }> {
  if (kinds.length === 0) return { deleted: [], kept: [] };
  return await prune(cluster, {
    id: serviceSetId(service.label, namespace),
    namespace,
    keep: documents.map(({ object }) => object as unknown as KubeObject),
    kinds,
    preciousToo,
    dryRun,
    signal,
  });
}

/**
 * Kinds of the objects, as an ApplySet names them.
 *
 * @param kept what left the manifests and stays: it is still looked for by the next pruning
 */
export function kindsOf({ documents }: Pick<ServiceObjects, 'documents'>, kept: readonly KubeObject[] = []): string[] {
  return groupKinds([...documents.map(({ object }) => object), ...kept]);
}

export function asChange({ object, action }: PlannedObject): ObjectChange {
  const done = { create: 'created', configure: 'configured', unchanged: 'unchanged' } as const;
  return change(object, done[action]);
}

export function change({ kind, metadata }: KubeObject, action: ObjectChange['action']): ObjectChange {
  return { kind, name: metadata.name, action };
}

/** What the API server refuses, at the place of the manifest where it is written. Other errors are left as they are. */
export function toldBySource(
  error: unknown,
  { documents, service }: Pick<ServiceObjects, 'documents' | 'service'>,
): unknown {
  if (!(error instanceof ObjectFault)) return error;
  const one = (fault: ObjectFault): ReleaseFault => {
    const document = documents.find(
      ({ object }) => object.kind === fault.object.kind && object.metadata.name === fault.object.metadata.name,
    );
    const [field] = fault.fields;
    const place: Place | undefined = document && (field ? document.locate(field.path) : document.place);
    const related = document
      ? fault.fields.slice(1).map(({ path, message }) => ({ message, place: document.locate(path) }))
      : [];
    return new ReleaseFault('release/rejected', `the cluster refuses ${service.label}: ${fault.message}`, {
      place,
      related,
      notes: fault.notes,
      next: fault.next,
      cause: fault.reason,
      others: fault.others.filter((other) => other instanceof ObjectFault).map(one),
    });
  };
  return one(error);
}

function optionsOf({ namespace, force, signal }: ServiceObjects) {
  return { namespace, force, signal };
}
