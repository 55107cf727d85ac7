import {
  containerStatuses,
  type Diagnosis,
  diagnose,
  type Health,
  healthOf,
  isFinished,
  isReady,
  type KubeObject,
  type Objects,
  type Pod,
  podState,
  podsOf,
} from '../../kube/index.ts';
import type { PodStatus } from '../types.ts';

/** Kinds whose pods are looked at. */
export const workloadKinds = [
  { apiVersion: 'apps/v1', kind: 'Deployment' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  { apiVersion: 'apps/v1', kind: 'DaemonSet' },
  { apiVersion: 'batch/v1', kind: 'Job' },
  { apiVersion: 'v1', kind: 'Pod' },
] as const;

/** What one must see of a namespace to judge workloads. */
export const observedKinds = [
  ...workloadKinds,
  { apiVersion: 'apps/v1', kind: 'ReplicaSet' },
  { apiVersion: 'apps/v1', kind: 'ControllerRevision' },
  { apiVersion: 'v1', kind: 'Event' },
] as const;

/** Kinds that are as good as they are once they are there. */
const lifeless = new Set([
  'ConfigMap',
  'Secret',
  'ServiceAccount',
  'Role',
  'RoleBinding',
  'ClusterRole',
  'ClusterRoleBinding',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'LimitRange',
  'ResourceQuota',
  'PriorityClass',
  'StorageClass',
  'Namespace',
  'CronJob',
]);

/** Whether an object has a health of its own that is to be watched. */
export function hasHealth({ kind }: Pick<KubeObject, 'kind'>): boolean {
  return !lifeless.has(kind);
}

/** How a service is, seen over all its objects. */
export interface Assessment {
  readonly state: 'healthy' | 'progressing' | 'failed';
  /** One line: `ledger: 1 of 2 pods ready`. */
  readonly message: string;
  readonly pods: readonly PodStatus[];
  /** What is wrong, where something is; also while it may still become right. */
  readonly diagnosis: Diagnosis | undefined;
  /** All that was asked for is there; only pods of before are still on their way out. */
  readonly onlyLeaving: boolean;
  /** Pods of a StatefulSet that hold up their own replacement. */
  readonly stuck: readonly Pod[];
}

/**
 * Judges a service by its objects as they are in the cluster.
 *
 * @param live the service's objects that have a health
 * @param objects what else is in the namespace
 * @param now milliseconds since the epoch
 */
export function assess(live: readonly KubeObject[], objects: Objects, now: number): Assessment {
  const parts = live.map((object) => {
    const health = healthOf(object);
    const pods = podsOf(object, objects);
    const owners = pods.replicaSet === undefined ? [object] : [object, pods.replicaSet];
    const well = health.state === 'current';
    const events = () => [
      ...new Set([...pods.current, ...owners].flatMap(({ metadata }) => objects('Event', metadata.uid))),
    ];
    const diagnosis = well ? undefined : diagnose({ pods: pods.current, events: events(), owners, now });
    return { object, health, pods, diagnosis };
  });
  const pods = parts.flatMap(({ pods: { current, old } }) => [
    ...current.map((pod) => podStatus(pod, true)),
    ...old.map((pod) => podStatus(pod, false)),
  ]);
  const diagnoses = parts.flatMap(({ diagnosis }) => diagnosis ?? []);
  const diagnosis = diagnoses.find(({ certain }) => certain) ?? diagnoses[0];
  const unwell = parts.filter(({ health }) => health.state !== 'current');
  const failed = unwell.find(({ health }) => health.state === 'failed');
  const leaving = parts.flatMap(({ pods: { current, old } }) => [
    ...old.filter((pod) => !isFinished(pod)),
    ...current.filter((pod) => pod.metadata.deletionTimestamp !== undefined),
  ]);
  const base = { pods, diagnosis, stuck: parts.flatMap(stuckPods), onlyLeaving: false };
  if (failed !== undefined || diagnosis?.certain) {
    const message = diagnosis?.message ?? (failed ? told(failed) : '');
    return { ...base, state: 'failed', message };
  }
  const [first] = unwell;
  if (first !== undefined) {
    const trouble = diagnosis === undefined ? '' : `; ${diagnosis.message}`;
    return { ...base, state: 'progressing', message: `${told(first)}${trouble}` };
  }
  const [last] = leaving;
  if (last !== undefined) {
    const message = `pod ${last.metadata.name} of before is stopping`;
    return { ...base, state: 'progressing', message, onlyLeaving: true };
  }
  return {
    ...base,
    state: 'healthy',
    message: parts
      .filter(({ pods }) => pods.current.length > 0)
      .map(told)
      .join(', '),
  };
}

function told({ object, health }: { readonly object: KubeObject; readonly health: Health }): string {
  return `${object.metadata.name}: ${health.message}`;
}

/**
 * A StatefulSet replaces a pod only when those before it are ready. A pod of a bad revision never is, so that the good revision
 * would wait for it for ever (kubernetes/kubernetes#67250): it has to be deleted by whoever brings the good revision.
 */
function stuckPods({
  object,
  pods,
}: {
  readonly object: KubeObject;
  readonly pods: { readonly old: readonly Pod[] };
}): readonly Pod[] {
  if (object.kind !== 'StatefulSet') return [];
  return pods.old.filter((pod) => !isReady(pod) && pod.metadata.deletionTimestamp === undefined);
}

export function podStatus(pod: Pod, current: boolean): PodStatus {
  return {
    name: pod.metadata.name,
    uid: pod.metadata.uid ?? '',
    current: current && pod.metadata.deletionTimestamp === undefined,
    ready: isReady(pod) && pod.metadata.deletionTimestamp === undefined,
    state: podState(pod),
    restarts: containerStatuses(pod).reduce((sum, { restartCount }) => sum + restartCount, 0),
    createdAt: pod.metadata.creationTimestamp ?? '',
    images: pod.spec.containers.map(({ image }) => image ?? ''),
    node: pod.spec.nodeName,
  };
}
