import {
  type Cluster,
  connect,
  createObject,
  getObject,
  isKubeFault,
  type Mirror,
  openMirror,
} from '../../kube/index.ts';
import { within } from '../../trace/index.ts';
import type { ClusterAccess, Environment } from '../types.ts';
import { observedKinds } from './assess.ts';
import { createClusterStore, rememberRecords, type WrittenRecords } from './cluster-store.ts';
import type { ReleaseStore } from './store.ts';

/** One command's connection to an environment. */
export interface Session {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly store: ReleaseStore;
  readonly memory: SessionMemory;
  /** What is in the namespace, watched from the first call on. */
  mirror(): Promise<Mirror>;
  close(): void;
}

/** Milliseconds that what is in a namespace is kept in memory for the next who waits for a rollout there. */
const idle = 120_000;

/** What need not be asked again, of all that are made of one session. */
export interface SessionMemory {
  readonly records: WrittenRecords;
  /** Milliseconds, `performance.now()`: when the namespace was there. */
  namespaceSeen: number;
}

export async function openSession(
  access: ClusterAccess,
  environment: Environment,
  signal?: AbortSignal | undefined,
): Promise<Session> {
  const { kubeconfigPath: kubeconfig, context, inCluster } = access;
  const cluster = await connect({ kubeconfig, context, inCluster });
  const { namespace } = environment;
  const memory: SessionMemory = { records: rememberRecords(), namespaceSeen: Number.NEGATIVE_INFINITY };
  let mirror: Promise<Mirror> | undefined;
  return {
    cluster,
    namespace,
    // Without the signal: how an interrupted rollout ended is written down too.
    store: createClusterStore(cluster, namespace, memory.records),
    memory,
    mirror() {
      if (mirror !== undefined) return mirror;
      // It outlives whoever asks for it first, and belongs to nobody's trace.
      const opening = within(undefined, () => openMirror(cluster, observedKinds, { namespace, idle, signal }));
      mirror = opening;
      // One that has ended shows what was; the next who asks gets another.
      const forget = () => {
        if (mirror === opening) mirror = undefined;
      };
      opening.then(({ failure }) => failure.catch(forget), forget);
      return opening;
    },
    close() {
      mirror?.then(
        (open) => open.close(),
        () => {},
      );
      cluster.close();
    },
  };
}

/**
 * A session whose every wait ends with a signal, also for what a server that hangs never tells: whoever waits for it can be stopped.
 *
 * @param signal for requests that name none of their own
 */
export function endingWith(session: Session, signal: AbortSignal): Session {
  const { cluster } = session;
  const bounded: Cluster = {
    ...cluster,
    request: (request) => cluster.request({ ...request, signal: request.signal ?? signal }),
    answer: (request) => cluster.answer({ ...request, signal: request.signal ?? signal }),
    resource: (kind) => unlessAborted(cluster.resource(kind), signal),
  };
  return {
    ...session,
    cluster: bounded,
    store: createClusterStore(bounded, session.namespace, session.memory.records),
    async mirror() {
      const mirror = await unlessAborted(session.mirror(), signal);
      return { ...mirror, follow: (kind) => unlessAborted(mirror.follow(kind), signal) };
    },
  };
}

async function unlessAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  signal.throwIfAborted();
  let leave = () => {};
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

/** Milliseconds that a namespace that was there is taken to be there: many services that come at once ask once. */
const namespaceStays = 2_000;

/** Makes the environment's namespace where it is missing. Whoever may not look is told by what he does next. */
export async function ensureNamespace({ cluster, namespace, memory }: Session, signal?: AbortSignal): Promise<void> {
  if (performance.now() - memory.namespaceSeen < namespaceStays) return;
  const name = { apiVersion: 'v1', kind: 'Namespace', name: namespace };
  try {
    if ((await getObject(cluster, name, { signal })) !== undefined) {
      memory.namespaceSeen = performance.now();
      return;
    }
    await createObject(
      cluster,
      {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace, labels: { 'app.kubernetes.io/managed-by': 'banksman' } },
      },
      { signal },
    );
  } catch (error) {
    if (!isKubeFault(error, 'kube/forbidden', 'kube/already-exists')) throw error;
  }
}
