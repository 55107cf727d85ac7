import { createHash } from 'node:crypto';
import type { Label } from '../../graph/index.ts';
import type { KubeObject } from '../../kube/index.ts';
import type { ManifestObject } from '../../manifest/index.ts';

/** On each job that is run: whose it is, as a label can hold it, and for which run. */
export const serviceLabel = 'banksman.local/verifies';
export const runLabel = 'banksman.local/verification';

/** RFC 1123 label: names of jobs become labels of their pods. */
const longestName = 63;
/** Seconds that a job which nobody has cleaned up stays after its end. */
const leftFor = 3600;

/** One time that a release is verified. The same run has the same jobs, whoever begins it again. */
export interface Run {
  readonly service: Label;
  /** Id of the rollout. */
  readonly rollout: string;
  /** Place of the stage; undefined for the whole. */
  readonly stage?: number | undefined;
}

/**
 * The Job that is made for a run. It has a name of its own, so that it never meets one of before, whose fields can't be changed. It
 * is in no ApplySet, so that applying does not delete it. Should nobody live to clean it up, it ends and leaves by itself.
 *
 * @param seconds that it may take at most
 */
export function jobFor(manifest: ManifestObject, run: Run, namespace: string, seconds: number): KubeObject {
  const spec = (manifest.spec ?? {}) as { activeDeadlineSeconds?: unknown; ttlSecondsAfterFinished?: unknown };
  const own = spec.activeDeadlineSeconds;
  return {
    ...manifest,
    metadata: {
      ...manifest.metadata,
      namespace,
      name: jobName(manifest.metadata.name, run),
      labels: {
        ...manifest.metadata.labels,
        [serviceLabel]: short(run.service),
        [runLabel]: runId(run),
      },
    },
    spec: {
      ...spec,
      activeDeadlineSeconds: typeof own === 'number' ? Math.min(own, seconds) : seconds,
      ttlSecondsAfterFinished: spec.ttlSecondsAfterFinished ?? leftFor,
    },
  };
}

export function jobName(name: string, run: Run): string {
  const end = `-${runId(run)}`;
  return `${name.slice(0, longestName - end.length).replace(/[-.]+$/, '')}${end}`;
}

export function runId({ service, rollout, stage }: Run): string {
  return short(JSON.stringify([service, rollout, stage ?? 'whole']));
}

export function short(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
