import type { KubeObject } from './types.ts';

/**
 * What an object's own status says of it, as kstatus (sigs.k8s.io/cli-utils) defines it:
 * `current`: what was asked for is there; `progressing`: on its way; `failed`: the controller gave up; `terminating`.
 */
export interface Health {
  readonly state: 'current' | 'progressing' | 'failed' | 'terminating';
  /** One line, as a person would say it. */
  readonly message: string;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

const current = (message: string): Health => ({ state: 'current', message });
const progressing = (message: string): Health => ({ state: 'progressing', message });
const failed = (message: string): Health => ({ state: 'failed', message });

/** The health of an object of any kind, by its spec and status alone. */
export function healthOf(object: KubeObject): Health {
  if (object.metadata.deletionTimestamp !== undefined) return { state: 'terminating', message: 'is being deleted' };
  const status = record(object.status);
  const observed = number(status.observedGeneration);
  if (observed !== undefined && object.metadata.generation !== undefined && observed < object.metadata.generation) {
    return progressing('the controller has not seen the change yet');
  }
  const rule = rules[object.kind];
  return rule === undefined ? byConditions(object) : rule(record(object.spec), status, object);
}

type Rule = (spec: Record<string, unknown>, status: Record<string, unknown>, object: KubeObject) => Health;

const rules: Readonly<Record<string, Rule>> = {
  Deployment: deployment,
  StatefulSet: statefulSet,
  DaemonSet: daemonSet,
  ReplicaSet: (spec, status) => {
    const wanted = number(spec.replicas) ?? 1;
    const failure = conditionOf(status, 'ReplicaFailure');
    if (failure?.status === 'True') return progressing(failure.message ?? 'pods can not be made');
    return counted(number(status.availableReplicas) ?? 0, wanted, 'pods available');
  },
  Job: (spec, status) => {
    const failure = conditionOf(status, 'Failed');
    if (failure?.status === 'True') return failed(failure.message ?? 'the job failed');
    if (conditionOf(status, 'Complete')?.status === 'True') return current('completed');
    if (conditionOf(status, 'Suspended')?.status === 'True') return current('suspended');
    // kstatus calls a job current once it has begun. A release that waits for a migration means its end.
    const done = number(status.succeeded) ?? 0;
    return progressing(`${done} of ${number(spec.completions) ?? 1} completed`);
  },
  CronJob: () => current('scheduled'),
  Pod: (_, status, object) => {
    const phase = String(status.phase ?? 'Pending');
    if (phase === 'Succeeded') return current('completed');
    if (phase === 'Failed') return failed(String(status.message ?? status.reason ?? 'the pod failed'));
    if (conditionOf(record(object.status), 'Ready')?.status === 'True') return current('ready');
    return progressing(phase === 'Running' ? 'running, not ready' : phase.toLowerCase());
  },
  PersistentVolumeClaim: (_, status, object) => {
    if (status.phase === 'Bound') return current('bound');
    if (status.phase === 'Lost') return failed('its volume is lost');
    // A claim of a class that binds at first use waits for a pod; the pod tells of trouble.
    const selected = object.metadata.annotations?.['volume.kubernetes.io/selected-node'];
    return selected === undefined ? current('waits for its first use') : progressing('not bound');
  },
  PodDisruptionBudget: () => current('in force'),
  Service: (spec, status) => {
    if (spec.type !== 'LoadBalancer') return current('ready');
    const ingress = record(status.loadBalancer).ingress;
    return Array.isArray(ingress) && ingress.length > 0 ? current('ready') : progressing('has no address yet');
  },
  Ingress: () => current('ready'),
  Namespace: (_, status) => (status.phase === 'Terminating' ? progressing('terminating') : current('active')),
  CustomResourceDefinition: (_, status) => {
    const names = conditionOf(status, 'NamesAccepted');
    if (names?.status === 'False') return failed(names.message ?? 'its names are taken');
    return conditionOf(status, 'Established')?.status === 'True'
      ? current('established')
      : progressing('not established');
  },
};

function deployment(spec: Record<string, unknown>, status: Record<string, unknown>): Health {
  const wanted = number(spec.replicas) ?? 1;
  const stalled = conditionOf(status, 'Progressing');
  if (stalled?.reason === 'ProgressDeadlineExceeded') return failed('made no progress within progressDeadlineSeconds');
  if (status.observedGeneration === undefined) return progressing('the controller has not seen it yet');
  const updated = number(status.updatedReplicas) ?? 0;
  const all = number(status.replicas) ?? 0;
  const available = number(status.availableReplicas) ?? 0;
  const ready = number(status.readyReplicas) ?? 0;
  if (updated < wanted) return progressing(`${updated} of ${wanted} new pods made`);
  if (all > updated) return progressing(all - updated === 1 ? '1 old pod to go' : `${all - updated} old pods to go`);
  if (ready < wanted) return progressing(`${ready} of ${wanted} pods ready`);
  if (available < wanted) return progressing(`${available} of ${wanted} pods available`);
  return current(`${wanted} of ${wanted} pods ready`);
}

function statefulSet(spec: Record<string, unknown>, status: Record<string, unknown>): Health {
  const wanted = number(spec.replicas) ?? 1;
  if (status.observedGeneration === undefined) return progressing('the controller has not seen it yet');
  const strategy = record(spec.updateStrategy);
  if (strategy.type === 'OnDelete') return counted(number(status.readyReplicas) ?? 0, wanted, 'pods ready');
  const ready = number(status.readyReplicas) ?? 0;
  const all = number(status.replicas) ?? 0;
  if (all < wanted) return progressing(`${all} of ${wanted} pods made`);
  if (ready < wanted) return progressing(`${ready} of ${wanted} pods ready`);
  if (all > wanted) return progressing(`${all - wanted} pods to go`);
  const kept = number(record(strategy.rollingUpdate).partition) ?? 0;
  const updated = number(status.updatedReplicas) ?? 0;
  if (updated < wanted - kept) return progressing(`${updated} of ${wanted - kept} pods updated`);
  if (kept === 0 && status.currentRevision !== status.updateRevision && wanted > 0) {
    return progressing('the update is being concluded');
  }
  if ((number(status.availableReplicas) ?? ready) < wanted) return progressing('not available for long enough yet');
  return current(`${wanted} of ${wanted} pods ready`);
}

function daemonSet(spec: Record<string, unknown>, status: Record<string, unknown>): Health {
  if (status.observedGeneration === undefined) return progressing('the controller has not seen it yet');
  const wanted = number(status.desiredNumberScheduled) ?? 0;
  const updated = number(status.updatedNumberScheduled) ?? 0;
  if (record(spec.updateStrategy).type !== 'OnDelete' && updated < wanted) {
    return progressing(`${updated} of ${wanted} pods updated`);
  }
  return counted(number(status.numberAvailable) ?? 0, wanted, 'pods available');
}

function counted(have: number, wanted: number, what: string): Health {
  const message = `${have} of ${wanted} ${what}`;
  return have < wanted ? progressing(message) : current(message);
}

/** Kinds of others: the conditions that kstatus asks for (`Reconciling`, `Stalled`) and the usual `Ready`. */
function byConditions(object: KubeObject): Health {
  const status = record(object.status);
  const stalled = conditionOf(status, 'Stalled');
  if (stalled?.status === 'True') return failed(stalled.message ?? 'stalled');
  const reconciling = conditionOf(status, 'Reconciling');
  if (reconciling?.status === 'True') return progressing(reconciling.message ?? 'being reconciled');
  const ready = conditionOf(status, 'Ready') ?? conditionOf(status, 'Available');
  if (ready !== undefined && ready.status !== 'True') return progressing(ready.message ?? ready.reason ?? 'not ready');
  return current('ready');
}

export function conditionOf(status: Record<string, unknown>, type: string): Condition | undefined {
  const { conditions } = status;
  return Array.isArray(conditions)
    ? (conditions as Condition[]).find((condition) => condition?.type === type)
    : undefined;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
