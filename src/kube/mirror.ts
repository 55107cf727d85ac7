import { KubeFault } from './fault.ts';
import { createObjectIndex } from './object-index.ts';
import type { Cluster, Kind, KubeObject } from './types.ts';
import { watchObjects } from './watch.ts';

/** The objects of some kinds in a namespace, kept as they are in the cluster by watching; without their managedFields. */
export interface Mirror {
  /**
   * Objects of a kind now.
   *
   * @param owner uid: only those that belong to it, by owner reference; of events those that are about it
   */
  list(kind: string, owner?: string): readonly KubeObject[];
  /** An object by its name; undefined where it is not there. */
  find(kind: Kind, name: string): KubeObject | undefined;
  /**
   * Called after each change, and when the mirror fails.
   *
   * @param about only changes of these objects, of what they own, and of events about them
   * @returns how to end that
   */
  onChange(listener: () => void, about?: readonly KubeObject[]): () => void;
  /** Follows a further kind; waits until its objects are there. */
  follow(kind: Kind): Promise<void>;
  /** @throws the fault that a watch ended with */
  throwIfFailed(): void;
  /** Ends with the fault that a watch ended with; never without one. */
  readonly failure: Promise<never>;
  close(): void;
}

export interface MirrorOptions {
  readonly namespace: string;
  /** Milliseconds without anybody who waits for changes after which it ends, as with a connection that broke; never unless told. */
  readonly idle?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One watch for each kind, shared by all that look. Each is told of what concerns it: neither requests nor our own work grow with the
 * number of services times the number of those that wait.
 *
 * @throws KubeFault where the objects can't be listed at first
 */
export async function openMirror(
  cluster: Cluster,
  kinds: readonly Kind[],
  { namespace, idle, signal }: MirrorOptions,
): Promise<Mirror> {
  const stop = new AbortController();
  const ended = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const index = createObjectIndex();
  const everything = new Set<() => void>();
  const concerned = new Map<string, Set<() => void>>();
  const followed = new Map<string, Promise<void>>();
  let failed: { readonly error: unknown } | undefined;
  let reject: (error: unknown) => void = () => {};
  const failure = new Promise<never>((_, fail) => {
    reject = fail;
  });
  // It may be that nobody waits for it.
  failure.catch(() => {});
  const fail = (error: unknown) => {
    failed ??= { error };
    reject(error);
    for (const listener of [...everything, ...[...concerned.values()].flatMap((each) => [...each])]) listener();
  };
  const tell = (changed: readonly KubeObject[]) => {
    const called = new Set(everything);
    for (const object of concerned.size === 0 ? [] : changed) {
      for (const name of index.concerned(object)) {
        for (const listener of concerned.get(name) ?? []) called.add(listener);
      }
    }
    for (const listener of called) listener();
  };
  let users = 0;
  let rest: NodeJS.Timeout | undefined;
  const restIfIdle = () => {
    clearTimeout(rest);
    if (idle === undefined || users > 0 || ended.aborted) return;
    rest = setTimeout(() => {
      fail(new KubeFault('kube/unreachable', `nobody has looked into ${namespace} for a while`));
      stop.abort();
    }, idle);
    rest.unref();
  };
  const enter = (leave: () => void) => {
    users++;
    restIfIdle();
    let isThere = true;
    return () => {
      if (!isThere) return;
      isThere = false;
      leave();
      users--;
      restIfIdle();
    };
  };
  const follow = (kind: Kind): Promise<void> => {
    restIfIdle();
    const key = `${kind.apiVersion} ${kind.kind}`;
    const known = followed.get(key);
    if (known !== undefined) return known;
    const ready = new Promise<void>((resolve, reject) => {
      const run = async () => {
        const { namespaced } = await cluster.resource(kind);
        const selection = { ...(namespaced && { namespace }), signal: ended };
        for await (const event of watchObjects(cluster, kind, selection)) {
          if (event.type === 'all') {
            const changed = index.replace(kind, event.objects);
            resolve();
            tell(changed);
          } else {
            if (event.type === 'deleted') index.remove(event.object);
            else index.put(event.object);
            tell([event.object]);
          }
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
    list: index.list,
    find: index.find,
    onChange(listener, about) {
      if (about === undefined) {
        everything.add(listener);
        return enter(() => everything.delete(listener));
      }
      const names = about.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
      for (const name of names) concerned.set(name, (concerned.get(name) ?? new Set()).add(listener));
      return enter(() => {
        for (const name of names) {
          const listeners = concerned.get(name);
          listeners?.delete(listener);
          if (listeners?.size === 0) concerned.delete(name);
        }
      });
    },
    follow,
    throwIfFailed() {
      if (failed !== undefined) throw failed.error;
    },
    failure,
    close() {
      clearTimeout(rest);
      stop.abort();
    },
  };
}

/** Changes that somebody waits for, one after the other. */
export interface Changes {
  /**
   * Waits until something has changed since it last waited, and at most so long.
   *
   * @param most milliseconds
   * @throws the fault that the mirror ended with; the signal's reason
   */
  next(most: number): Promise<void>;
  end(): void;
}

/** @param about what counts, as for `onChange` */
export function changesIn(mirror: Mirror, about: readonly KubeObject[], signal?: AbortSignal): Changes {
  let changed = false;
  let wake = () => {};
  const notice = () => {
    changed = true;
    wake();
  };
  const forget = mirror.onChange(notice, about);
  signal?.addEventListener('abort', notice);
  return {
    async next(most) {
      if (!changed) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, most);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = () => {};
      }
      changed = false;
      signal?.throwIfAborted();
      mirror.throwIfFailed();
    },
    end() {
      forget();
      signal?.removeEventListener('abort', notice);
    },
  };
}
