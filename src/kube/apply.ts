import { differences } from './compare.ts';
import { mapConcurrently } from './concurrent.ts';
import { objectPath } from './discover.ts';
import { isKubeFault, KubeFault } from './fault.ts';
import { asObject, fieldManager, getObject, nameOf } from './objects.ts';
import { inOrder } from './order.ts';
import type { Cluster, KubeObject } from './types.ts';

/** Requests under way at one time for one set of objects. */
const atOnce = 8;

export interface ApplyOptions {
  /** For objects of namespaced kinds that say none. */
  readonly namespace: string;
  /** Take over fields that another manager holds. */
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface PlanOptions extends ApplyOptions {
  /** Whether an object is known to be in the cluster as it was applied: nothing is asked about it. */
  readonly isAsApplied?: ((object: KubeObject, namespaced: boolean) => boolean) | undefined;
  /**
   * None of the objects is there yet, most likely. Then the one that is applied first is not asked about before: applying it, alone and
   * before all others, is the question, and where it is refused nothing has been applied.
   */
  readonly areNew?: boolean | undefined;
}

/**
 * Server-side apply of one object (Kubernetes reference "Server-Side Apply"); unknown fields are errors.
 *
 * @returns the object as it is afterwards, or would be with `dryRun`
 * @throws KubeFault kube/conflict, kube/invalid with the fields; kube/unknown-kind, ...
 */
export async function applyObject(cluster: Cluster, object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
  const resource = await cluster.resource(object);
  const placed = place(object, resource.namespaced ? options.namespace : undefined);
  const path = objectPath(resource, placed.metadata);
  return asObject(
    await cluster.request({
      method: 'PATCH',
      path,
      query: {
        fieldManager,
        fieldValidation: 'Strict',
        force: options.force ?? false,
        dryRun: options.dryRun ? 'All' : undefined,
      },
      body: withoutStringData(placed),
      contentType: 'application/apply-patch+yaml',
      signal: options.signal,
    }),
    path,
  );
}

/** What applying an object would do. */
export interface PlannedObject {
  readonly object: KubeObject;
  readonly action: 'create' | 'configure' | 'unchanged';
  /** As it is in the cluster now; as it was applied where that is known to be so. */
  readonly live: KubeObject | undefined;
  /** As it would be; unknown where its kind is yet to come. */
  readonly after?: KubeObject | undefined;
  /** Fields that would change. */
  readonly changes: readonly string[];
  /** Nobody has asked whether it can be applied: it is to be the first, alone. */
  readonly isFirst?: boolean | undefined;
}

/**
 * Compares a set of objects with the cluster, by dry run on the server: its defaults, webhooks and validation take part, and
 * what differs only in how it is written does not count. Changes nothing.
 *
 * @throws ObjectFault: the first object that can't be applied, the others behind it
 */
export async function planApply(
  cluster: Cluster,
  objects: readonly KubeObject[],
  { isAsApplied = () => false, areNew = false, ...options }: PlanOptions,
): Promise<PlannedObject[]> {
  const unasked = areNew ? inOrder(objects)[0]?.[0] : undefined;
  const comes = new Set(objects.filter(({ kind }) => kind === 'CustomResourceDefinition').map(definedKind));
  const failures: ObjectFault[] = [];
  const planned = await mapConcurrently(objects, atOnce, async (object): Promise<PlannedObject | undefined> => {
    try {
      const { namespaced } = await cluster.resource(object);
      if (object === unasked) return { object, action: 'create', live: undefined, changes: [], isFirst: true };
      if (isAsApplied(object, namespaced)) return { object, action: 'unchanged', live: object, changes: [] };
      const name = { ...object, ...object.metadata, namespace: namespaced ? options.namespace : undefined };
      const after = await applyObject(cluster, object, { ...options, dryRun: true });
      // What is nowhere stored has no version.
      const isNew = after.metadata.resourceVersion === undefined;
      const live = isNew ? undefined : await getObject(cluster, name, { signal: options.signal });
      if (live === undefined) return { object, action: 'create', live, after, changes: [] };
      const changes = differences(live, after);
      return { object, action: changes.length === 0 ? 'unchanged' : 'configure', live, after, changes };
    } catch (error) {
      const own = comes.has(`${object.apiVersion.split('/')[0]} ${object.kind}`);
      if (own && isKubeFault(error, 'kube/unknown-kind')) {
        return { object, action: 'create', live: undefined, changes: [] };
      }
      if (!isKubeFault(error) || !aboutObject.includes(error.code)) throw error;
      failures.push(new ObjectFault(object, error));
      return undefined;
    }
  });
  const [first, ...others] = failures;
  if (first !== undefined) throw others.length === 0 ? first : new ObjectFault(first.object, first.reason, others);
  return planned.filter((plan) => plan !== undefined);
}

/**
 * Applies what a plan would change, in the order that kinds need.
 *
 * @returns every object of the plan as it is now, those included that were not touched
 */
export async function applyPlan(
  cluster: Cluster,
  plan: readonly PlannedObject[],
  options: ApplyOptions,
): Promise<KubeObject[]> {
  const now = plan.flatMap(({ action, live }) => (action === 'unchanged' && live !== undefined ? [live] : []));
  const due = plan.filter(({ action }) => action !== 'unchanged');
  const first = due.filter(({ isFirst }) => isFirst).map(({ object }) => object);
  const others = due.filter(({ isFirst }) => !isFirst).map(({ object }) => object);
  for (const group of [...(first.length > 0 ? [first] : []), ...inOrder(others)]) {
    await mapConcurrently(group, atOnce, async (object) => {
      try {
        now.push(await applyObject(cluster, object, options));
      } catch (error) {
        if (!isKubeFault(error) || !aboutObject.includes(error.code)) throw error;
        throw new ObjectFault(object, error);
      }
    });
    const definitions = group.filter(({ kind }) => kind === 'CustomResourceDefinition');
    if (definitions.length > 0) await untilServed(cluster, definitions, options.signal);
  }
  return now;
}

/** A refusal with the object that it is about. */
export class ObjectFault extends KubeFault {
  readonly object: KubeObject;
  readonly reason: KubeFault;

  constructor(object: KubeObject, reason: KubeFault, others: readonly ObjectFault[] = []) {
    const { notes, next, fields, retryAfter } = reason;
    super(reason.code, `${nameOf(object)}: ${reason.message}`, {
      notes,
      next,
      fields,
      retryAfter,
      others,
      cause: reason,
    });
    this.object = object;
    this.reason = reason;
  }
}

const aboutObject: readonly string[] = [
  'kube/invalid',
  'kube/conflict',
  'kube/forbidden',
  'kube/unknown-kind',
  'kube/not-found',
  'kube/changed',
];

function place(object: KubeObject, namespace: string | undefined): KubeObject {
  const { namespace: said, ...metadata } = object.metadata;
  if (namespace === undefined) return { ...object, metadata };
  return { ...object, metadata: { ...metadata, namespace: said ?? namespace } };
}

/**
 * A Secret's `stringData` as `data`. The server merges it on writing and forgets whose it was, so that a key that leaves the
 * manifest would stay in the cluster for ever.
 */
function withoutStringData(object: KubeObject): KubeObject {
  const { stringData, ...rest } = object;
  if (object.kind !== 'Secret' || object.apiVersion !== 'v1' || typeof stringData !== 'object' || stringData === null) {
    return object;
  }
  const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(String(text)).toString('base64')]);
  return { ...rest, data: { ...(rest.data as object | undefined), ...Object.fromEntries(encoded) } };
}

function definedKind(definition: KubeObject): string {
  const { group, names } = definition.spec as { group?: string; names?: { kind?: string } };
  return `${group} ${names?.kind}`;
}

/** A definition is accepted before its kind is served. */
async function untilServed(
  cluster: Cluster,
  definitions: readonly KubeObject[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (const definition of definitions) {
    for (;;) {
      const live = await getObject(cluster, { ...definition, name: definition.metadata.name }, { signal });
      const conditions = (live?.status as { conditions?: { type: string; status: string }[] } | undefined)?.conditions;
      if (conditions?.some(({ type, status }) => type === 'Established' && status === 'True')) break;
      if (Date.now() > deadline) {
        throw new KubeFault('kube/timed-out', `${nameOf(definition)} is not served after 30 s`, {
          next: `see its conditions: kubectl describe crd ${definition.metadata.name}`,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  cluster.forgetResources();
}
