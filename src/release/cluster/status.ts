import { type KubeObject, listObjects, type Objects } from '../../kube/index.ts';
import type { ClusterAccess, Environment, Release, Rollout, Service, ServiceStatus } from '../types.ts';
import { assess, hasHealth, observedKinds } from './assess.ts';
import { serviceSetId } from './cluster-store.ts';
import { appliedRelease, findRelease, lastRollout, type ServiceRecord } from './record.ts';
import { openSession } from './session.ts';

export interface ViewOptions {
  readonly environment: Environment;
  readonly cluster: ClusterAccess;
  readonly signal?: AbortSignal;
}

/** How services are in an environment, in their order. */
export async function serviceStatus(
  options: ViewOptions & { readonly services: readonly Service[] },
): Promise<ServiceStatus[]> {
  const { environment, signal } = options;
  const session = await openSession(options.cluster, environment, signal);
  try {
    const { cluster, namespace, store } = session;
    const kinds = [...observedKinds, { apiVersion: 'v1', kind: 'Service' }];
    const [lists, records] = await Promise.all([
      Promise.all(
        kinds.map(
          async (kind) => [kind.kind, (await listObjects(cluster, kind, { namespace, signal })).items] as const,
        ),
      ),
      Promise.all(options.services.map(({ label }) => store.read(label))),
    ]);
    const found = new Map(lists);
    const objects: Objects = (kind) => found.get(kind) ?? [];
    return options.services.map((service, index) => {
      const record = records[index] as ServiceRecord;
      const members = membersOf([...found.values()].flat(), service, namespace);
      return statusOf(service, record, members, objects, environment.name);
    });
  } finally {
    session.close();
  }
}

/** The objects of a service that have a health: they carry its set's label. */
export function membersOf(objects: readonly KubeObject[], service: Service, namespace: string): KubeObject[] {
  const id = serviceSetId(service.label, namespace);
  return objects.filter(
    (object) => object.metadata.labels?.['applyset.kubernetes.io/part-of'] === id && hasHealth(object),
  );
}

function statusOf(
  service: Service,
  record: ServiceRecord,
  members: readonly KubeObject[],
  objects: Objects,
  environment: string,
): ServiceStatus {
  const last = lastRollout(record);
  const release = last && findRelease(record, last.release);
  const assessment = assess(members, objects, Date.now());
  const base = {
    service: service.label,
    name: service.name,
    owner: service.owner,
    environment,
    release: appliedRelease(record),
    origin: release?.origin,
    images: release?.images ?? [],
    lastRollout: last,
    pods: assessment.pods,
  };
  if (last === undefined) return { ...base, health: 'absent', message: 'never deployed here' };
  if (last.result === 'removed') return { ...base, health: 'absent', message: `removed by ${last.by}` };
  // Pods that are on their way out after a rollout do not make a service less healthy.
  const health = assessment.onlyLeaving ? 'healthy' : assessment.state;
  const failed = last.result === 'failed' && health !== 'healthy';
  return {
    ...base,
    health: failed ? 'failed' : health,
    message: failed ? (last.reason ?? assessment.message) : assessment.message,
  };
}

/** What was released and rolled out, newest first. */
export async function releaseHistory(
  options: ViewOptions & { readonly service: Service },
): Promise<{ readonly rollouts: readonly Rollout[]; readonly releases: readonly Release[] }> {
  const session = await openSession(options.cluster, options.environment, options.signal);
  try {
    const { rollouts, releases } = await session.store.read(options.service.label);
    return { rollouts: rollouts.toReversed(), releases: releases.toReversed() };
  } finally {
    session.close();
  }
}
