import type { KubeObject } from '../../kube/index.ts';
import type { ManifestDocument, ManifestObject } from '../../manifest/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { Stage } from '../model/index.ts';

/** On a canary's pods, so that its Deployment knows them from those beside, and a job or a metric can ask for them alone. */
export const trackLabel = 'banksman.local/track';

/** Kinds with pods of which there can't be two sorts side by side: their pods have identities, nodes or ends of their own. */
const undivided: readonly string[] = [
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'ReplicationController',
  'Job',
  'CronJob',
  'Pod',
];
/** What new pods may need: it is made before them where it is not there yet. What is there changes with the whole. */
const neededByPods: readonly string[] = [
  'ServiceAccount',
  'Role',
  'RoleBinding',
  'ConfigMap',
  'Secret',
  'PersistentVolumeClaim',
];

/** A name for the Deployment that runs the new release beside the one that serves. */
export function canaryName(name: string): string {
  return `${name}-canary`;
}

/**
 * Whether a release can come in by shares, and has the jobs that its steps ask for.
 *
 * @throws ReleaseFault release/cant-split, at the manifest that is in the way; release/bad-verification
 */
export function requireSplittable(
  documents: readonly ManifestDocument[],
  verification: readonly ManifestDocument[],
  stages: readonly Stage[],
): void {
  for (const { check } of stages) {
    if (check?.kind !== 'job' || verification.some(({ object }) => object.metadata.name === check.name)) continue;
    throw new ReleaseFault('release/bad-verification', `a step asks for job ${check.name}, which the release has not`, {
      next: 'mark a Job of this name with banksman.local/verify: "true", or mend the step in banksman.yaml',
    });
  }
  for (const document of documents) {
    const { kind, metadata, spec } = document.object;
    if (undivided.includes(kind)) {
      throw cantSplit(document, `a ${kind} can't run two releases side by side: ${kind}/${metadata.name}`);
    }
    const { strategy } = (spec ?? {}) as { strategy?: { type?: unknown } };
    if (kind === 'Deployment' && strategy?.type === 'Recreate') {
      const why = `Deployment/${metadata.name} says that two releases of it never run side by side`;
      throw cantSplit(document, why, ['spec', 'strategy', 'type']);
    }
  }
  if (documents.some(({ object }) => object.kind === 'Deployment')) return;
  throw new ReleaseFault('release/cant-split', 'the release has no Deployment that could run by shares', { next });
}

const next = 'leave the service out of the progressive services of the environment in banksman.yaml';

function cantSplit(document: ManifestDocument, message: string, path?: readonly string[]): ReleaseFault {
  const place = path === undefined ? document.place : document.locate(path);
  return new ReleaseFault('release/cant-split', message, { place, next });
}

/**
 * What is applied in a stage: beside each Deployment that serves, one with the share of its replicas, of the new release; and what its
 * pods may need that is not there yet. Nothing that serves is touched.
 *
 * @param share percent of the replicas
 * @param live an object as it is in the cluster
 * @throws ReleaseFault release/cant-split where nothing serves
 */
export function stageDocuments(
  documents: readonly ManifestDocument[],
  share: number,
  live: (object: ManifestObject) => KubeObject | undefined,
): ManifestDocument[] {
  const canaries = documents.flatMap((document) => {
    const { object } = document;
    const serving = object.kind === 'Deployment' ? live(object) : undefined;
    if (serving === undefined) return [];
    return [{ ...document, object: canaryOf(object, replicasOf(object) ?? replicasOf(serving) ?? 1, share) }];
  });
  if (canaries.length === 0) {
    throw new ReleaseFault('release/cant-split', 'no Deployment of the release serves here yet', { next });
  }
  const needed = documents.filter(({ object }) => neededByPods.includes(object.kind) && live(object) === undefined);
  return [...needed, ...canaries];
}

/** At least one, where any run at all. */
function canaryOf(object: ManifestObject, replicas: number, share: number): ManifestObject {
  const track = { [trackLabel]: 'canary' };
  const spec = object.spec as Spec;
  return {
    ...object,
    metadata: {
      ...object.metadata,
      name: canaryName(object.metadata.name),
      labels: { ...object.metadata.labels, ...track },
    },
    spec: {
      ...spec,
      replicas: Math.ceil((replicas * share) / 100),
      selector: { ...spec.selector, matchLabels: { ...spec.selector?.matchLabels, ...track } },
      template: {
        ...spec.template,
        metadata: { ...spec.template?.metadata, labels: { ...spec.template?.metadata?.labels, ...track } },
      },
    },
  };
}

interface Spec {
  readonly replicas?: unknown;
  readonly selector?: { readonly matchLabels?: object };
  readonly template?: { readonly metadata?: { readonly labels?: object } };
}

function replicasOf(object: { readonly kind: string; readonly [key: string]: unknown }): number | undefined {
  const { replicas } = (object.spec ?? {}) as Spec;
  return typeof replicas === 'number' ? replicas : undefined;
}
