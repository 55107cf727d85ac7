import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, isFault, type Place } from '../fault/index.ts';
import {
  applyPlan,
  asMember,
  type Cluster,
  groupKinds,
  type KubeObject,
  type Mirror,
  ObjectFault,
  type PlannedObject,
  planApply,
  prune,
} from '../kube/index.ts';
import type { ManifestDocument } from '../manifest/index.ts';
import { serviceSetId } from './cluster-store.ts';
import { ReleaseFault } from './fault.ts';
import {
  beginRollout,
  dropLease,
  endRollout,
  isSuperseded,
  lastRollout,
  type ServiceRecord,
  takeLease,
} from './record.ts';
import { areWell, type Settled, settle } from './settle.ts';
import type { ReleaseStore } from './store.ts';
import type {
  DeployEvent,
  ObjectChange,
  Phase,
  PodStatus,
  Release,
  Rollout,
  Service,
  ServiceDeployment,
} from './types.ts';
import { whoAmI } from './who.ts';

export interface RolloutRequest {
  readonly service: Service;
  readonly release: Release;
  /** The release's objects, with places for what the API server may say of their fields. */
  readonly documents: readonly ManifestDocument[];
  readonly kind: Rollout['kind'];
  /** How its images stood to the environment's policy. */
  readonly proof?: Rollout['proof'];
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly store: ReleaseStore;
  /** Opened when the first service has to wait. */
  readonly mirror: () => Promise<Mirror>;
  /** Seconds; undefined for what the manifests say, and 120 at least. */
  readonly deadline: number | undefined;
  readonly force: boolean;
  readonly observe: (event: DeployEvent) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds. A holder that has not renewed it for this long is dead. */
const leaseDuration = 30_000;
/** Milliseconds that one waits for another who is applying. */
const leasePatience = 90_000;
/** Seconds. */
const usualDeadline = 120;

/**
 * Brings one release into an environment: compare, apply what differs, delete what left, wait, and remember how it went.
 *
 * @returns how it ended; a rollout that fails is no thrown error
 * @throws KubeFault where the cluster can't be reached; the signal's reason
 */
export async function rollOut(request: RolloutRequest): Promise<ServiceDeployment> {
  const began = Date.now();
  const { service, release, signal } = request;
  const tell = (phase: Phase, message: string, pods: readonly PodStatus[] = []) =>
    request.observe({ service, phase, message, release: release.id, pods });
  const conclude = (
    result: ServiceDeployment['result'],
    changes: readonly ObjectChange[],
    message: string,
    fault?: Fault,
    pods?: readonly PodStatus[],
  ): ServiceDeployment => {
    tell(result, message, pods);
    return { service, release: release.id, result, changes, fault, duration: Date.now() - began };
  };
  let changes: readonly ObjectChange[] = [];
  try {
    tell('checking', 'comparing with the cluster');
    let { record, plan } = await compare(request);
    changes = plan.map(asChange);
    if (isAsItShouldBe(record, plan, request)) {
      return conclude('unchanged', changes, 'nothing to do');
    }
    const rollout = newRollout(request, record);
    const holder = rollout.id;
    record = await begin(request, rollout, holder, tell);
    let applied: readonly KubeObject[];
    const renewal = keepLease(request, holder);
    try {
      // Between the look and the lease somebody else may have applied something.
      plan = await planFor(request);
      tell('applying', toApply(plan));
      applied = await applyPlan(request.cluster, plan, applyOptions(request));
      const pruned = await pruneAfter(request, record);
      changes = [...plan.map(asChange), ...pruned.map(({ kind, metadata }) => change(kind, metadata.name, 'pruned'))];
    } catch (error) {
      const told = toldBySource(error, request);
      await endBadly(request, rollout, told, holder);
      if (!(told instanceof ReleaseFault)) throw told;
      return conclude('failed', changes, told.message, told);
    } finally {
      renewal.stop();
    }
    await request.store.update(service.label, (now) => dropLease({ ...now, kinds: kindsOf(request) }, holder));
    const before = plan.flatMap(({ live, action }) => (live !== undefined && action !== 'unchanged' ? [live] : []));
    const settled = await settle({
      cluster: request.cluster,
      mirror: await request.mirror(),
      namespace: request.namespace,
      applied,
      before,
      deadline: began + deadlineOf(request) * 1000,
      onChange: (message, pods) => tell('progressing', message, pods),
      superseded: async () => isSuperseded(await request.store.read(service.label), rollout),
      signal,
    }).catch(async (error: unknown) => {
      await endBadly(request, rollout, error);
      throw error;
    });
    return await remember(request, rollout, settled, (result, message, fault, pods) =>
      conclude(result, changes, message, fault, pods),
    );
  } catch (error) {
    const told = toldBySource(error, request);
    if (!(told instanceof ReleaseFault)) throw told;
    return conclude('failed', changes, told.message, told);
  }
}

async function compare(
  request: RolloutRequest,
): Promise<{ readonly record: ServiceRecord; readonly plan: readonly PlannedObject[] }> {
  const [record, plan] = await Promise.all([request.store.read(request.service.label), planFor(request)]);
  return { record, plan };
}

function planFor(request: RolloutRequest): Promise<readonly PlannedObject[]> {
  const id = serviceSetId(request.service.label, request.namespace);
  const objects = request.documents.map(({ object }) => asMember(object as unknown as KubeObject, id));
  return planApply(request.cluster, objects, applyOptions(request));
}

function applyOptions({ namespace, force, signal }: RolloutRequest) {
  return { namespace, force, signal };
}

/** The release is applied, was found healthy, is so still, and nobody changed an object by hand: nothing at all is written. */
function isAsItShouldBe(record: ServiceRecord, plan: readonly PlannedObject[], { release }: RolloutRequest): boolean {
  const last = lastRollout(record);
  return (
    last?.release === release.id &&
    last.result === 'healthy' &&
    plan.every(({ action }) => action === 'unchanged') &&
    areWell(plan.flatMap(({ live }) => live ?? []))
  );
}

function newRollout({ release, kind, proof }: RolloutRequest, record: ServiceRecord): Rollout {
  const from = lastRollout(record)?.release;
  return {
    id: randomBytes(8).toString('hex'),
    release: release.id,
    kind,
    ...(from !== undefined && { from }),
    by: whoAmI(),
    startedAt: new Date().toISOString(),
    result: 'progressing',
    ...(proof !== undefined && { proof }),
  };
}

/**
 * Writes the rollout's beginning and takes the lease: two deploys of one service never change its objects at the same time. A
 * rollout that only waits holds no lease, so that a bad one does not keep its own fix out.
 */
async function begin(
  request: RolloutRequest,
  rollout: Rollout,
  holder: string,
  tell: (phase: Phase, message: string) => void,
): Promise<ServiceRecord> {
  const patience = Date.now() + leasePatience;
  for (;;) {
    let busy = false;
    const written = await request.store.update(request.service.label, (record) => {
      const leased = takeLease(record, holder, Date.now(), leaseDuration);
      busy = leased === undefined;
      if (leased === undefined) return record;
      // What may be there from now on is written down first: whatever happens next, pruning will look for it.
      const kinds = [...new Set([...record.kinds, ...kindsOf(request)])].sort();
      const from = lastRollout(record)?.release;
      return { ...beginRollout(leased, request.release, { ...rollout, ...(from !== undefined && { from }) }), kinds };
    });
    if (!busy) return written;
    if (Date.now() > patience) {
      throw new ReleaseFault('release/busy', `somebody else has been applying ${request.service.label} for too long`, {
        notes: [`since ${lastRollout(written)?.startedAt}, by ${lastRollout(written)?.by}`],
        next: 'wait until that deploy has ended, and try again',
      });
    }
    tell('waiting', `${lastRollout(written)?.by ?? 'somebody'} is applying it`);
    await sleep(500, undefined, { ...(request.signal && { signal: request.signal }) });
  }
}

/** Renews the lease while objects are being applied, however long that takes. */
function keepLease({ store, service }: RolloutRequest, holder: string): { stop(): void } {
  const timer = setInterval(() => {
    store
      .update(service.label, (record) => takeLease(record, holder, Date.now(), leaseDuration) ?? record)
      // The next renewal or the end will tell; the lease outlives two that fail.
      .catch(() => {});
  }, leaseDuration / 3);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

async function pruneAfter(request: RolloutRequest, record: ServiceRecord): Promise<readonly KubeObject[]> {
  const { cluster, namespace, service, documents, signal } = request;
  if (record.kinds.length === 0) return [];
  const { deleted } = await prune(cluster, {
    id: serviceSetId(service.label, namespace),
    namespace,
    keep: documents.map(({ object }) => object as unknown as KubeObject),
    kinds: record.kinds,
    signal,
  });
  return deleted;
}

function kindsOf({ documents }: RolloutRequest): string[] {
  return groupKinds(documents.map(({ object }) => object));
}

async function remember(
  request: RolloutRequest,
  rollout: Rollout,
  settled: Settled,
  conclude: (
    result: 'healthy' | 'failed' | 'superseded',
    message: string,
    fault?: Fault,
    pods?: readonly PodStatus[],
  ) => ServiceDeployment,
): Promise<ServiceDeployment> {
  if (settled.result === 'superseded') {
    const fault = new ReleaseFault('release/superseded', `a newer rollout of ${request.service.label} took over`, {
      next: `see it with: banksman history ${request.service.name}`,
    });
    return conclude('superseded', fault.message, fault);
  }
  if (settled.result === 'failed') {
    const { fault } = settled;
    await end(request, rollout, { result: 'failed', reason: fault.message });
    return conclude('failed', fault.message, fault);
  }
  await end(request, rollout, { result: 'healthy' });
  return conclude('healthy', settled.message, undefined, settled.pods);
}

async function end(
  { store, service }: RolloutRequest,
  rollout: Rollout,
  result: Pick<Rollout, 'result' | 'reason'>,
  holder?: string,
): Promise<void> {
  await store.update(service.label, (record) => {
    const ended = endRollout(record, rollout.id, { ...result, endedAt: new Date().toISOString() });
    return holder === undefined ? ended : dropLease(ended, holder);
  });
}

/** Remembers that it did not end as it should. Where the record can't be written, the error that led here is told, not that one. */
async function endBadly(request: RolloutRequest, rollout: Rollout, error: unknown, holder?: string): Promise<void> {
  const reason = request.signal?.aborted
    ? 'interrupted before its end'
    : isFault(error)
      ? error.message
      : String(error);
  await end(request, rollout, { result: 'failed', reason }, holder).catch((second: unknown) => {
    if (!isFault(second)) throw second;
  });
}

/** Seconds. A Deployment that is given more time by its manifest gets it. */
function deadlineOf({ deadline, documents }: RolloutRequest): number {
  if (deadline !== undefined) return deadline;
  const said = documents.map(({ object }) => {
    const { progressDeadlineSeconds } = (object.spec ?? {}) as { progressDeadlineSeconds?: unknown };
    return typeof progressDeadlineSeconds === 'number' ? progressDeadlineSeconds : 0;
  });
  return Math.max(usualDeadline, ...said);
}

function toApply(plan: readonly PlannedObject[]): string {
  const due = plan.filter(({ action }) => action !== 'unchanged');
  return due.length === 0
    ? 'no object differs'
    : due.map(({ object }) => `${object.kind}/${object.metadata.name}`).join(', ');
}

function asChange({ object, action }: PlannedObject): ObjectChange {
  const done = { create: 'created', configure: 'configured', unchanged: 'unchanged' } as const;
  return change(object.kind, object.metadata.name, done[action]);
}

function change(kind: string, name: string, action: ObjectChange['action']): ObjectChange {
  return { kind, name, action };
}

/** What the API server refuses, at the place of the manifest where it is written. Other errors are left as they are. */
function toldBySource(error: unknown, { documents, service }: RolloutRequest): unknown {
  if (!(error instanceof ObjectFault)) return error;
  const one = (fault: ObjectFault): ReleaseFault => {
    const document = documents.find(
      ({ object }) => object.kind === fault.object.kind && object.metadata.name === fault.object.metadata.name,
    );
    const [field] = fault.fields;
    const place: Place | undefined = document && (field ? document.locate(field.path) : document.place);
    const related = document
      ? fault.fields.slice(1).map(({ path, message }) => ({ message, place: document.locate(path) }))
      : [];
    return new ReleaseFault('release/rejected', `the cluster refuses ${service.label}: ${fault.message}`, {
      place,
      related,
      notes: fault.notes,
      next: fault.next,
      cause: fault.reason,
      others: fault.others.filter((other) => other instanceof ObjectFault).map(one),
    });
  };
  return one(error);
}
