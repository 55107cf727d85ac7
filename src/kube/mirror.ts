import type { Cluster, Kind, KubeObject } from './types.ts';
import { watchObjects } from './watch.ts';

/** The objects of some kinds in a namespace, kept as they are in the cluster by watching. */
export interface Mirror {
  /** Objects of a kind now. */
  list(kind: string): readonly KubeObject[];
  /** Called after each change. @returns how to end that */
  onChange(listener: () => void): () => void;
  /** Follows a further kind; waits until its objects are there. */
  follow(kind: Kind): Promise<void>;
  /** Ends with the fault that a watch ended with; never without one. */
  readonly failure: Promise<never>;
  close(): void;
}

/**
 * One watch for each kind, shared by all that look: the cost does not grow with the number of services.
 *
 * @throws KubeFault where the objects can't be listed at first
 */
export async function openMirror(
  cluster: Cluster,
  kinds: readonly Kind[],
  { namespace, signal }: { readonly namespace: string; readonly signal?: AbortSignal | undefined },
): Promise<Mirror> {
  const stop = new AbortController();
  const ended = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const objects = new Map<string, Map<string, KubeObject>>();
  const listeners = new Set<() => void>();
  const followed = new Map<string, Promise<void>>();
  let fail: (error: unknown) => void = () => {};
  const failure = new Promise<never>((_, reject) => {
    fail = reject;
  });
  // It may be that nobody waits for it.
  failure.catch(() => {});
  const follow = (kind: Kind): Promise<void> => {
    const key = `${kind.apiVersion} ${kind.kind}`;
    const known = followed.get(key);
    if (known !== undefined) return known;
    const ready = new Promise<void>((resolve, reject) => {
      const run = async () => {
        const { namespaced } = await cluster.resource(kind);
        const selection = { ...(namespaced && { namespace }), signal: ended };
        for await (const event of watchObjects(cluster, kind, selection)) {
          let held = objects.get(kind.kind);
          if (event.type === 'all') {
            held = new Map(event.objects.map((object) => [identity(object), object]));
            objects.set(kind.kind, held);
            resolve();
          } else if (event.type === 'deleted') held?.delete(identity(event.object));
          else held?.set(identity(event.object), event.object);
          for (const listener of listeners) listener();
        }
        // Ended by the signal, maybe before the first list.
        reject(ended.reason);
      };
      run().catch((error: unknown) => {
        reject(error);
        fail(error);
      });
    });
    ready.catch(() => {});
    followed.set(key, ready);
    return ready;
  };
  try {
    await Promise.all(kinds.map(follow));
  } catch (error) {
    stop.abort();
    throw error;
  }
  return {
    list: (kind) => [...(objects.get(kind)?.values() ?? [])],
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    follow,
    failure,
    close: () => stop.abort(),
  };
}

function identity({ metadata }: KubeObject): string {
  return metadata.uid ?? metadata.name;
}
