import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, isFault } from '../../fault/index.ts';
import type { Environment } from '../../graph/index.ts';
import { within } from '../../trace/index.ts';
import type { ReleaseContent } from '../artifact/index.ts';
import { endRecord } from '../cluster/record-steps.ts';
import { kindsOf } from '../cluster/service-objects.ts';
import { endingWith } from '../cluster/session.ts';
import { settle } from '../cluster/settle.ts';
import type { KnownObjects } from '../drift/index.ts';
import { ReleaseFault } from '../fault.ts';
import {
  findRollout,
  goesBack,
  type Happening,
  hasEnded,
  isActive,
  isRemoval,
  type Outcome,
  type Placement,
  type Rollout,
  type RolloutState,
  stageEnds,
  stageOf,
} from '../model/index.ts';
import { tracePlaceOf } from '../placement/index.ts';
import { watchStage } from '../progressive/index.ts';
import { renderBundle } from '../render.ts';
import { removeVerification, splitVerification, verifyRelease } from '../verify/index.ts';
import { type Applied, type AppliedRecord, applyRelease } from './apply.ts';
import { guarded, type Leadership } from './leadership.ts';
import { isPassing, toldInOneLine } from './passing.ts';
import { type RemovalJob, removeObjects, unlessItself, untilGone } from './remove.ts';
import type { Turns } from './turns.ts';
import type { ExecutorOptions, Job } from './types.ts';

/** What has happened, without the time. */
export type Happened = Happening extends infer Each ? (Each extends Happening ? Omit<Each, 'at'> : never) : never;

export interface Drive {
  readonly options: ExecutorOptions;
  readonly leadership: Leadership;
  readonly known: KnownObjects;
  readonly environment: Environment;
  /** As it is when the drive begins. */
  readonly placement: Placement;
  readonly rollout: Rollout;
  /** Who may apply now. */
  readonly turns: Turns;
  readonly contents: (reference: string, signal: AbortSignal) => Promise<ReleaseContent>;
  readonly tell: (happened: Happened) => Promise<Outcome>;
  /** Aborts when the rollout has ended otherwise, or the right to act is lost. */
  readonly signal: AbortSignal;
}

/**
 * Brings a rollout that has started from wherever it is to its end. Each step may be done again: whoever was killed is followed by
 * one who begins with the step that was under way. What passes by itself is waited for until the deadline.
 */
export async function drive(drive: Drive): Promise<void> {
  const { tell } = drive;
  let { rollout } = drive;
  const { id } = rollout;
  let prepared: Prepared | undefined;
  let applied: Applied | undefined;
  let removal: Removal | undefined;
  const step = async (): Promise<Rollout> => {
    if (isRemoval(rollout)) {
      removal ??= { job: await prepareRemoval(drive, rollout) };
      return await told(drive, await takeOut(drive, rollout, removal));
    }
    prepared ??= await prepare(drive, rollout);
    const { manifests } = prepared;
    const job: Job = { ...prepared.job, rollout, stage: stageOf(rollout) };
    // Also after a kill while it was watched: nobody knows what was changed meanwhile, and applying what is there is nothing.
    if (rollout.state !== 'verifying') {
      applied ??= await inTurn(drive, () =>
        applyRelease(
          job,
          manifests,
          drive.placement,
          drive.known,
          async (text) => void (await tell({ kind: 'note', rollout: id, text })),
        ),
      );
    }
    if (rollout.state === 'applying') return await told(drive, { kind: 'applied', rollout: id, stage: rollout.stage });
    if (rollout.state === 'progressing') {
      const why = await watch(drive, rollout, job, applied);
      if (why !== undefined) return await told(drive, { kind: 'failed', rollout: id, why });
      const verifies = job.verification.length > 0;
      return await told(drive, { kind: 'ready', rollout: id, stage: rollout.stage, verifies });
    }
    const why = await verify(drive, job, rollout);
    if (why !== undefined) return await told(drive, { kind: 'failed', rollout: id, why });
    return await told(drive, { kind: 'verified', rollout: id, stage: rollout.stage });
  };
  let job: Pick<Job, 'service' | 'verification'> | undefined;
  try {
    while (isActive(rollout)) {
      const next = await within(tracePlaceOf(rollout), () => persistently(drive, rollout, step));
      job = prepared?.job ?? removal?.job ?? job;
      // What was opened may be what was wrong.
      if (next === 'again') {
        prepared = undefined;
        removal = undefined;
      } else {
        // Each stage is applied anew, and so is the whole behind them.
        if (next.stage !== rollout.stage) {
          applied?.record.stop();
          applied = undefined;
        }
        rollout = next;
      }
    }
  } finally {
    applied?.record.stop();
    await closeRecord(drive, job ?? prepared?.job ?? removal?.job, rollout, applied?.record);
  }
}

/** Aborts a drive: its rollout has ended otherwise. */
export class EndedOtherwise extends Error {
  readonly state: RolloutState;

  constructor(state: RolloutState) {
    super(`the rollout is ${state}`);
    this.name = 'EndedOtherwise';
    this.state = state;
  }
}

interface Prepared {
  readonly job: Job;
  readonly manifests: string;
}

async function prepare(
  { options, leadership, environment, placement, contents, signal }: Drive,
  rollout: Rollout,
): Promise<Prepared> {
  const release = await options.store.release(rollout.release.id);
  if (release === undefined) {
    throw new ReleaseFault('release/unknown-release', `nothing is known of release ${rollout.release.id}`);
  }
  const content = await contents(release.reference, signal);
  const { text, documents } = renderBundle(content.bundle, content.images, environment);
  const session = endingWith(guarded(await options.clusters.open(environment), leadership), signal);
  const { service } = placement;
  const { served, verification } = splitVerification(documents);
  const job = { service, environment, rollout, content, documents: served, verification, session, signal };
  return { job, manifests: text };
}

interface Removal {
  readonly job: RemovalJob & Pick<Job, 'verification'>;
  /** Kinds that are looked through, once what is there has been deleted. */
  kinds?: readonly string[];
}

async function prepareRemoval(drive: Drive, rollout: Rollout): Promise<Removal['job']> {
  const { options, leadership, environment, placement, contents, signal, tell } = drive;
  const { service } = placement;
  return {
    service,
    session: endingWith(guarded(await options.clusters.open(environment), leadership), signal),
    rollout,
    placement,
    async releaseKinds() {
      const release = await options.store.release(rollout.release.id);
      if (release === undefined) return [];
      const { bundle, images } = await contents(release.reference, signal);
      return kindsOf(renderBundle(bundle, images, environment));
    },
    note: async (text) => void (await tell({ kind: 'note', rollout: rollout.id, text })),
    verification: [],
    signal,
  };
}

/** Deletes, and waits until all is gone. Also after a kill while it waited: what came back meanwhile goes too. */
async function takeOut(drive: Drive, rollout: Rollout, removal: Removal): Promise<Happened> {
  const { id: about } = rollout;
  removal.kinds ??= await inTurn(drive, () => removeObjects(removal.job));
  if (rollout.state === 'applying') return { kind: 'applied', rollout: about };
  const due = Date.now() + (rollout.due - drive.options.now());
  const why = await untilGone(removal.job, removal.kinds, due);
  if (why !== undefined) return { kind: 'failed', rollout: about, why };
  return { kind: 'ready', rollout: about, verifies: false };
}

async function inTurn<Result>({ turns, signal, rollout }: Drive, body: () => Promise<Result>): Promise<Result> {
  const giveBack = await turns.take(signal, goesBack(rollout));
  try {
    return await body();
  } finally {
    giveBack();
  }
}

/** @returns why it will not serve; undefined where it does */
async function watch(
  { options, signal }: Drive,
  rollout: Rollout,
  job: Job,
  { objects, before }: Pick<Applied, 'objects' | 'before'> = { objects: [], before: [] },
): Promise<string | undefined> {
  const { cluster, namespace } = job.session;
  const settled = await settle({
    cluster,
    mirror: await job.session.mirror(),
    namespace,
    applied: objects,
    before,
    // The record's clock need not be this machine's.
    deadline: Date.now() + (rollout.due - options.now()),
    onChange: () => {},
    superseded: async () => false,
    signal,
  });
  return settled.result === 'failed' ? reasonOf(settled.fault) : undefined;
}

/** @returns why it does not do what it should; undefined where it does */
async function verify({ options }: Drive, job: Job, rollout: Rollout): Promise<string | undefined> {
  const { stage } = job;
  if (stage !== undefined && rollout.stage !== undefined) {
    const { session, service, documents, verification, signal } = job;
    const passed = await watchStage({
      session,
      service,
      rollout: rollout.id,
      place: rollout.stage,
      stage,
      documents,
      verification,
      ends: stageEnds(rollout) ?? rollout.due,
      due: rollout.due,
      now: options.now,
      signal,
    });
    return passed.result === 'failed' ? reasonOf(passed.fault) : undefined;
  }
  if (job.verification.length === 0) return undefined;
  const verified = await verifyRelease({
    session: job.session,
    run: { service: job.service, rollout: rollout.id, stage: rollout.stage },
    documents: job.verification,
    deadline: Date.now() + (rollout.due - options.now()),
    signal: job.signal,
  });
  return verified.result === 'failed' ? reasonOf(verified.fault) : undefined;
}

function reasonOf({ message, notes }: Fault): string {
  return [message, ...notes].join('\n').slice(0, 4000);
}

/** Says what has happened. @returns the rollout as it is then */
async function told({ tell, rollout }: Drive, happened: Happened): Promise<Rollout> {
  const now = findRollout((await tell(happened)).placement, rollout.id);
  // Nothing is ever removed from a placement.
  if (now === undefined) throw new Error(`rollout ${rollout.id} is gone`);
  return now;
}

/** Milliseconds. */
const shortestPause = 500;
const longestPause = 10_000;

/** Tries until it is done, or it is certain that it will not be, or the deadline comes. */
async function persistently(drive: Drive, rollout: Rollout, step: () => Promise<Rollout>): Promise<Rollout | 'again'> {
  const { options, environment, placement, signal, tell } = drive;
  const about = `${placement.service} in ${environment.name}`;
  try {
    const next = await step();
    pauses.delete(rollout);
    return next;
  } catch (error) {
    signal.throwIfAborted();
    if (isFault(error) && error.code === 'release/not-leader') throw error;
    options.onError(error, about, { service: placement.service, environment: environment.name, rollout });
    const why = toldInOneLine(error);
    const failed = { kind: 'failed', rollout: rollout.id } as const;
    if (!isPassing(error)) return await told(drive, { ...failed, why });
    if (options.now() >= rollout.due) return await told(drive, { ...failed, why: `not healthy in time: ${why}` });
    // Where something else is wrong than before, it has come further.
    const last = pauses.get(rollout);
    const where = isFault(error) ? [why, ...error.notes].join(' ') : why;
    const pause = last?.where === where ? Math.min(longestPause, last.pause * 2) : shortestPause;
    pauses.set(rollout, { pause, where });
    if (isFault(error) && /^kube\/(?:unauthorized|untrusted)$/.test(error.code)) options.clusters.forget(environment);
    // A glitch is not worth a note; and where the database is away, there is nowhere to write it.
    if (pause > shortestPause) {
      await tell({ kind: 'note', rollout: rollout.id, text: `${why}; it is tried again` }).catch((second: unknown) => {
        if (!isPassing(second)) throw second;
      });
    }
    await sleep(Math.min(pause, Math.max(1, rollout.due - options.now())), undefined, { signal });
    return 'again';
  }
}

/** How long each waits before its next try. */
const pauses = new WeakMap<Rollout, { readonly pause: number; readonly where: string }>();

/** Milliseconds that the record in the cluster is given for its last word. */
const closingTime = 5_000;

/** The record in the cluster is told as well, as far as that is possible: the database's is the one that counts. */
async function closeRecord(
  { options, leadership, environment, signal }: Drive,
  job: Pick<Job, 'service' | 'verification'> | undefined,
  rollout: Rollout,
  applied: AppliedRecord | undefined,
): Promise<void> {
  if (job === undefined || !leadership.holds()) return;
  const state = signal.reason instanceof EndedOtherwise ? signal.reason.state : rollout.state;
  if (state !== 'healthy' && !hasEnded({ state })) return;
  const result = state === 'healthy' || state === 'removed' || state === 'superseded' ? state : 'failed';
  const reason = result === 'failed' ? (rollout.steps.at(-1)?.why ?? state) : undefined;
  const { namespace } = environment;
  const unlessPassing = (error: unknown) => {
    if (!isPassing(error)) unlessItself({ session: { namespace }, rollout })(error);
  };
  // What it was driven with has ended with it; and whoever comes next does not wait for a server that hangs.
  const session = endingWith(
    guarded(await options.clusters.open(environment), leadership),
    AbortSignal.any([leadership.signal, AbortSignal.timeout(closingTime)]),
  );
  const end =
    applied?.end(session.store, { result, reason }) ??
    endRecord(session.store, job.service, rollout, { result, reason }, rollout.id);
  await end.catch(unlessPassing);
  // One that was cancelled or overtaken while its jobs ran.
  if (job.verification.length > 0) await removeVerification(session, job.service).catch(unlessPassing);
}
