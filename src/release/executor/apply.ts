import { type KubeObject, nameOf, type PlannedObject } from '../../kube/index.ts';
import type { ManifestObject } from '../../manifest/index.ts';
import { goesBack, type Placement } from '../model/index.ts';
import { requireSplittable, stageDocuments } from '../progressive/index.ts';
import { appliedRecord, beginRecord, keepRecordLease } from '../record-steps.ts';
import { referencesOf } from '../render.ts';
import {
  applyObjects,
  kindsOf,
  planObjects,
  pruneObjects,
  type ServiceObjects,
  toldBySource,
} from '../service-objects.ts';
import { ensureNamespace } from '../session.ts';
import type { Release as RecordedRelease, Rollout as RecordedRollout } from '../types.ts';
import { tryVerification } from '../verify/index.ts';
import type { Job } from './types.ts';

export interface Applied {
  /** All objects as they are now. */
  readonly objects: readonly KubeObject[];
  /** Those that were changed, as they were before. */
  readonly before: readonly KubeObject[];
}

/**
 * Brings the objects of a release into its environment: all are compared before one is changed. Done again, it changes what is left
 * to change. The record in the cluster is kept as well, so that whoever looks from there sees it too.
 *
 * @param placement what is known of the service there: whose lease nobody holds any more
 * @param note writes down what is about to be deleted, before it is
 * @throws ReleaseFault release/rejected, release/busy; KubeFault
 */
export async function applyRelease(
  { stage, ...whole }: Job,
  manifests: string,
  placement: Placement,
  note: (text: string) => Promise<void>,
): Promise<Applied> {
  const job: Job = whole;
  const { service, documents, session, rollout, signal } = job;
  const { cluster, namespace, store } = session;
  const objects: ServiceObjects = {
    service: { label: service },
    documents,
    cluster,
    namespace,
    force: rollout.adopt === true,
    signal,
  };
  if (stage !== undefined) requireSplittable(documents, job.verification, rollout.terms.stages ?? []);
  await ensureNamespace(session, signal);
  const mine = new Set(placement.rollouts.map(({ id }) => id));
  try {
    let isRepeated = false;
    const record = await beginRecord({
      store,
      service,
      release: recordedRelease(job, manifests),
      rollout: recordedRollout(job),
      kinds: kindsOf(objects),
      // Its rollouts are driven by one server at a time, and that is this one.
      isGone: (holder) => mine.has(holder),
      onWait: () => {},
      onRepeat: () => {
        isRepeated = true;
      },
      signal,
    });
    const renewal = keepRecordLease(store, service, rollout.id);
    try {
      const plan = await planObjects(objects);
      const run = { service, rollout: rollout.id, stage: rollout.stage };
      await tryVerification({ session, run, documents: job.verification, signal });
      if (stage !== undefined) {
        const beside = await applyStage(objects, plan, stage.share);
        await appliedRecord(store, service, rollout.id, record.kinds);
        return beside;
      }
      const applied = await applyObjects(objects, plan);
      // Where nothing was ever applied before, nothing is left of it.
      const others = placement.rollouts.some(({ id, started }) => id !== rollout.id && started !== undefined);
      const isFirst = record.rollouts.length === 1 && !isRepeated && !others;
      const kept = isFirst ? [] : await pruneLeft(objects, record.kinds, rollout.deletesData === true, note);
      await appliedRecord(store, service, rollout.id, kindsOf(objects, kept));
      return { objects: applied, before: changedBy(plan) };
    } finally {
      renewal.stop();
    }
  } catch (error) {
    throw toldBySource(error, { ...objects, documents: [...documents, ...job.verification] });
  }
}

/** In a stage only what runs beside is applied; all the rest was compared, so that what is wrong with it is known now. */
async function applyStage(objects: ServiceObjects, plan: readonly PlannedObject[], share: number): Promise<Applied> {
  const live = (object: ManifestObject) =>
    plan.find((each) => each.object.kind === object.kind && each.object.metadata.name === object.metadata.name)?.live;
  const beside = { ...objects, documents: stageDocuments(objects.documents, share, live) };
  const planned = await planObjects(beside);
  return { objects: await applyObjects(beside, planned), before: changedBy(planned) };
}

/** Nothing is deleted without the record saying so first. @returns what stays until a person has it deleted */
async function pruneLeft(
  objects: ServiceObjects,
  kinds: readonly string[],
  preciousToo: boolean,
  note: (text: string) => Promise<void>,
): Promise<readonly KubeObject[]> {
  const { deleted, kept } = await pruneObjects(objects, kinds, { preciousToo, dryRun: true });
  if (kept.length > 0) {
    await note(`left in place, since only a person may have it deleted: ${kept.map(nameOf).sort().join(', ')}`);
  }
  if (deleted.length === 0) return kept;
  await note(`deletes what left the manifests: ${deleted.map(nameOf).sort().join(', ')}`);
  await pruneObjects(objects, kinds, { preciousToo });
  return kept;
}

function changedBy(plan: readonly PlannedObject[]): KubeObject[] {
  return plan.flatMap(({ live, action }) => (live !== undefined && action !== 'unchanged' ? [live] : []));
}

function recordedRelease({ service, content, rollout, environment }: Job, manifests: string): RecordedRelease {
  return {
    id: rollout.release.id.replace(/^sha256:/, ''),
    service,
    manifests,
    images: referencesOf(content.images, environment),
    origin: { commit: content.commit, ...(content.authors[0] && { author: content.authors[0] }), dirty: false },
    createdAt: new Date(rollout.steps[0]?.at ?? 0).toISOString(),
  };
}

function recordedRollout({ rollout }: Job): RecordedRollout {
  return {
    id: rollout.id,
    release: rollout.release.id.replace(/^sha256:/, ''),
    kind: goesBack(rollout) ? 'rollback' : 'deploy',
    by: rollout.by,
    startedAt: new Date(rollout.steps.find(({ state }) => state === 'applying')?.at ?? 0).toISOString(),
    result: 'progressing',
  };
}
