import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, isKubeFault, type Kind, type KubeObject, partOfLabel, watchObjects } from '../../kube/index.ts';
import { ownEntry } from './fields.ts';

/** An object as an informer knows it: not what is in it, only whether somebody may have changed what is ours. */
export interface Sighting {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  /** Id of its ApplySet. */
  readonly set: string;
  /** Undefined where it is gone. */
  readonly mark: string | undefined;
  /** Another one after each change, of whatever. */
  readonly version: string | undefined;
}

export interface Informer {
  /** Follows a kind; waits until all its objects were seen once. */
  follow(kind: Kind, namespace: string): Promise<void>;
  /** How an object was seen last; undefined where it is not there. */
  find(kind: Kind, namespace: string | undefined, name: string): Sighting | undefined;
  /** What is there of an ApplySet, of the kinds that are followed. */
  members(set: string): readonly Sighting[];
}

export interface InformerOptions {
  readonly onSighting: (sighting: Sighting) => void;
  readonly onError: (error: unknown, about: string) => void;
  readonly signal: AbortSignal;
}

/** Milliseconds between two tries of a watch that can't mend itself. */
const pause = 10_000;

/**
 * One watch for each kind in a cluster, of the metadata of objects that carry an ApplySet's label. Where our rights end at namespaces,
 * there is one for each namespace instead.
 */
export function openInformer(connected: () => Promise<Cluster>, options: InformerOptions): Informer {
  const known = new Map<string, Sighting>();
  const sets = new Map<string, Map<string, Sighting>>();
  const whole = new Map<string, Promise<boolean>>();
  const parts = new Map<string, Promise<void>>();

  /** @returns false where only namespaces may be watched */
  const watch = (kind: Kind, namespace: string | undefined): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const prefix = `${kind.apiVersion} ${kind.kind} `;
    const run = async () => {
      // Anew at each try: credentials may be others by then.
      const cluster = await connected();
      for await (const event of watchObjects(cluster, kind, {
        namespace,
        labelSelector: partOfLabel,
        metadataOnly: true,
        signal: options.signal,
      })) {
        if (event.type === 'all') {
          const there = new Set(
            event.objects.map((object) => keyOf(kind, object.metadata.namespace, object.metadata.name)),
          );
          for (const [key, sighting] of known) {
            const inScope = namespace === undefined || sighting.namespace === namespace;
            if (key.startsWith(prefix) && inScope && !there.has(key)) gone(key, sighting);
          }
          for (const object of event.objects) see(kind, object);
          resolve(true);
        } else if (event.type === 'deleted') {
          const key = keyOf(kind, event.object.metadata.namespace, event.object.metadata.name);
          const sighting = known.get(key);
          if (sighting !== undefined) gone(key, sighting);
        } else see(kind, event.object);
      }
    };
    const again = async () => {
      while (!options.signal.aborted) {
        try {
          await run();
        } catch (error) {
          if (namespace === undefined && isKubeFault(error, 'kube/forbidden')) return resolve(false);
          options.onError(error, `watching ${kind.kind}`);
          await sleep(pause, undefined, { signal: options.signal }).catch(() => {});
        }
      }
      resolve(true);
    };
    void again();
    return promise;
  };
  const gone = (key: string, sighting: Sighting) => {
    known.delete(key);
    leave(sighting.set, key);
    options.onSighting({ ...sighting, mark: undefined, version: undefined });
  };
  const leave = (set: string, key: string) => {
    const members = sets.get(set);
    members?.delete(key);
    if (members?.size === 0) sets.delete(set);
  };
  const see = ({ apiVersion, kind }: Kind, object: KubeObject) => {
    const { namespace, name, labels } = object.metadata;
    const key = keyOf({ apiVersion, kind }, namespace, name);
    const mark = markOf(object);
    const before = known.get(key);
    const set = labels?.[partOfLabel] ?? '';
    const sighting = { apiVersion, kind, namespace, name, set, mark, version: object.metadata.resourceVersion };
    known.set(key, sighting);
    if (before !== undefined && before.set !== set) leave(before.set, key);
    const members = sets.get(set);
    if (members === undefined) sets.set(set, new Map([[key, sighting]]));
    else members.set(key, sighting);
    // Taken over by another set: that is drift for the one before.
    if (before !== undefined && before.set !== set) options.onSighting({ ...sighting, set: before.set });
    options.onSighting(sighting);
  };
  return {
    async follow(kind, namespace) {
      const { namespaced } = await (await connected()).resource(kind);
      const id = `${kind.apiVersion} ${kind.kind}`;
      let all = whole.get(id);
      if (all === undefined) {
        all = watch(kind, undefined);
        whole.set(id, all);
      }
      if ((await all) || !namespaced) return;
      const part = parts.get(`${id} ${namespace}`) ?? watch(kind, namespace).then(() => {});
      parts.set(`${id} ${namespace}`, part);
      await part;
    },
    find: (kind, namespace, name) => known.get(keyOf(kind, namespace, name)),
    members: (set) => [...(sets.get(set)?.values() ?? [])],
  };
}

/**
 * A short mark of all of an object's metadata that matters here. Whoever changes one of our fields takes it from us, so that what our
 * manager holds is another; the generation is for those who write in our name.
 */
export function markOf(object: Pick<KubeObject, 'metadata'>): string {
  const { generation, uid, deletionTimestamp, labels } = object.metadata;
  const { fieldsV1, time } = ownEntry(object) ?? {};
  const text = JSON.stringify([
    uid,
    generation,
    deletionTimestamp !== undefined,
    labels?.[partOfLabel],
    fieldsV1,
    time,
  ]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

function keyOf({ apiVersion, kind }: Kind, namespace: string | undefined, name: string): string {
  return `${apiVersion} ${kind} ${namespace ?? ''}/${name}`;
}
