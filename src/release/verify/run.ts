import { setTimeout as sleep } from 'node:timers/promises';
import type { Label } from '../../graph/index.ts';
import {
  type Changes,
  type Cluster,
  changesIn,
  containerStatuses,
  createObject,
  deleteObject,
  diagnose,
  getObject,
  healthOf,
  isKubeFault,
  type KubeObject,
  lastLines,
  listObjects,
  type Mirror,
  ObjectFault,
  type Pod,
  podsOf,
} from '../../kube/index.ts';
import type { ManifestDocument } from '../../manifest/index.ts';
import { ReleaseFault } from '../fault.ts';
import { jobFor, jobName, type Run, runId, runLabel, serviceLabel, short } from './job.ts';
import { splitVerification } from './marked.ts';

export interface VerifyRequest {
  readonly session: { readonly cluster: Cluster; readonly namespace: string; mirror(): Promise<Mirror> };
  readonly run: Run;
  /** All of the release's objects in the environment; those that are marked are run. */
  readonly documents: readonly ManifestDocument[];
  /** Names of the jobs that are run; all unless told. */
  readonly only?: readonly string[] | undefined;
  /** Milliseconds since the epoch, by this machine's clock. */
  readonly deadline: number;
  readonly onChange?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type Verified = { readonly result: 'verified' } | { readonly result: 'failed'; readonly fault: ReleaseFault };

/** Milliseconds between two looks where nothing changes. */
const tick = 1_000;
/** Lines of a log that are told. */
const told = 15;
/** Ends of containers are the job's own affair: it begins anew as often as its manifest says. */
const jobsOwn: readonly string[] = ['crash', 'out-of-memory', 'probe-failing', 'evicted'];

/**
 * Runs a release's verification jobs, all at the same time, and cleans up. Begun again for the same run, it goes on with the jobs
 * that it finds. Where the signal aborts, the jobs are left as they are: whoever goes on finds them.
 *
 * @throws ReleaseFault release/bad-verification; ObjectFault where the cluster refuses a job; KubeFault; the signal's reason
 */
export async function verifyRelease(request: VerifyRequest): Promise<Verified> {
  const { session, run, only, signal } = request;
  const { cluster, namespace } = session;
  const documents = chosen(splitVerification(request.documents).verification, only);
  await removeVerification(session, run.service, { except: runId(run), signal });
  const mirror = await session.mirror();
  const kinds = [
    { apiVersion: 'batch/v1', kind: 'Job' },
    { apiVersion: 'v1', kind: 'Pod' },
    { apiVersion: 'v1', kind: 'Event' },
  ];
  await Promise.all(kinds.map((kind) => mirror.follow(kind)));
  const jobs = await Promise.all(documents.map((document) => begin(request, document)));
  const verified = await watch(request, mirror, jobs);
  await Promise.all(jobs.map(({ metadata }) => remove(cluster, namespace, metadata.name, metadata.uid, signal)));
  return verified;
}

/**
 * Whether the cluster would take the verification jobs, by dry run: what is wrong with one is known before anything is applied.
 *
 * @throws ObjectFault about the object of the manifest
 */
export async function tryVerification({
  session: { cluster, namespace },
  run,
  documents,
  signal,
}: Omit<VerifyRequest, 'deadline' | 'session'> & {
  readonly session: { readonly cluster: Cluster; readonly namespace: string };
}): Promise<void> {
  for (const { object } of splitVerification(documents).verification) {
    const job = jobFor(object, run, namespace, 1);
    await aboutManifest(object as unknown as KubeObject, async () => {
      try {
        await createObject(cluster, job, { dryRun: true, signal });
      } catch (error) {
        if (!isKubeFault(error, 'kube/already-exists')) throw error;
      }
    });
  }
}

/** Deletes what verification of a service has left behind. */
export async function removeVerification(
  { cluster, namespace }: { readonly cluster: Cluster; readonly namespace: string },
  service: Label,
  { except, signal }: { readonly except?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { items } = await listObjects(
    cluster,
    { apiVersion: 'batch/v1', kind: 'Job' },
    {
      namespace,
      labelSelector: `${serviceLabel}=${short(service)}${except === undefined ? '' : `,${runLabel}!=${except}`}`,
      signal,
    },
  );
  await Promise.all(
    items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => remove(cluster, namespace, metadata.name, metadata.uid, signal)),
  );
}

function chosen(
  documents: readonly ManifestDocument[],
  only: readonly string[] | undefined,
): readonly ManifestDocument[] {
  if (only === undefined) return documents;
  return only.map((name) => {
    const found = documents.find(({ object }) => object.metadata.name === name);
    if (found !== undefined) return found;
    const names = documents.map(({ object }) => object.metadata.name);
    throw new ReleaseFault('release/bad-verification', `the release has no verification job ${name}`, {
      next: names.length === 0 ? 'mark a Job with banksman.local/verify: "true"' : `choose one of: ${names.join(', ')}`,
    });
  });
}

/** Makes the job, or finds the one that was made before. */
async function begin(request: VerifyRequest, { object }: ManifestDocument): Promise<KubeObject> {
  const { session, run, deadline, signal } = request;
  const { cluster, namespace } = session;
  const name = { apiVersion: 'batch/v1', kind: 'Job', namespace, name: jobName(object.metadata.name, run) };
  return await aboutManifest(object as unknown as KubeObject, async () => {
    for (;;) {
      signal?.throwIfAborted();
      const found = await getObject(cluster, name, { signal });
      if (found !== undefined && found.metadata.labels?.[runLabel] !== runId(run)) {
        throw new ReleaseFault('release/bad-verification', `there is a Job ${name.name} that is not ours`, {
          next: `see whose it is: kubectl get job ${name.name} -o yaml`,
        });
      }
      if (found !== undefined && found.metadata.deletionTimestamp === undefined) return found;
      // One of an earlier try that is on its way out has to be gone first.
      if (found === undefined) {
        const seconds = Math.max(1, Math.ceil((deadline - Date.now()) / 1000));
        try {
          return await createObject(cluster, jobFor(object, run, namespace, seconds), { signal });
        } catch (error) {
          if (!isKubeFault(error, 'kube/already-exists')) throw error;
        }
      }
      if (Date.now() >= deadline) {
        throw new ReleaseFault('release/verification-failed', `Job ${name.name} of before is still there`, {
          next: `see what keeps it: kubectl get job ${name.name} -o yaml`,
        });
      }
      await sleep(200, undefined, { ...(signal && { signal }) });
    }
  });
}

async function watch(request: VerifyRequest, mirror: Mirror, jobs: readonly KubeObject[]): Promise<Verified> {
  const changes = changesIn(mirror, jobs, request.signal);
  try {
    return await untilEnded(request, mirror, jobs, changes);
  } finally {
    changes.end();
  }
}

async function untilEnded(
  request: VerifyRequest,
  mirror: Mirror,
  jobs: readonly KubeObject[],
  changes: Changes,
): Promise<Verified> {
  const { deadline, signal, onChange } = request;
  const seen = new Set<string>();
  const now = new Map(jobs.map((job) => [job.metadata.uid ?? '', job]));
  let last = '';
  for (;;) {
    signal?.throwIfAborted();
    const there = new Set<string>();
    for (const [uid, { apiVersion, kind, metadata }] of now) {
      const found = mirror.find({ apiVersion, kind }, metadata.name);
      if (found?.metadata.uid !== uid) continue;
      there.add(uid);
      seen.add(uid);
      now.set(uid, found);
    }
    for (const [uid, job] of now) {
      const health = healthOf(job);
      if (health.state === 'current' && isComplete(job)) continue;
      // The mirror may be a moment behind: gone is only what was there.
      if (health.state === 'terminating' || (seen.has(uid) && !there.has(uid))) {
        return failed(`verification job ${job.metadata.name} was deleted before it ended`, [], undefined);
      }
      if (health.state === 'failed') return await failedJob(request, mirror, job, health.message);
      const pods = podsOf(job, mirror.list).current;
      const events = [job, ...pods].flatMap(({ metadata }) => mirror.list('Event', metadata.uid));
      const diagnosis = diagnose({ pods, events, owners: [job], now: Date.now() });
      if (diagnosis?.certain && !jobsOwn.includes(diagnosis.cause)) {
        return failed(`verification job ${job.metadata.name}: ${diagnosis.message}`, diagnosis.notes, diagnosis.next);
      }
      if (Date.now() >= deadline) {
        const reason = diagnosis?.message ?? health.message;
        return await failedJob(request, mirror, job, `did not end in time: ${reason}`);
      }
    }
    const open = [...now.values()].filter((job) => !isComplete(job));
    if (open.length === 0) return { result: 'verified' };
    const message = open.map((job) => `${job.metadata.name}: ${healthOf(job).message}`).join(', ');
    if (message !== last) onChange?.(message);
    last = message;
    await changes.next(Math.max(1, Math.min(tick, deadline - Date.now())));
  }
}

/** `suspended` counts as current for others; here only the end does. */
function isComplete(job: KubeObject): boolean {
  const { conditions } = (job.status ?? {}) as { conditions?: readonly { type: string; status: string }[] };
  return conditions?.some(({ type, status }) => type === 'Complete' && status === 'True') ?? false;
}

/** With the last lines of the log of the pod that ended last. */
async function failedJob(
  { session: { cluster, namespace }, signal }: VerifyRequest,
  mirror: Mirror,
  job: KubeObject,
  reason: string,
): Promise<Verified> {
  const pods = [...podsOf(job, mirror.list).current].sort((a, b) => endOf(a) - endOf(b));
  const pod = pods.findLast((each) => endOf(each) > 0) ?? pods.at(-1);
  const notes = pod === undefined ? ['it has no pod any more; restartPolicy: Never keeps those that failed'] : [];
  if (pod !== undefined) {
    const statuses = containerStatuses(pod);
    const bad = statuses.find(({ state, lastState }) => (state?.terminated ?? lastState?.terminated)?.exitCode);
    const container = bad?.name ?? pod.spec.containers[0]?.name ?? '';
    const exitCode = (bad?.state?.terminated ?? bad?.lastState?.terminated)?.exitCode;
    if (exitCode !== undefined) notes.push(`container ${container} ended with exit code ${exitCode}`);
    notes.push(await logOf(cluster, namespace, pod, container, signal));
  }
  return failed(`verification job ${job.metadata.name} failed: ${reason}`, notes, 'mend what its log says');
}

async function logOf(
  cluster: Cluster,
  namespace: string,
  pod: Pod,
  container: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { name } = pod.metadata;
  try {
    const lines = await lastLines(
      cluster,
      { namespace, pod: name, container },
      { count: told, previousFirst: false, signal },
    );
    if (lines.length === 0) return `there is nothing in the log of ${name}/${container}`;
    return `the last lines of ${name}/${container}:\n${lines.join('\n')}`;
  } catch (error) {
    // The reason stands without its log, and says why there is none.
    if (!isKubeFault(error)) throw error;
    return `its log can't be read: ${error.message}`;
  }
}

function endOf(pod: Pod): number {
  const ends = containerStatuses(pod).map(({ state, lastState }) =>
    Date.parse((state?.terminated ?? lastState?.terminated)?.finishedAt ?? ''),
  );
  return Math.max(0, ...ends.filter(Number.isFinite));
}

function failed(message: string, notes: readonly string[], next: string | undefined): Verified {
  return { result: 'failed', fault: new ReleaseFault('release/verification-failed', message, { notes, next }) };
}

async function remove(
  cluster: Cluster,
  namespace: string,
  name: string,
  uid: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  await deleteObject(cluster, { apiVersion: 'batch/v1', kind: 'Job', namespace, name }, { uid, signal }).catch(
    (error: unknown) => {
      // It leaves by itself an hour after its end.
      if (!isKubeFault(error)) throw error;
    },
  );
}

async function aboutManifest<Result>(object: KubeObject, body: () => Promise<Result>): Promise<Result> {
  try {
    return await body();
  } catch (error) {
    if (isKubeFault(error, 'kube/invalid', 'kube/forbidden', 'kube/unknown-kind')) throw new ObjectFault(object, error);
    throw error;
  }
}
