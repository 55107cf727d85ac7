import { setTimeout as sleep } from 'node:timers/promises';
import type { Label } from '../../graph/index.ts';
import { changesIn, type Mirror } from '../../kube/index.ts';
import type { ManifestDocument } from '../../manifest/index.ts';
import { assess } from '../cluster/assess.ts';
import { ReleaseFault } from '../fault.ts';
import { askPrometheus, metricVerdict } from '../gates/index.ts';
import type { Stage } from '../model/index.ts';
import { type Verified, type VerifyRequest, verifyRelease } from '../verify/index.ts';
import { canaryName } from './canary.ts';

export interface StageRequest {
  readonly session: VerifyRequest['session'];
  readonly service: Label;
  /** Id of the rollout, and the stage that it is in. */
  readonly rollout: string;
  readonly place: number;
  readonly stage: Stage;
  /** The release's objects that serve. */
  readonly documents: readonly ManifestDocument[];
  readonly verification: readonly ManifestDocument[];
  /** When the stage has lasted its time, and when it has to be over; milliseconds since the epoch. */
  readonly ends: number;
  readonly due: number;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Milliseconds between two questions to Prometheus: a tenth of the stage, within these. */
const oftenest = 1_000;
const rarest = 15_000;
/** Milliseconds between two looks at the pods. */
const tick = 1_000;

/**
 * Watches a stage for its time: the pods of the new release stay well, its metric within the bounds, its job passes. Done again after a
 * kill, it goes on until the same end.
 *
 * @throws KubeFault; the signal's reason
 */
export async function watchStage(request: StageRequest): Promise<Verified> {
  const { session, stage, due, now, signal } = request;
  const { check } = stage;
  if (check?.kind === 'job') {
    const verified = await verifyRelease({
      session,
      run: { service: request.service, rollout: request.rollout, stage: request.place },
      documents: request.verification,
      only: [check.name],
      deadline: Date.now() + (due - now()),
      signal,
    });
    if (verified.result === 'failed') return verified;
  }
  const mirror = await session.mirror();
  const canaries = new Set(
    request.documents
      .filter(({ object }) => object.kind === 'Deployment')
      .map(({ object }) => canaryName(object.metadata.name)),
  );
  // Whoever watches is told of it, so that the mirror stays.
  const changes = changesIn(mirror, [], signal);
  try {
    return await untilOver(request, mirror, canaries);
  } finally {
    changes.end();
  }
}

async function untilOver(request: StageRequest, mirror: Mirror, canaries: ReadonlySet<string>): Promise<Verified> {
  const { stage, ends, due, now, signal } = request;
  const { check } = stage;
  let asked = Number.NEGATIVE_INFINITY;
  const pace = Math.min(rarest, Math.max(oftenest, stage.lasts / 10));
  for (;;) {
    signal.throwIfAborted();
    const time = now();
    const last = time >= ends;
    const assessment = look(mirror, canaries);
    if (assessment.state === 'failed') return failed(`the new pods are not well: ${assessment.message}`);
    if (check?.kind === 'metric' && (last || time - asked >= pace)) {
      asked = time;
      const verdict = metricVerdict(check, await askPrometheus({ ...check, signal }, time), time);
      // What is not known yet may come; what is out of bounds is so.
      if (!verdict.holds && (verdict.outside || last)) return failed(`${check.query}: ${verdict.reason}`);
    }
    if (last && assessment.state === 'healthy') return { result: 'verified' };
    if (time >= due) return failed(`the new pods are not ready: ${assessment.message}`);
    await sleep(Math.max(1, Math.min(tick, last ? tick : ends - time)), undefined, { signal });
    mirror.throwIfFailed();
  }
}

function look(mirror: Mirror, canaries: ReadonlySet<string>) {
  const live = [...canaries].flatMap((name) => mirror.find({ apiVersion: 'apps/v1', kind: 'Deployment' }, name) ?? []);
  if (live.length > 0) return assess(live, mirror.list, Date.now());
  return { state: 'failed' as const, message: 'their Deployment is gone' };
}

function failed(message: string): Verified {
  const fault = new ReleaseFault('release/verification-failed', message, {
    next: 'see what differs: the pods of before serve on',
  });
  return { result: 'failed', fault };
}
