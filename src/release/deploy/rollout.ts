import { randomBytes } from 'node:crypto';
import { type Fault, isFault } from '../../fault/index.ts';
import type { KubeObject, Mirror, PlannedObject } from '../../kube/index.ts';
import { appliedRelease, isSuperseded, lastRollout, type ServiceRecord } from '../cluster/record.ts';
import { appliedRecord, beginRecord, endRecord, keepRecordLease } from '../cluster/record-steps.ts';
import {
  applyObjects,
  asChange,
  change,
  kindsOf,
  planObjects,
  pruneObjects,
  type ServiceObjects,
  toldBySource,
} from '../cluster/service-objects.ts';
import { areWell, type Settled, settle } from '../cluster/settle.ts';
import type { ReleaseStore } from '../cluster/store.ts';
import { ReleaseFault } from '../fault.ts';
import type {
  DeployEvent,
  ObjectChange,
  Phase,
  PodStatus,
  Release,
  Rollout,
  Service,
  ServiceDeployment,
} from '../types.ts';
import { splitVerification, tryVerification, verifyRelease } from '../verify/index.ts';
import { whoAmI } from '../who.ts';

export interface RolloutRequest extends ServiceObjects {
  readonly service: Service;
  readonly release: Release;
  readonly kind: Rollout['kind'];
  /** How its images stood to the environment's policy. */
  readonly proof?: Rollout['proof'];
  readonly store: ReleaseStore;
  /** Opened when the first service has to wait. */
  readonly mirror: () => Promise<Mirror>;
  /** Seconds; undefined for what the manifests say, and 120 at least. */
  readonly deadline: number | undefined;
  readonly observe: (event: DeployEvent) => void;
}

/** Seconds. */
const usualDeadline = 120;

/**
 * Brings one release into an environment: compare, apply what differs, delete what left, wait, and remember how it went.
 *
 * @returns how it ended; a rollout that fails is no thrown error
 * @throws KubeFault where the cluster can't be reached; the signal's reason
 */
export async function rollOut(asked: RolloutRequest): Promise<ServiceDeployment> {
  let request = asked;
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
    const { served, verification } = splitVerification(asked.documents);
    request = { ...asked, documents: served };
    let { record, plan } = await compare(request);
    changes = plan.map(asChange);
    if (isAsItShouldBe(record, plan, request)) {
      return conclude('unchanged', changes, 'nothing to do');
    }
    const rollout = newRollout(request, record);
    const holder = rollout.id;
    const run = { service: service.label, rollout: rollout.id };
    const { cluster, namespace, mirror } = request;
    await tryVerification({ session: { cluster, namespace }, run, documents: verification, signal });
    record = await beginRecord({
      store: request.store,
      service: service.label,
      release,
      rollout,
      kinds: kindsOf(request),
      onWait: (who) => tell('waiting', `${who} is applying it`),
      signal,
    });
    let applied: readonly KubeObject[];
    let kinds: readonly string[];
    const renewal = keepRecordLease(request.store, service.label, holder);
    try {
      // Between the look and the lease somebody else may have applied something.
      plan = await planObjects(request);
      tell('applying', toApply(plan));
      applied = await applyObjects(request, plan);
      const { deleted, kept } = await pruneObjects(request, record.kinds);
      kinds = kindsOf(request, kept);
      changes = [...plan.map(asChange), ...deleted.map((object) => change(object, 'pruned'))];
    } catch (error) {
      const told = toldBySource(error, request);
      await endBadly(request, rollout, told, holder);
      if (!(told instanceof ReleaseFault)) throw told;
      return conclude('failed', changes, told.message, told);
    } finally {
      renewal.stop();
    }
    await appliedRecord(request.store, service.label, holder, kinds);
    const before = plan.flatMap(({ live, action }) => (live !== undefined && action !== 'unchanged' ? [live] : []));
    const deadline = began + deadlineOf(request) * 1000;
    const superseded = async () => isSuperseded(await asked.store.read(service.label), rollout);
    const settled = await settle({
      cluster: request.cluster,
      mirror: await request.mirror(),
      namespace: request.namespace,
      applied,
      before,
      deadline,
      onChange: (message, pods) => tell('progressing', message, pods),
      superseded,
      signal,
    })
      .then(async (settled): Promise<Settled> => {
        if (settled.result !== 'healthy' || verification.length === 0) return settled;
        const onChange = (message: string) => tell('progressing', `verifying: ${message}`, settled.pods);
        const session = { cluster, namespace, mirror };
        const verified = await verifyRelease({ session, run, documents: verification, deadline, onChange, signal });
        if (await superseded()) return { result: 'superseded' };
        return verified.result === 'failed' ? verified : settled;
      })
      .catch(async (error: unknown) => {
        await endBadly(request, rollout, error);
        throw error;
      });
    return await remember(request, rollout, settled, (result, message, fault, pods) =>
      conclude(result, changes, message, fault, pods),
    );
  } catch (error) {
    const told = toldBySource(error, asked);
    if (!(told instanceof ReleaseFault)) throw told;
    return conclude('failed', changes, told.message, told);
  }
}

async function compare(
  request: RolloutRequest,
): Promise<{ readonly record: ServiceRecord; readonly plan: readonly PlannedObject[] }> {
  const [record, plan] = await Promise.all([request.store.read(request.service.label), planObjects(request)]);
  return { record, plan };
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
  const from = appliedRelease(record);
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
    await endRecord(request.store, request.service.label, rollout, { result: 'failed', reason: fault.message });
    return conclude('failed', fault.message, fault);
  }
  await endRecord(request.store, request.service.label, rollout, { result: 'healthy' });
  return conclude('healthy', settled.message, undefined, settled.pods);
}

/** Remembers that it did not end as it should. Where the record can't be written, the error that led here is told, not that one. */
async function endBadly(request: RolloutRequest, rollout: Rollout, error: unknown, holder?: string): Promise<void> {
  const reason = request.signal?.aborted
    ? 'interrupted before its end'
    : isFault(error)
      ? error.message
      : String(error);
  const { store, service } = request;
  await endRecord(store, service.label, rollout, { result: 'failed', reason }, holder).catch((second: unknown) => {
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
