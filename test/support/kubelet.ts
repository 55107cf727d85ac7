import { type Cluster, isKubeFault, type KubeObject, watchObjects } from '../../src/kube/index.ts';

/** What becomes of a pod, by the name of its first container's image: `ready/x:1`, `missing/x:1`, `crash/x:1`, ... `dies`: ready at first, then it crashes; `done`, `fails`: it ends, well or not. */
export type Fate = 'ready' | 'dies' | 'done' | 'fails' | 'missing' | 'crash' | 'unready' | 'unschedulable';

/**
 * Plays the kubelet: gives each new pod of a namespace the status that a real one would have after a moment. Everything else
 * (Deployments, ReplicaSets, StatefulSets) is the real controller manager's work.
 */
export function playKubelet(
  cluster: Cluster,
  namespace: string,
  fateOf: (image: string) => Fate = (image) => image.split('/')[0] as Fate,
): { stop(): void } {
  const stop = new AbortController();
  const run = async () => {
    const kind = { apiVersion: 'v1', kind: 'Pod' };
    for await (const event of watchObjects(cluster, kind, { namespace, signal: stop.signal })) {
      const pods = event.type === 'all' ? event.objects : event.type === 'added' ? [event.object] : [];
      for (const pod of pods) {
        const phase = (pod.status as { phase?: string } | undefined)?.phase;
        if (phase === 'Pending') await give(cluster, namespace, pod, fateOf);
      }
    }
  };
  run().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  return { stop: () => stop.abort() };
}

async function give(
  cluster: Cluster,
  namespace: string,
  pod: KubeObject,
  fateOf: (image: string) => Fate,
): Promise<void> {
  const { containers } = pod.spec as { containers: { name: string; image: string }[] };
  const [container] = containers;
  if (container === undefined) return;
  const fate = fateOf(container.image);
  if (fate === 'dies') {
    await give(cluster, namespace, pod, () => 'ready');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return await give(cluster, namespace, pod, () => 'crash');
  }
  try {
    await cluster.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${namespace}/pods/${pod.metadata.name}/status`,
      contentType: 'application/merge-patch+json',
      body: { status: statusOf(fate, container) },
    });
    if (fate === 'unready') await unhealthy(cluster, namespace, pod);
  } catch (error) {
    // Deleted or given meanwhile.
    if (!isKubeFault(error, 'kube/not-found', 'kube/changed')) throw error;
  }
}

function statusOf(fate: Exclude<Fate, 'dies'>, { name, image }: { readonly name: string; readonly image: string }) {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const ready = fate === 'ready' ? 'True' : 'False';
  const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: now };
  const condition = { type: 'Ready', status: ready, lastTransitionTime: now };
  const base = { name, image, imageID: '', ready: fate === 'ready', started: fate === 'ready', restartCount: 0 };
  switch (fate) {
    case 'unschedulable':
      return {
        phase: 'Pending',
        conditions: [
          {
            ...scheduled,
            status: 'False',
            reason: 'Unschedulable',
            message: '0/1 nodes are available: 1 Insufficient memory.',
          },
        ],
      };
    case 'missing':
      return {
        phase: 'Pending',
        conditions: [scheduled, condition],
        containerStatuses: [
          {
            ...base,
            state: {
              waiting: {
                reason: 'ErrImagePull',
                message: `failed to resolve reference "${image}": ${image}: not found`,
              },
            },
          },
        ],
      };
    case 'crash':
      return {
        phase: 'Running',
        conditions: [scheduled, condition],
        containerStatuses: [
          {
            ...base,
            restartCount: 3,
            state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 40s restarting failed container' } },
            lastState: { terminated: { exitCode: 3, reason: 'Error', startedAt: now, finishedAt: now } },
          },
        ],
      };
    case 'done':
    case 'fails': {
      const exitCode = fate === 'done' ? 0 : 3;
      const reason = fate === 'done' ? 'Completed' : 'Error';
      const terminated = { exitCode, reason, startedAt: now, finishedAt: now };
      return {
        phase: fate === 'done' ? 'Succeeded' : 'Failed',
        conditions: [scheduled, condition],
        containerStatuses: [{ ...base, state: { terminated } }],
      };
    }
    case 'ready':
    case 'unready':
      return {
        phase: 'Running',
        conditions: [scheduled, condition],
        containerStatuses: [{ ...base, state: { running: { startedAt: now } } }],
      };
  }
}

async function unhealthy(cluster: Cluster, namespace: string, pod: KubeObject): Promise<void> {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  await cluster.request({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/events`,
    body: {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${pod.metadata.name}.1`, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, namespace, uid: pod.metadata.uid },
      type: 'Warning',
      reason: 'Unhealthy',
      message: 'Readiness probe failed: HTTP probe failed with statuscode: 503',
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: 'kubelet' },
    },
  });
}
