import { setTimeout as sleep } from 'node:timers/promises';
import { isFault } from '../../fault/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import { within } from '../../trace/index.ts';
import type { KnownObjects } from '../drift/index.ts';
import {
  activeRollout,
  findRollout,
  type Happening,
  healthyRelease,
  isActive,
  nextMoment,
  type Outcome,
  type Placement,
  type Rollout,
  waitingRollouts,
} from '../model/index.ts';
import { type Changed, tracePlaceOf } from '../placement/index.ts';
import { answersFor } from '../why.ts';
import { keepContents } from './contents.ts';
import { drive, EndedOtherwise, type Happened } from './drive.ts';
import type { Leadership } from './leadership.ts';
import { wishOf } from './promote.ts';
import { lookAt, statesOf } from './trains.ts';
import { createTurns, type Turns } from './turns.ts';
import type { ExecutorOptions } from './types.ts';

/** Services of one environment that are applied at one time. */
const appliedAtOnce = 8;
/** Placements that are looked at at one time: what they ask the database is asked together. */
const lookedAtAtOnce = 64;
/** Milliseconds between two looks at gates that no time opens: a metric, say. */
const gatePause = 15_000;
/** Milliseconds that whoever watches a rollout has for its own last word, after the deadline, before the rollout is ended without it. */
const lastWord = 5_000;
const usualPoll = 1_000;
const gather = 50;

/** A placement that has something to be done, and who does it. */
interface Post {
  readonly service: Label;
  readonly environment: string;
  /** Who brings the active rollout on. */
  driver: { readonly rollout: string; readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  /** Somebody looks at it; `again` once more when that is done. */
  looking: 'no' | 'yes' | 'again';
  /** When it has to be looked at next. */
  next: number;
  /** A service in the same environment that has to be healthy before what waits here. */
  waitsFor?: Label | undefined;
}

function namesOf({ service, environment }: Post) {
  return { service, environment };
}

/**
 * Does what open rollouts ask for, for as long as the right to act lasts. It keeps nothing that the database does not know: whoever
 * begins again, after whatever end, goes on where it was.
 *
 * @param known what is known of the objects in the clusters
 * @returns when everything has stopped, after the leadership's signal
 */
export async function execute(options: ExecutorOptions, leadership: Leadership, known: KnownObjects): Promise<void> {
  const { store, environments, now, source, onError, poll = usualPoll } = options;
  const { lease, signal } = leadership;
  const posts = new Map<string, Post>();
  const turns = new Map<string, Turns>();
  const looks = createTurns(lookedAtAtOnce);
  const contents = keepContents(options.fetchRelease);
  /** The healthy release of each placement, as those that wait for it were told. */
  const told = new Map<string, string>();
  let trainsAreDue = true;
  let beat = () => {};
  const work = new Set<Promise<void>>();

  const tell = async (service: Label, environment: string, happened: Happened): Promise<Outcome> => {
    signal.throwIfAborted();
    const happening = { ...happened, at: now() } as Happening;
    return await store.happen(service, environment, happening, { who: 'banksman', source }, lease);
  };
  const follow = (doing: Promise<void>) => {
    work.add(doing);
    void doing.finally(() => work.delete(doing));
  };
  const postOf = (service: Label, environment: string): Post => {
    const key = `${environment} ${service}`;
    const post = posts.get(key) ?? { service, environment, driver: undefined, looking: 'no', next: 0 };
    posts.set(key, post);
    return post;
  };
  const wake = (post: Post) => {
    if (signal.aborted) return;
    if (post.looking !== 'no') {
      post.looking = 'again';
      return;
    }
    post.looking = 'yes';
    follow(
      // Whoever happened to wake it is not whom it is done for.
      within(undefined, () => lookUntilDone(post)).catch((error: unknown) => {
        post.next = now() + poll;
        if (!signal.aborted) onError(error, `${post.service} in ${post.environment}`, namesOf(post));
      }),
    );
  };
  const lookUntilDone = async (post: Post) => {
    const giveBack = await looks.take(signal);
    try {
      do {
        post.looking = 'yes';
        await look(post);
      } while ((post.looking as string) === 'again' && !signal.aborted);
    } finally {
      post.looking = 'no';
      giveBack();
    }
  };

  const look = async (post: Post) => {
    let placement = await store.read(post.service, post.environment);
    placement = await endWhatIsDue(post, placement);
    await drop(post, placement);
    const environment = environments.get(post.environment);
    if (environment === undefined) return await withoutEnvironment(post, placement);
    const wish = await wishOf(store, environment, placement, now(), signal);
    if (wish.request !== undefined) {
      placement = (await tell(post.service, post.environment, { kind: 'plan', request: wish.request })).placement;
    }
    for (const rollout of waitingRollouts(placement)) {
      placement = await passGates(post, environment, placement, rollout);
    }
    await drop(post, placement);
    const active = activeRollout(placement);
    if (active !== undefined && post.driver === undefined) begin(post, environment, placement, active);
    plan(post, placement, wish.again);
    wakeDownstream(post, placement);
  };

  /** What is healthy here may be what others wait for. */
  const wakeDownstream = ({ service, environment }: Post, placement: Placement) => {
    const release = healthyRelease(placement)?.id;
    const key = `${environment} ${service}`;
    if (release === told.get(key)) return;
    if (release === undefined) told.delete(key);
    else told.set(key, release);
    trainsAreDue = true;
    for (const post of posts.values()) {
      if (post.waitsFor === service && post.environment === environment) wake(post);
    }
    for (const { name, after, automatic } of environments.values()) {
      // Those that wait for their soak see it too.
      if (after === environment && (automatic || posts.has(`${name} ${service}`))) wake(postOf(service, name));
    }
  };

  const endWhatIsDue = async (post: Post, placement: Placement): Promise<Placement> => {
    const moment = nextMoment(placement, now());
    if (moment === undefined || moment > now()) return placement;
    const active = activeRollout(placement);
    const isWatched = active !== undefined && post.driver?.rollout === active.id;
    if (isWatched && moment === active.due && now() < active.due + lastWord) return placement;
    trainsAreDue = true;
    return (await tell(post.service, post.environment, { kind: 'tick' })).placement;
  };

  /** Nobody goes on with what has ended, and nobody begins with another before that one has let go. */
  const drop = async (post: Post, placement: Placement) => {
    const { driver } = post;
    if (driver === undefined) return;
    const rollout = findRollout(placement, driver.rollout);
    if (rollout !== undefined && isActive(rollout)) return;
    driver.stop.abort(new EndedOtherwise(rollout?.state ?? 'cancelled'));
    await driver.done;
  };

  const passGates = async (
    post: Post,
    environment: Environment,
    placement: Placement,
    rollout: Rollout,
  ): Promise<Placement> => {
    const { id, release, kind, by: requestedBy, emergency, gates, replacedBy } = rollout;
    const candidate = { rollout: id, release, kind, requestedBy, emergency, gates, replacedBy };
    return await within(tracePlaceOf(rollout), async () => {
      const answers = await answersFor(store, post.service, environment, candidate, now(), signal);
      if (findRollout(placement, rollout.id)?.state === 'superseded') return placement;
      return (await tell(post.service, post.environment, { kind: 'gates', rollout: rollout.id, answers })).placement;
    });
  };

  const withoutEnvironment = async (post: Post, placement: Placement) => {
    const active = activeRollout(placement);
    if (active !== undefined) {
      const why = `banksman.yaml has no environment ${post.environment} any more`;
      await tell(post.service, post.environment, { kind: 'failed', rollout: active.id, why });
    }
    plan(post, placement);
  };

  const begin = (post: Post, environment: Environment, placement: Placement, rollout: Rollout) => {
    const stop = new AbortController();
    const ended = AbortSignal.any([signal, stop.signal]);
    const own = turns.get(post.environment) ?? createTurns(appliedAtOnce);
    turns.set(post.environment, own);
    const done = drive({
      options,
      leadership,
      known,
      environment,
      placement,
      rollout,
      turns: own,
      contents,
      tell: (happened) => tell(post.service, post.environment, happened),
      signal: ended,
    })
      .catch((error: unknown) => {
        // Taken up again by the next look.
        if (!ended.aborted) onError(error, `${post.service} in ${post.environment}`, { ...namesOf(post), rollout });
        post.next = now() + poll;
        return 'failed' as const;
      })
      .then((result) => {
        post.driver = undefined;
        trainsAreDue = true;
        beat();
        if (result !== 'failed') wake(post);
      });
    post.driver = { rollout: rollout.id, stop, done };
    follow(done);
  };

  const plan = (post: Post, placement: Placement, again = Number.POSITIVE_INFINITY) => {
    const waiting = waitingRollouts(placement);
    const waits = waiting.length > 0;
    post.waitsFor = waiting.find(({ replacedBy }) => replacedBy !== undefined)?.replacedBy;
    const moment = Math.min(nextMoment(placement, now()) ?? Number.POSITIVE_INFINITY, again);
    // Beyond its moment it is watched for its last word.
    post.next = Math.min(Math.max(moment, now() + poll), waits ? now() + gatePause : Number.POSITIVE_INFINITY);
    const open = waits || activeRollout(placement) !== undefined;
    if (!open && post.driver === undefined && moment === Number.POSITIVE_INFINITY) {
      posts.delete(`${post.environment} ${post.service}`);
    }
  };

  const lookAtTrains = async () => {
    trainsAreDue = false;
    for (const train of await store.trains({ open: true })) {
      const environment = environments.get(train.environment);
      if (environment === undefined) continue;
      const { requests, states, ended } = await lookAt(store, environment, train);
      for (const { service, request } of requests) {
        await tell(service, environment.name, { kind: 'plan', request });
        wake(postOf(service, environment.name));
      }
      if (ended) await store.endTrain(train.id, statesOf(states), now(), { who: 'banksman', source }, lease);
    }
  };

  const wakeWhere = ({ service, environment }: Changed) => {
    trainsAreDue = true;
    if (environment !== undefined && service !== undefined) wake(postOf(service, environment));
    else if (service !== undefined) {
      // A release, or what is known of one: its gates may open anywhere, and who takes what was made may take it.
      for (const post of posts.values()) if (post.service === service) wake(post);
      for (const { name, after, automatic } of environments.values()) {
        if (automatic && after === undefined) wake(postOf(service, name));
      }
    }
    beat();
  };
  const stopListening = store.onChange(wakeWhere);
  try {
    let seen = 0;
    let first = true;
    while (!signal.aborted) {
      try {
        if (first) {
          // Whatever is told from here on is seen again; what was told before is among what is open.
          seen = await store.newest();
          for (const { service, environment } of await store.open()) wake(postOf(service, environment));
          const automatic = [...environments.values()].filter((environment) => environment.automatic);
          for (const service of automatic.length === 0 ? [] : await store.services()) {
            for (const { name } of automatic) wake(postOf(service, name));
          }
          first = false;
        } else {
          const changes = await store.changes(seen, source);
          seen = changes.seen;
          changes.places.forEach(wakeWhere);
        }
        for (const post of posts.values()) if (post.next <= now()) wake(post);
        if (trainsAreDue) await lookAtTrains();
      } catch (error) {
        trainsAreDue = true;
        if (!signal.aborted) onError(error, 'what is to be done');
        if (isFault(error) && error.code === 'release/not-leader') break;
      }
      const beaten = new Promise<void>((resolve) => {
        beat = resolve;
      });
      await Promise.race([beaten, sleep(poll, undefined, { signal }).catch(() => {})]);
      // What comes in swarms is looked at together.
      await sleep(Math.min(poll, gather), undefined, { signal }).catch(() => {});
    }
  } finally {
    stopListening();
    // Those that end may have begun others.
    while (work.size > 0) await Promise.allSettled(work);
  }
}
