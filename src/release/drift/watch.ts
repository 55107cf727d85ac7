import { setTimeout as sleep } from 'node:timers/promises';
import { readEntries } from '../../audit/index.ts';
import type { Database } from '../../database/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import { asMember, isKubeFault, type Kind, type KubeObject, partOfLabel } from '../../kube/index.ts';
import { serviceSetId } from '../cluster-store.ts';
import { isInForce, isRemoval, liveRollout, type Placement } from '../model/index.ts';
import type { Actor, LeaderLease, PlacementStore } from '../placement/index.ts';
import { listPlaces } from '../placement/index.ts';
import type { Session } from '../session.ts';
import { compareObject } from './compare.ts';
import { correct } from './correct.ts';
import { recent, settledRelease, whyLeft } from './decide.ts';
import { type Informer, markOf, openInformer, type Sighting } from './informer.ts';
import { migrateDrift, newestEntry, readDrift, writeDrift } from './store.ts';
import { type Drift, type DriftedObject, objectKey } from './types.ts';

export interface DriftOptions {
  readonly database: Database;
  readonly store: Pick<PlacementStore, 'read'>;
  readonly environments: ReadonlyMap<string, Environment>;
  /** How an environment's cluster is reached; may give the same session again. */
  readonly clusters: {
    open(environment: Environment): Promise<Session>;
    /** The next who asks gets a new one: these credentials are refused. */
    forget(environment: Environment): void;
  };
  /** What a release makes of a service in an environment: the objects that serve. */
  readonly objectsOf: (
    service: Label,
    environment: Environment,
    release: string,
    signal: AbortSignal,
  ) => Promise<readonly KubeObject[]>;
  /** Without it nobody else may be leading. */
  readonly lease?: LeaderLease | undefined;
  /** Milliseconds since the epoch: the times that go into the record. */
  readonly now: () => number;
  /** For the audit log: unique among all servers. */
  readonly source: string;
  /** What was found at each look that found or ended something, and what was put right at once. */
  readonly observe?: ((drift: Drift, corrected: readonly DriftedObject[]) => void) | undefined;
  /** What went wrong and is tried again. */
  readonly onError: (error: unknown, about: string, names?: { service: Label; environment: string }) => void;
  readonly signal: AbortSignal;
}

/** Milliseconds. Edits come in swarms; they are looked at together. */
const gather = 30;
/** Milliseconds between two looks for rollouts that ended and holds that were lifted. */
const pace = 1_000;
/** Milliseconds after which a look that did not succeed is tried again. */
const again = 5_000;
/** Services that are compared at one time, and objects of each. */
const atOnce = 4;

/** A service in an environment, as it is watched. */
interface Place {
  readonly service: Label;
  readonly environment: Environment;
  /** Release that the marks are about. */
  release?: string;
  objects: readonly KubeObject[];
  /** What the objects were like when they were compared, by key. */
  readonly marks: Map<string, Mark>;
  /** To be looked at; the timer that does it. */
  timer?: NodeJS.Timeout | undefined;
  looking: boolean;
  asked: boolean;
}

/** What an object was like when it was compared. */
interface Mark {
  /** Undefined where it was not there. */
  readonly mark: string | undefined;
  readonly version: string | undefined;
  readonly held: boolean;
  readonly drift: DriftedObject | undefined;
}

/** Whether an object may be otherwise than it was: what is not all ours may be changed without our noticing. */
function mayDiffer(known: Mark, now: Pick<Sighting, 'mark' | 'version'> | undefined): boolean {
  return known.mark !== now?.mark || (!known.held && known.version !== now?.version);
}

/**
 * Watches everything that was rolled out, finds what somebody changed or deleted, and puts it right where the environment says so.
 * Runs on the server that leads, until the signal aborts.
 *
 * An object is only compared when its metadata says that somebody took one of our fields or changed it in our name, and once when the
 * watching begins.
 */
export async function watchDrift(options: DriftOptions): Promise<void> {
  const { database, environments, signal } = options;
  await migrateDrift(database);
  const watcher = createWatcher(options);
  let seen: number | undefined;
  while (!signal.aborted) {
    try {
      if (seen === undefined) {
        const newest = await newestEntry(database);
        for (const { service, environment } of await listPlaces(database)) watcher.wake(service, environment);
        seen = newest;
      } else {
        const entries = await readEntries(database, { after: seen, limit: 500 });
        for (const { number, event } of entries) {
          seen = number;
          if (!/^(?:rollout|hold)\./.test(event.action)) continue;
          const [service = '', environment = ''] = event.subject.split(' in ');
          if (environments.has(environment)) watcher.wake(service as Label, environment);
        }
        if (entries.length === 500) continue;
      }
    } catch (error) {
      options.onError(error, 'what was rolled out');
    }
    await sleep(pace, undefined, { signal }).catch(() => {});
  }
  await watcher.ended();
}

function createWatcher(options: DriftOptions) {
  const { store, environments, clusters, signal, now, onError } = options;
  const places = new Map<string, Place>();
  const informers = new Map<string, Informer>();
  const bySet = new Map<string, Place>();
  const work = new Set<Promise<void>>();
  const queue: Place[] = [];

  const wake = (service: Label, name: string) => {
    const environment = environments.get(name);
    if (environment === undefined) return;
    const key = `${service} in ${name}`;
    let place = places.get(key);
    if (place === undefined) {
      place = { service, environment, objects: [], marks: new Map(), looking: false, asked: false };
      places.set(key, place);
    }
    schedule(place, 0);
  };
  const schedule = (place: Place, after: number) => {
    if (place.looking) {
      place.asked = true;
      return;
    }
    if (place.timer !== undefined && after > 0 && after < again) return;
    clearTimeout(place.timer);
    place.timer = setTimeout(() => {
      place.timer = undefined;
      if (signal.aborted || queue.includes(place)) return;
      queue.push(place);
      next();
    }, after);
    place.timer.unref();
  };
  const next = () => {
    while (work.size < atOnce && !signal.aborted) {
      const place = queue.shift();
      if (place === undefined) return;
      place.looking = true;
      place.asked = false;
      const running = lookAt(place).finally(() => {
        place.looking = false;
        work.delete(running);
        if (place.asked) schedule(place, gather);
        next();
      });
      work.add(running);
    }
  };
  const informerOf = (session: Session, environment: Environment): Informer => {
    const id = session.cluster.server;
    let informer = informers.get(id);
    if (informer === undefined) {
      informer = openInformer(async () => (await clusters.open(environment)).cluster, {
        onSighting: (sighting) => sighted(id, sighting),
        onError(error, about) {
          if (isKubeFault(error, 'kube/unauthorized', 'kube/untrusted')) clusters.forget(environment);
          onError(error, about);
        },
        signal,
      });
      informers.set(id, informer);
    }
    return informer;
  };
  const sighted = (server: string, sighting: Sighting) => {
    const place = bySet.get(`${server} ${sighting.set}`);
    if (place === undefined) return;
    const known = place.marks.get(objectKey(sighting, sighting.name));
    // What is being compared for the first time may change between the comparison and its mark.
    if (known === undefined ? place.looking : mayDiffer(known, sighting)) schedule(place, gather);
  };
  const lookAt = async (place: Place): Promise<void> => {
    const about = `drift of ${place.service} in ${place.environment.name}`;
    try {
      await look(place);
    } catch (error) {
      if (signal.aborted) return;
      onError(error, about, { service: place.service, environment: place.environment.name });
      if (isKubeFault(error, 'kube/unauthorized', 'kube/untrusted')) clusters.forget(place.environment);
      place.asked = false;
      setTimeout(() => schedule(place, 0), again).unref();
    }
  };

  const look = async (place: Place): Promise<void> => {
    const { service, environment, marks } = place;
    const placement = await store.read(service, environment.name);
    const release = settledRelease(placement);
    if (release === undefined) return await forget(place, placement);
    const session = await clusters.open(environment);
    const informer = informerOf(session, environment);
    if (place.release !== release.id) {
      marks.clear();
      const id = serviceSetId(service, session.namespace);
      const objects = await options.objectsOf(service, environment, release.id, signal);
      place.objects = objects.map((object) => asMember(object, id));
      place.release = release.id;
      bySet.set(`${session.cluster.server} ${id}`, place);
    }
    await Promise.all(kindsOf(place.objects).map((kind) => informer.follow(kind, session.namespace)));
    const due: DriftedObject[] = [];
    const live = new Map<string, KubeObject | undefined>();
    for (const object of place.objects) {
      const key = objectKey(object, object.metadata.name);
      const { namespaced } = await session.cluster.resource(object);
      const sighting = informer.find(object, namespaced ? session.namespace : undefined, object.metadata.name);
      const known = marks.get(key);
      let drift = known?.drift;
      // What drifted is compared again: it may be put right now, and that asks for how it is now.
      if (known === undefined || mayDiffer(known, sighting) || drift !== undefined) {
        const compared = await compareObject(session.cluster, object, session.namespace, now(), signal);
        const { since } = known?.drift ?? { since: undefined };
        const is = compared.live;
        const taken = compared.drift && (await takenBy(place, object, is, session.namespace));
        drift = compared.drift && {
          ...compared.drift,
          since: since ?? compared.drift.since,
          ...(taken && { left: taken }),
        };
        live.set(key, is);
        const mark = is && markOf(is);
        marks.set(key, { mark, version: is?.metadata.resourceVersion, held: compared.held, drift });
      }
      if (drift !== undefined) due.push(drift);
    }
    await settle(place, placement, release.id, session, due, live);
  };

  /** Two services never take an object from each other in turn: one that took it over, as after a renaming, keeps it. */
  const takenBy = async (
    { environment }: Place,
    object: KubeObject,
    live: KubeObject | undefined,
    namespace: string,
  ): Promise<string | undefined> => {
    const set = live?.metadata.labels?.[partOfLabel];
    if (set === undefined || set === object.metadata.labels?.[partOfLabel]) return undefined;
    const known = await listPlaces(options.database);
    const owner = known.find(
      (each) => each.environment === environment.name && serviceSetId(each.service, namespace) === set,
    );
    return owner && `${owner.service} has taken it over`;
  };

  /** Nothing of a service that was removed is wanted any more, and what was told of its drift is over. */
  const forget = async (place: Place, placement: Placement): Promise<void> => {
    const live = liveRollout(placement);
    if (live === undefined || !isRemoval(live)) return;
    const { service, environment } = place;
    for (const [key, each] of bySet) if (each === place) bySet.delete(key);
    place.marks.clear();
    place.objects = [];
    delete place.release;
    if (live.state !== 'removed') return;
    const drift: Drift = {
      service,
      environment: environment.name,
      release: live.release.id,
      objects: [],
      corrections: {},
    };
    const actor: Actor = { who: 'banksman', source: options.source };
    await writeDrift(options.database, drift, [], actor, now(), options.lease);
  };

  /** Puts right what may be, and writes down how it is. */
  const settle = async (
    place: Place,
    placement: Placement,
    release: string,
    session: Session,
    due: readonly DriftedObject[],
    live: ReadonlyMap<string, KubeObject | undefined>,
  ): Promise<void> => {
    const { service, environment, marks } = place;
    const before = await readDrift(options.database, service, environment.name);
    if (due.length === 0 && before === undefined) return;
    const earlier = before?.release === release ? before.corrections : {};
    const corrections: Record<string, readonly number[]> = {};
    for (const [key, times] of Object.entries(earlier)) {
      const kept = recent(times, now());
      if (kept.length > 0) corrections[key] = kept;
    }
    const left: DriftedObject[] = [];
    const wrong: DriftedObject[] = [];
    for (const object of due) {
      const key = objectKey(object, object.name);
      const holder = object.fields.find(({ by }) => by !== undefined)?.by?.manager;
      const why = object.left ?? whyLeft(environment, placement, corrections[key] ?? [], holder, now());
      const since = before?.objects.find((each) => objectKey(each, each.name) === key)?.since ?? object.since;
      if (why === undefined) wrong.push({ ...object, since });
      else left.push({ ...object, since, left: why });
    }
    const done =
      wrong.length === 0
        ? new Map<string, KubeObject>()
        : await correct({
            session,
            service,
            holder: `drift-${options.source}`,
            mayGoOn: async () => settledRelease(await store.read(service, environment.name))?.id === release,
            objects: place.objects.filter((object) =>
              wrong.some((each) => objectKey(each, each.name) === objectKey(object, object.metadata.name)),
            ),
            live: (object) => live.get(objectKey(object, object.metadata.name)),
            signal,
          });
    if (done.size < wrong.length) setTimeout(() => schedule(place, 0), pace).unref();
    const corrected = wrong.filter((object) => done.has(objectKey(object, object.name)));
    for (const object of wrong) {
      const key = objectKey(object, object.name);
      const put = done.get(key);
      if (put !== undefined) {
        corrections[key] = [...(corrections[key] ?? []), now()];
        marks.set(key, { mark: markOf(put), version: put.metadata.resourceVersion, held: true, drift: undefined });
      } else {
        // Somebody came between, or is applying: it is looked at anew.
        marks.delete(key);
      }
    }
    const drift: Drift = { service, environment: environment.name, release, objects: left, corrections };
    const actor: Actor = { who: 'banksman', source: options.source };
    await writeDrift(options.database, drift, corrected, actor, now(), options.lease);
    options.observe?.(drift, corrected);
    const ends = placement.holds.flatMap((hold) => (isInForce(hold, now()) ? (hold.until ?? []) : []));
    if (left.length > 0 && ends.length > 0) {
      setTimeout(() => schedule(place, 0), Math.min(2 ** 31 - 1, Math.min(...ends) - now() + 1)).unref();
    }
  };

  return {
    wake,
    async ended() {
      for (const { timer } of places.values()) clearTimeout(timer);
      while (work.size > 0) await Promise.allSettled(work);
    },
  };
}

function kindsOf(objects: readonly KubeObject[]): Kind[] {
  return [...new Map(objects.map(({ apiVersion, kind }) => [`${apiVersion} ${kind}`, { apiVersion, kind }])).values()];
}
