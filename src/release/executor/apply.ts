import { type KubeObject, nameOf, type PlannedObject } from '../../kube/index.ts';
import type { ManifestObject } from '../../manifest/index.ts';
import { beginRecord, endRecord, holdRecordLease, withRollout, writeRollout } from '../cluster/record-steps.ts';
import {
  applyObjects,
  kindsOf,
  membersIn,
  planObjects,
  pruneObjects,
  type ServiceObjects,
  toldBySource,
} from '../cluster/service-objects.ts';
import { ensureNamespace } from '../cluster/session.ts';
import type { ReleaseStore } from '../cluster/store.ts';
import {
  type AppliedObject,
  appliedSet,
  basisOf,
  type IsAsApplied,
  type KnownObjects,
  objectKey,
  whatIsApplied,
} from '../drift/index.ts';
import { goesBack, liveRollout, type Placement } from '../model/index.ts';
import { requireSplittable, stageDocuments } from '../progressive/index.ts';
import { referencesOf } from '../render.ts';
import type { Release as RecordedRelease, Rollout as RecordedRollout } from '../types.ts';
import { tryVerification } from '../verify/index.ts';
import { pastServer } from './past-server.ts';
import type { Job } from './types.ts';

export interface Applied {
  /** All objects as they are now. */
  readonly objects: readonly KubeObject[];
  /** Those that were changed, as they were before. */
  readonly before: readonly KubeObject[];
  readonly record: AppliedRecord;
}

/** What the record in the cluster is still to be told of a rollout that is applied. */
export interface AppliedRecord {
  /** Nothing more is done with the lease. */
  stop(): void;
  /** How it ended. */
  end(store: ReleaseStore, result: Pick<RecordedRollout, 'result' | 'reason'>): Promise<void>;
}

/**
 * Brings the objects of a release into its environment: all are compared before one is changed. Done again, it changes what is left
 * to change. The record in the cluster is kept as well, so that whoever looks from there sees it too. Where all is known to be as it
 * should be, nothing is asked but the record, and that is told when it is over.
 *
 * @param known what is known of the objects, so that what nobody touched need not be compared
 * @param placement what is known of the service there: whose lease nobody holds any more
 * @param note writes down what is about to be deleted, before it is
 * @throws ReleaseFault release/rejected, release/busy; KubeFault
 */
export async function applyRelease(
  { stage, ...whole }: Job,
  manifests: string,
  placement: Placement,
  known: KnownObjects,
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
  const begun = { store, service, release: recordedRelease(job, manifests), rollout: recordedRollout(job) };
  const mine = new Set(placement.rollouts.map(({ id }) => id));
  // Where nothing was ever applied before, nothing is left of it.
  const others = placement.rollouts.some(({ id, started }) => id !== rollout.id && started !== undefined);
  const run = { service, rollout: rollout.id, stage: rollout.stage };
  try {
    const look = await lookAtApplied(job, objects, placement, known);
    if (stage === undefined && look.isWhole) {
      await tryVerification({ session, run, documents: job.verification, signal });
      const past = pastServer(withRollout(await store.read(service), begun), mine, rollout.id);
      if (past !== undefined) await note(past);
      look.keep([]);
      const kinds = kindsOf(objects);
      const record: AppliedRecord = {
        stop() {},
        end: (store, result) => writeRollout({ ...begun, store, kinds }, result),
      };
      return { objects: membersIn(objects), before: [], record };
    }
    await ensureNamespace(session, signal);
    let isRepeated = false;
    const record = await beginRecord({
      ...begun,
      kinds: kindsOf(objects),
      isNew: !others,
      // Its rollouts are driven by one server at a time, and that is this one.
      isGone: (holder) => mine.has(holder),
      onWait: () => {},
      onRepeat: () => {
        isRepeated = true;
      },
      signal,
    });
    const past = isRepeated ? undefined : pastServer(record, mine, rollout.id);
    if (past !== undefined) await note(past);
    const lease = holdRecordLease(store, service, rollout.id);
    const appliedKinds = (kinds: readonly string[]): AppliedRecord => {
      lease.applied(kinds);
      return {
        stop: lease.stop,
        end: (store, result) => endRecord(store, service, rollout, result, rollout.id, kinds),
      };
    };
    try {
      const isFirst = record.rollouts.length === 1 && !isRepeated && !others;
      const areNew = isFirst && stage === undefined;
      const plan = await planObjects(objects, { isAsApplied: look.isAsApplied, areNew });
      await tryVerification({ session, run, documents: job.verification, signal });
      if (stage !== undefined) {
        const beside = await applyStage(objects, plan, stage.share);
        return { ...beside, record: appliedKinds(record.kinds) };
      }
      const applied = await applyObjects(objects, plan);
      const nothingLeft = isFirst || look.nothingLeft;
      const kept = nothingLeft ? [] : await pruneLeft(objects, record.kinds, rollout.deletesData === true, note);
      look.keep(marksAfter(plan, applied));
      return { objects: applied, before: changedBy(plan), record: appliedKinds(kindsOf(objects, kept)) };
    } catch (error) {
      lease.stop();
      throw error;
    }
  } catch (error) {
    throw toldBySource(error, { ...objects, documents: [...documents, ...job.verification] });
  }
}

/** In a stage only what runs beside is applied; all the rest was compared, so that what is wrong with it is known now. */
async function applyStage(
  objects: ServiceObjects,
  plan: readonly PlannedObject[],
  share: number,
): Promise<Omit<Applied, 'record'>> {
  const live = (object: ManifestObject) =>
    plan.find((each) => each.object.kind === object.kind && each.object.metadata.name === object.metadata.name)?.live;
  const beside = { ...objects, documents: stageDocuments(objects.documents, share, live) };
  const planned = await planObjects(beside);
  return { objects: await applyObjects(beside, planned), before: changedBy(planned) };
}

interface AppliedLook {
  readonly isAsApplied: IsAsApplied;
  /** Everything is in the cluster as it was applied, and nothing else is of the service. */
  readonly isWhole: boolean;
  /** What was brought in before is all among what is brought in now. */
  readonly nothingLeft: boolean;
  /** Remembers how the objects are now. @param changed those that were compared or applied */
  keep(changed: readonly AppliedObject[]): void;
}

/** What is known of the service's objects without asking about each of them. */
async function lookAtApplied(
  { service, environment, session, rollout }: Job,
  objects: ServiceObjects,
  placement: Placement,
  known: KnownObjects,
): Promise<AppliedLook> {
  const members = membersIn(objects);
  const { set, isAsApplied, members: there } = whatIsApplied(known, session, { service, environment }, members);
  const keys = new Set(members.map((object) => objectKey(object, object.metadata.name)));
  // What came between, and did not come to its end, may have left anything.
  const before = liveRollout({ ...placement, rollouts: placement.rollouts.filter(({ id }) => id !== rollout.id) });
  const isLast = before?.state === 'healthy' && set?.basis === basisOf(before.release.id, environment);
  const nothingLeft =
    isLast &&
    set.objects.every((ref) => keys.has(objectKey(ref, ref.name))) &&
    there().every((sighting) => keys.has(objectKey(sighting, sighting.name)));
  let isWhole = nothingLeft;
  for (const object of isWhole ? members : []) {
    const { namespaced } = await session.cluster.resource(object);
    isWhole &&= isAsApplied(object, namespaced);
  }
  return {
    isAsApplied,
    isWhole,
    nothingLeft,
    keep(changed) {
      const basis = basisOf(rollout.release.id, environment);
      const all = members.map((object) => changed.find((each) => isSame(each.object, object)) ?? { object });
      known.marks.set(service, environment.name, appliedSet(basis, all, set));
    },
  };
}

/** How the objects of a plan are once it is applied; of those that nobody asked about nothing is said. */
function marksAfter(plan: readonly PlannedObject[], applied: readonly KubeObject[]): AppliedObject[] {
  return plan.flatMap(({ object, action, live, after }) => {
    if (action === 'unchanged')
      return live === undefined || after === undefined ? [] : [{ object, after: live, wanted: after }];
    const now = applied.find((each) => isSame(each, object));
    return now === undefined ? [] : [{ object, after: now }];
  });
}

function isSame(a: KubeObject, b: KubeObject): boolean {
  return objectKey(a, a.metadata.name) === objectKey(b, b.metadata.name);
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
