import type { KubeObject } from './types.ts';

/** The parts of a v1.Pod that this program reads. */
export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly containers: readonly {
      readonly name: string;
      readonly image?: string;
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
      readonly readinessProbe?: {
        readonly httpGet?: {
          readonly path?: string;
          readonly port: number | string;
          readonly host?: string;
          readonly scheme?: string;
        };
      };
    }[];
    readonly initContainers?: readonly {
      readonly name: string;
      readonly image?: string;
      readonly restartPolicy?: string;
    }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
      readonly lastTransitionTime?: string;
    }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface ContainerStatus {
  readonly name: string;
  readonly image: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
}

export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: { readonly startedAt?: string };
  readonly terminated?: {
    readonly exitCode: number;
    readonly signal?: number;
    readonly reason?: string;
    readonly message?: string;
    readonly finishedAt?: string;
  };
}

/** Init containers first, as they run. */
export function containerStatuses(pod: Pod): readonly ContainerStatus[] {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

/** Ended by itself: a job's pod, or one that was evicted. */
export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** One word, as the STATUS column of `kubectl get pods`. */
export function podState(pod: Pod): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating';
  const { phase = 'Pending', reason } = pod.status ?? {};
  const initial = pod.status?.initContainerStatuses?.find(({ state }) => {
    if (state?.waiting?.reason !== undefined && state.waiting.reason !== 'PodInitializing') return true;
    return state?.terminated !== undefined && state.terminated.exitCode !== 0;
  });
  if (initial !== undefined) {
    return `Init:${initial.state?.waiting?.reason ?? initial.state?.terminated?.reason ?? 'Error'}`;
  }
  for (const { state } of pod.status?.containerStatuses ?? []) {
    if (state?.waiting?.reason !== undefined) return state.waiting.reason;
    if (state?.terminated !== undefined) {
      return state.terminated.reason ?? (state.terminated.exitCode === 0 ? 'Completed' : 'Error');
    }
  }
  return reason ?? phase;
}

/**
 * What a mirror or a list gives of the objects of a kind. An owner's uid narrows it to what belongs to that one, of events to those about
 * it; others may be among them.
 */
export type Objects = (kind: string, owner?: string) => readonly KubeObject[];

/** A workload's pods: those of the revision that it is on its way to, and those that it is leaving. */
export interface WorkloadPods {
  readonly current: readonly Pod[];
  readonly old: readonly Pod[];
  /** The newest ReplicaSet of a Deployment; undefined for other kinds, and before there is one. */
  readonly replicaSet: KubeObject | undefined;
}

/** Finds a workload's pods by who owns them, not by labels, which others may use too. */
export function podsOf(workload: KubeObject, objects: Objects): WorkloadPods {
  const owned = (owner: KubeObject, kind: string) =>
    objects(kind, owner.metadata.uid).filter(({ metadata }) =>
      metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid),
    );
  const pods = (owner: KubeObject) => owned(owner, 'Pod') as unknown as readonly Pod[];
  switch (workload.kind) {
    case 'Pod': {
      const self = objects('Pod').find(({ metadata }) => metadata.uid === workload.metadata.uid);
      return { current: self === undefined ? [] : [self as unknown as Pod], old: [], replicaSet: undefined };
    }
    case 'Deployment': {
      const replicaSets = [...owned(workload, 'ReplicaSet')].sort((a, b) => revision(b) - revision(a));
      const status = workload.status as { observedGeneration?: number } | undefined;
      // Before the controller has seen a change, the newest ReplicaSet is the one before it.
      const seen = (status?.observedGeneration ?? 0) >= (workload.metadata.generation ?? 0);
      const newest = seen ? replicaSets[0] : undefined;
      const old = replicaSets.filter((replicaSet) => replicaSet !== newest).flatMap(pods);
      return { current: newest === undefined ? [] : pods(newest), old, replicaSet: newest };
    }
    case 'StatefulSet':
    case 'DaemonSet': {
      const all = pods(workload);
      const status = workload.status as { updateRevision?: string; observedGeneration?: number } | undefined;
      const newest =
        workload.kind === 'StatefulSet'
          ? status?.updateRevision
          : newestRevision(owned(workload, 'ControllerRevision'));
      // Without revisions at hand nothing tells old from new.
      if (newest === undefined) return { current: all, old: [], replicaSet: undefined };
      const hash = (pod: Pod) => pod.metadata.labels?.['controller-revision-hash'];
      const isNew = (pod: Pod) => hash(pod) === newest || newest.endsWith(`-${hash(pod)}`);
      return { current: all.filter(isNew), old: all.filter((pod) => !isNew(pod)), replicaSet: undefined };
    }
    case 'ReplicaSet':
      return { current: pods(workload), old: [], replicaSet: workload };
    case 'CronJob':
      return { current: owned(workload, 'Job').flatMap(pods), old: [], replicaSet: undefined };
    default:
      return { current: pods(workload), old: [], replicaSet: undefined };
  }
}

function revision(replicaSet: KubeObject): number {
  return Number(replicaSet.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0);
}

function newestRevision(revisions: readonly KubeObject[]): string | undefined {
  return [...revisions].sort((a, b) => Number(b.revision ?? 0) - Number(a.revision ?? 0))[0]?.metadata.name;
}
