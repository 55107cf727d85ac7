import type { KubeObject } from './types.ts';

/** What others need comes first. Kinds of one line may be applied at the same time; unknown kinds come before workloads. */
const ranks: readonly (readonly string[])[] = [
  ['Namespace', 'CustomResourceDefinition', 'PriorityClass', 'StorageClass', 'RuntimeClass', 'IngressClass'],
  ['ResourceQuota', 'LimitRange', 'ServiceAccount', 'Role', 'ClusterRole', 'NetworkPolicy', 'PodDisruptionBudget'],
  ['RoleBinding', 'ClusterRoleBinding', 'ConfigMap', 'Secret', 'PersistentVolume'],
  ['PersistentVolumeClaim', 'Service'],
  [],
  ['Pod', 'ReplicaSet', 'Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob', 'ReplicationController'],
  ['HorizontalPodAutoscaler', 'Ingress', 'APIService'],
  // They would refuse what is applied before what answers them runs.
  ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration', 'ValidatingAdmissionPolicyBinding'],
];
const unknownRank = ranks.findIndex((kinds) => kinds.length === 0);

function rankOf(kind: string): number {
  const rank = ranks.findIndex((kinds) => kinds.includes(kind));
  return rank === -1 ? unknownRank : rank;
}

/** Groups of objects in the order of applying them; deletion goes the other way. */
export function inOrder<Item extends Pick<KubeObject, 'kind'>>(items: readonly Item[]): Item[][] {
  const groups = new Map<number, Item[]>();
  for (const item of items) {
    const rank = rankOf(item.kind);
    groups.set(rank, [...(groups.get(rank) ?? []), item]);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}
