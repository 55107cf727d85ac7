import { setTimeout as sleep } from 'node:timers/promises';
import { readEntries } from '../../audit/index.ts';
import type { Database } from '../../database/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import { asMember, isKubeFault, type Kind, type KubeObject, partOfLabel } from '../../kube/index.ts';
import { serviceSetId } from '../cluster/cluster-store.ts';
import type { Session } from '../cluster/session.ts';
import { isInForce, isRemoval, liveRollout, type Placement } from '../model/index.ts';
import type { Actor, LeaderLease, PlacementStore } from '../placement/index.ts';
import { listPlaces } from '../placement/index.ts';
import { compareObject } from './compare.ts';
import { correct } from './correct.ts';
import { recent, settledRelease, whyLeft } from './decide.ts';
import { markOf, type Sighting } from './informer.ts';
import { appliedSet, type KnownObjects, mayDiffer, openKnownObjects } from './known.ts';
import { basisOf, contentOf, type Mark } from './marks.ts';
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
  /** What is known of the objects, shared with whoever applies them; its own where it is absent. */
  readonly known?: KnownObjects | undefined;
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
/** Services that are looked at at one time. */
const atOnce = 16;

/** A service in an environment, as it is watched. */
interface Place {
  readonly service: Label;
  readonly environment: Environment;
  /** To be looked at; the timer that does it. */
  timer?: NodeJS.Timeout | undefined;
  looking: boolean;
  asked: boolean;
}

/**
 * Watches everything that was rolled out, finds what somebody changed or deleted, and puts it right where the environment says so.
 * Runs on the server that leads, until the signal aborts.
 *
 * An object is only compared when its metadata says that somebody took one of our fields or changed it in our name, and where nobody has
 * compared or applied it before.
 */
export async function watchDrift(options: DriftOptions): Promise<void> {
  const { database, environments, signal, known = openKnownObjects(options) } = options;
  await migrateDrift(database);
  const watcher = createWatcher(options, known);
  let seen: number | undefined;
  while (!signal.aborted) {
    try {
      if (seen === undefined) {
        await known.marks.load();
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

function createWatcher(options: DriftOptions, known: KnownObjects) {
  const { store, environments, clusters, signal, now, onError } = options;
  const places = new Map<string, Place>();
  const bySet = new Map<string, Place>();
  const work = new Set<Promise<void>>();
  const queue: Place[] = [];

  const wake = (service: Label, name: string) => {
    const environment = environments.get(name);
    if (environment === undefined) return;
    const key = `${service} in ${name}`;
    let place = places.get(key);
    if (place === undefined) {
      place = { service, environment, looking: false, asked: false };
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
  const sighted = (server: string, sighting: Sighting) => {
    const place = bySet.get(`${server} ${sighting.set}`);
    if (place === undefined) return;
    const { marks } = known.marks.get(place.service, place.environment.name) ?? {};
    const mark = marks?.get(objectKey(sighting, sighting.name));
    // What is being compared for the first time may change between the comparison and its mark.
    if (mark === undefined ? place.looking : mayDiffer(mark, sighting)) schedule(place, gather);
  };
  known.onSighting(sighted);
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
    const { service, environment } = place;
    const placement = await store.read(service, environment.name);
    const release = settledRelease(placement);
    if (release === undefined) return await forget(place, placement);
    const session = await clusters.open(environment);
    const informer = known.informer(session, environment);
    const id = serviceSetId(service, session.namespace);
    bySet.set(`${session.cluster.server} ${id}`, place);
    let objects: readonly KubeObject[] | undefined;
    // Only where something has to be compared.
    const rendered = async () => {
      objects ??= (await options.objectsOf(service, environment, release.id, signal)).map((each) => asMember(each, id));
      return objects;
    };
    const basis = basisOf(release.id, environment);
    const before = known.marks.get(service, environment.name);
    const set =
      before?.basis === basis
        ? before
        : appliedSet(
            basis,
            (await rendered()).map((object) => ({ object })),
            before,
          );
    const marks = new Map(set.marks);
    let last = before;
    const keep = () => {
      // Whoever has applied something since knows better.
      if (known.marks.get(service, environment.name) !== last) {
        place.asked = true;
        return;
      }
      last = { ...set, marks: new Map(marks) };
      known.marks.set(service, environment.name, last);
    };
    await Promise.all(kindsOf(set.objects).map((kind) => informer.follow(kind, session.namespace)));
    let isNew = set !== before;
    const due: DriftedObject[] = [];
    const live = new Map<string, KubeObject | undefined>();
    for (const ref of set.objects) {
      const key = objectKey(ref, ref.name);
      const { namespaced } = await session.cluster.resource(ref);
      const sighting = informer.find(ref, namespaced ? session.namespace : undefined, ref.name);
      const mark = marks.get(key);
      let drift = mark?.drift;
      // What drifted is compared again: it may be put right now, and that asks for how it is now.
      if (mark === undefined || mayDiffer(mark, sighting) || drift !== undefined) {
        const object = (await rendered()).find((each) => objectKey(each, each.metadata.name) === key);
        if (object === undefined) throw new Error(`release ${release.id} has no ${key} any more`);
        const compared = await compareObject(session.cluster, object, session.namespace, now(), signal);
        const { since } = mark?.drift ?? { since: undefined };
        const is = compared.live;
        const taken = compared.drift && (await takenBy(place, object, is, session.namespace));
        drift = compared.drift && {
          ...compared.drift,
          since: since ?? compared.drift.since,
          ...(taken && { left: taken }),
        };
        live.set(key, is);
        const content = contentOf(object);
        const { held } = compared;
        marks.set(key, { content, mark: is && markOf(is), version: is?.metadata.resourceVersion, held, drift });
        isNew = true;
      }
      if (drift !== undefined) due.push(drift);
    }
    if (isNew) keep();
    if (await settle(place, placement, release.id, session, { due, live, marks, rendered })) keep();
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
    known.marks.set(service, environment.name, { basis: '', objects: [], marks: new Map() });
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

  /** Puts right what may be, and writes down how it is. @returns whether something of the marks is new */
  const settle = async (
    place: Place,
    placement: Placement,
    release: string,
    session: Session,
    { due, live, marks, rendered }: Found,
  ): Promise<boolean> => {
    const { service, environment } = place;
    const before = await readDrift(options.database, service, environment.name);
    if (due.length === 0 && before === undefined) return false;
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
            objects: (await rendered()).filter((object) =>
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
        const content = marks.get(key)?.content ?? '';
        const { resourceVersion: version } = put.metadata;
        marks.set(key, { content, mark: markOf(put), version, held: true, drift: undefined });
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
    return wrong.length > 0;
  };

  return {
    wake,
    async ended() {
      for (const { timer } of places.values()) clearTimeout(timer);
      while (work.size > 0) await Promise.allSettled(work);
    },
  };
}

/** What a look has found. */
interface Found {
  readonly due: readonly DriftedObject[];
  /** Objects as they were compared, by key. */
  readonly live: ReadonlyMap<string, KubeObject | undefined>;
  readonly marks: Map<string, Mark>;
  readonly rendered: () => Promise<readonly KubeObject[]>;
}

function kindsOf(objects: readonly Kind[]): Kind[] {
  return [...new Map(objects.map(({ apiVersion, kind }) => [`${apiVersion} ${kind}`, { apiVersion, kind }])).values()];
}
