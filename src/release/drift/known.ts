import { isDeepStrictEqual } from 'node:util';
import type { Database } from '../../database/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import { isKubeFault, type Kind, type KubeObject } from '../../kube/index.ts';
import { serviceSetId } from '../cluster/cluster-store.ts';
import type { Session } from '../cluster/session.ts';
import { ownEntry } from './fields.ts';
import { type Informer, markOf, openInformer, type Sighting } from './informer.ts';
import { contentOf, type Mark, type MarkSet, type Marks, openMarks } from './marks.ts';
import { objectKey } from './types.ts';

/** What is known of the objects of all releases without asking the clusters for each: how they are now, and how they were when all was well. */
export interface KnownObjects {
  readonly marks: Marks;
  informer(session: Session, environment: Environment): Informer;
  /** Calls the listener for each change. @param server address of the cluster */
  onSighting(listener: (server: string, sighting: Sighting) => void): void;
}

export interface KnownObjectsOptions {
  readonly database: Database;
  readonly clusters: {
    open(environment: Environment): Promise<Session>;
    forget(environment: Environment): void;
  };
  readonly onError: (error: unknown, about: string) => void;
  readonly signal: AbortSignal;
}

export function openKnownObjects({ database, clusters, onError, signal }: KnownObjectsOptions): KnownObjects {
  const informers = new Map<string, Informer>();
  const listeners: ((server: string, sighting: Sighting) => void)[] = [];
  return {
    marks: openMarks(database, onError),
    onSighting: (listener) => void listeners.push(listener),
    informer(session, environment) {
      const { server } = session.cluster;
      const known = informers.get(server);
      if (known !== undefined) return known;
      const informer = openInformer(async () => (await clusters.open(environment)).cluster, {
        onSighting: (sighting) => {
          for (const listener of listeners) listener(server, sighting);
        },
        onError(error, about) {
          if (isKubeFault(error, 'kube/unauthorized', 'kube/untrusted')) clusters.forget(environment);
          onError(error, about);
        },
        signal,
      });
      informers.set(server, informer);
      return informer;
    },
  };
}

/** Whether an object may be otherwise than it was: what is not all ours may be changed without our noticing. */
export function mayDiffer(known: Mark, now: Pick<Sighting, 'mark' | 'version'> | undefined): boolean {
  return known.mark !== now?.mark || (!known.held && known.version !== now?.version);
}

/** Says of an object, with its mark of the ApplySet, whether it is in the cluster as it was applied, as far as that is known. */
export type IsAsApplied = (object: KubeObject, namespaced: boolean) => boolean;

/** Looks at what is known of a service's objects, and begins to watch their kinds where nobody does. Asks nothing, waits for nothing. */
export function whatIsApplied(
  known: KnownObjects,
  session: Session,
  { service, environment }: { readonly service: Label; readonly environment: Environment },
  kinds: readonly Kind[],
): {
  readonly isAsApplied: IsAsApplied;
  readonly set: MarkSet | undefined;
  readonly members: () => readonly Sighting[];
} {
  const informer = known.informer(session, environment);
  const id = serviceSetId(service, session.namespace);
  const set = known.marks.get(service, environment.name);
  for (const kind of kinds) {
    // Whoever knows nothing compares.
    informer.follow(kind, session.namespace).catch(() => {});
  }
  return {
    set,
    members: () => informer.members(id),
    isAsApplied(object, namespaced) {
      const mark = set?.marks.get(objectKey(object, object.metadata.name));
      if (mark === undefined || mark.drift !== undefined || mark.content !== contentOf(object)) return false;
      const sighting = informer.find(object, namespaced ? session.namespace : undefined, object.metadata.name);
      return sighting?.mark !== undefined && sighting.set === id && !mayDiffer(mark, sighting);
    },
  };
}

/** An object that was brought in, with its mark of the ApplySet, and what is known of it since. */
export interface AppliedObject {
  readonly object: KubeObject;
  /** As it is in the cluster since; absent where nobody asked. */
  readonly after?: KubeObject | undefined;
  /** As it would be if it were applied again; absent where it was applied. */
  readonly wanted?: KubeObject | undefined;
}

/**
 * What is known of all objects of a service that were applied just now, or found to be as they should be.
 *
 * @param before what was known: it holds of those that nobody asked about
 */
export function appliedSet(basis: string, objects: readonly AppliedObject[], before: MarkSet | undefined): MarkSet {
  const marks = new Map<string, Mark>();
  for (const { object, after, wanted } of objects) {
    const key = objectKey(object, object.metadata.name);
    const known = before?.marks.get(key);
    const content = contentOf(object);
    if (after !== undefined) {
      const { resourceVersion: version } = after.metadata;
      const held = wanted === undefined || holdsAll(wanted, after);
      marks.set(key, { content, mark: markOf(after), version, held, drift: undefined });
    } else if (known?.content === content) marks.set(key, known);
  }
  const refs = objects.map(({ object: { apiVersion, kind, metadata } }) => ({ apiVersion, kind, name: metadata.name }));
  return { basis, objects: refs, marks };
}

/** Whether our manager holds each field that it would hold, were the object applied again. */
export function holdsAll(wanted: KubeObject, live: KubeObject): boolean {
  return isDeepStrictEqual(ownEntry(wanted)?.fieldsV1, ownEntry(live)?.fieldsV1);
}
