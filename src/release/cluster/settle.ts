import { setTimeout as sleep } from 'node:timers/promises';
import {
  askProbe,
  type Changes,
  type Cluster,
  changesIn,
  type Diagnosis,
  deleteObject,
  healthOf,
  isKubeFault,
  type KubeObject,
  lastLines,
  type Mirror,
  nameOf,
} from '../../kube/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { PodStatus } from '../types.ts';
import { type Assessment, assess, hasHealth } from './assess.ts';

export interface SettleRequest {
  readonly cluster: Cluster;
  readonly mirror: Mirror;
  readonly namespace: string;
  /** The service's objects as they were right after they were applied. */
  readonly applied: readonly KubeObject[];
  /** The same objects before, where they were changed. */
  readonly before: readonly KubeObject[];
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** What is new, for a live view. */
  readonly onChange: (message: string, pods: readonly PodStatus[]) => void;
  /** Asked now and then; true ends the waiting. */
  readonly superseded: () => Promise<boolean>;
  readonly signal?: AbortSignal | undefined;
}

export type Settled =
  | { readonly result: 'healthy'; readonly message: string; readonly pods: readonly PodStatus[] }
  | { readonly result: 'superseded' }
  | { readonly result: 'failed'; readonly fault: ReleaseFault };

/** Milliseconds between two looks where nothing changes: what is wrong with pods is certain after a time. */
const tick = 1_000;
const rarest = 3_000;
/** Changes come in swarms; they are looked at together. */
const gather = 50;
const supersededEvery = 3_000;
/**
 * Without a readiness probe a container counts as ready the moment that it starts, also one that ends at once. So long it has
 * to stay.
 */
const unprobedSteadiness = 2_500;

/**
 * Waits until a service is healthy, until it is certain that it will not be, or until the deadline.
 *
 * Healthy means that the new pods serve and those of before are gone.
 */
export async function settle(request: SettleRequest): Promise<Settled> {
  const { mirror, signal } = request;
  const watched = request.applied.filter(hasHealth);
  await Promise.all(watched.map((object) => mirror.follow(object)));
  const changes = changesIn(mirror, watched, signal);
  try {
    return await untilSettled(request, watched, changes);
  } finally {
    changes.end();
  }
}

async function untilSettled(
  request: SettleRequest,
  watched: readonly KubeObject[],
  changes: Changes,
): Promise<Settled> {
  const { mirror, deadline, signal } = request;
  const stalledBefore = new Set(request.before.filter(isStalled).map(({ metadata }) => metadata.uid));
  const deleted = new Set<string>();
  let told = '';
  let askedAt = Date.now();
  let steadySince: number | undefined;
  const steadiness = watched.every(isProbed) ? 0 : unprobedSteadiness;
  for (;;) {
    signal?.throwIfAborted();
    const now = Date.now();
    const assessment = look(watched, mirror, stalledBefore, now);
    const news = JSON.stringify([assessment.message, assessment.pods]);
    if (news !== told) request.onChange(assessment.message, assessment.pods);
    told = news;
    if (assessment.state !== 'healthy') steadySince = undefined;
    else steadySince ??= now;
    if (steadySince !== undefined && now - steadySince >= steadiness) {
      // What is healthy may be the newer release.
      if (await request.superseded()) return { result: 'superseded' };
      return { result: 'healthy', message: assessment.message, pods: assessment.pods };
    }
    if (now - askedAt > supersededEvery) {
      askedAt = now;
      if (await request.superseded()) return { result: 'superseded' };
    }
    if (assessment.state === 'failed' || now >= deadline) {
      if (await request.superseded()) return { result: 'superseded' };
      // A pod that takes its time to stop does no harm: the new ones serve.
      if (assessment.onlyLeaving) {
        return { result: 'healthy', message: assessment.message, pods: assessment.pods };
      }
      return { result: 'failed', fault: await failure(request, assessment) };
    }
    for (const { apiVersion, kind, metadata } of assessment.stuck) {
      if (metadata.uid === undefined || deleted.has(metadata.uid)) continue;
      deleted.add(metadata.uid);
      await deleteObject(request.cluster, { apiVersion, kind, ...metadata }, { uid: metadata.uid, signal });
    }
    const steady = steadySince === undefined ? Number.POSITIVE_INFINITY : steadySince + steadiness - now;
    const pause = assessment.pods.length === 0 ? rarest : tick;
    await changes.next(Math.max(1, Math.min(pause, deadline - now, steady)));
    await sleep(gather);
  }
}

function look(
  watched: readonly KubeObject[],
  mirror: Mirror,
  stalledBefore: Set<string | undefined>,
  now: number,
): Assessment {
  const missing: string[] = [];
  const live = watched.flatMap((object) => {
    const found = mirror.find(object, object.metadata.name);
    // The mirror may be a moment behind what was just applied.
    if (found === undefined || (found.metadata.generation ?? 0) < (object.metadata.generation ?? 0)) {
      missing.push(nameOf(object));
      return [];
    }
    if (!stalledBefore.has(found.metadata.uid)) return [found];
    // Stalled from the rollout before: that counts only when it has been otherwise in between.
    if (isStalled(found)) return [withoutStall(found)];
    stalledBefore.delete(found.metadata.uid);
    return [found];
  });
  const assessment = assess(live, mirror.list, now);
  if (missing.length === 0 || assessment.state === 'failed') return assessment;
  return { ...assessment, state: 'progressing', message: `${missing.join(', ')} to appear`, onlyLeaving: false };
}

/** Whether readiness of all its containers means that something answered. Objects without containers have none to probe. */
function isProbed({ kind, spec }: KubeObject): boolean {
  const { template, replicas } = (spec ?? {}) as { template?: { spec?: PodSpec }; replicas?: number };
  const containers = (kind === 'Pod' ? (spec as PodSpec) : template?.spec)?.containers ?? [];
  // A job's pods are to end.
  if (kind === 'Job' || replicas === 0) return true;
  return containers.every((container) => container.readinessProbe ?? container.startupProbe);
}

interface PodSpec {
  readonly containers?: readonly { readonly readinessProbe?: object; readonly startupProbe?: object }[];
}

interface Conditions {
  readonly conditions?: readonly { readonly reason?: string }[];
}

function isStalled(object: KubeObject): boolean {
  const { conditions } = (object.status ?? {}) as Conditions;
  return conditions?.some(({ reason }) => reason === 'ProgressDeadlineExceeded') ?? false;
}

function withoutStall(object: KubeObject): KubeObject {
  const { conditions = [], ...status } = object.status as Conditions & Record<string, unknown>;
  const kept = conditions.filter(({ reason }) => reason !== 'ProgressDeadlineExceeded');
  return { ...object, status: { ...status, conditions: kept } };
}

async function failure(request: SettleRequest, { diagnosis, message, state }: Assessment): Promise<ReleaseFault> {
  const reason = diagnosis?.message ?? message;
  const log = diagnosis === undefined ? [] : await logOf(request, diagnosis);
  const answer = diagnosis?.probe && (await askProbe(request.cluster, diagnosis.probe, request));
  return new ReleaseFault('release/rollout-failed', state === 'failed' ? reason : `not healthy in time: ${reason}`, {
    notes: [
      ...(diagnosis?.notes ?? []),
      ...(answer === undefined ? [] : [`${diagnosis?.probe?.path} answers ${answer}`]),
      ...log,
    ],
    next: diagnosis?.next ?? 'see its pods: banksman status',
  });
}

/** The last lines of the log of the container that is to blame. */
async function logOf({ cluster, namespace, signal }: SettleRequest, { log }: Diagnosis): Promise<string[]> {
  if (log === undefined) return [];
  try {
    const lines = await lastLines(
      cluster,
      { namespace, pod: log.pod, container: log.container },
      { count: 15, previousFirst: log.previousFirst, signal },
    );
    return lines.length === 0
      ? [`container ${log.container} wrote nothing to its log`]
      : [`the last lines of ${log.pod}/${log.container}:\n${lines.join('\n')}`];
  } catch (error) {
    // The reason stands without its log, and says why there is none.
    if (!isKubeFault(error)) throw error;
    return [`its log can't be read: ${error.message}`];
  }
}

/** Whether objects that were not changed are well, by what was read of them a moment ago. */
export function areWell(objects: readonly KubeObject[]): boolean {
  return objects.filter(hasHealth).every((object) => healthOf(object).state === 'current');
}
