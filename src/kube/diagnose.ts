import { conditionOf } from './health.ts';
import { type ContainerState, type ContainerStatus, containerStatuses, isReady, type Pod } from './pods.ts';
import type { KubeObject } from './types.ts';

export type Cause =
  | 'image-missing'
  | 'image-unpullable'
  | 'crash'
  | 'out-of-memory'
  | 'probe-failing'
  | 'unschedulable'
  | 'bad-configuration'
  | 'volume-not-mounted'
  | 'quota'
  | 'denied'
  | 'evicted'
  | 'job-failed'
  | 'not-ready';

/** Why a workload does not become healthy. */
export interface Diagnosis {
  readonly cause: Cause;
  /** One sentence: `the container app of pod ledger-7d9 ends with exit code 1, 4 times so far`. */
  readonly message: string;
  /** What the cluster's own components said, word by word. */
  readonly notes: readonly string[];
  readonly next: string | undefined;
  /** Waiting longer can't help. */
  readonly certain: boolean;
  /** Whose log tells more. */
  readonly log: { readonly pod: string; readonly container: string; readonly previousFirst: boolean } | undefined;
  /** What was asked and answered wrongly: asking again tells the whole answer, of which an event has only the status. */
  readonly probe?: HttpProbe | undefined;
}

export interface HttpProbe {
  readonly pod: string;
  readonly scheme: 'http' | 'https';
  readonly port: number;
  readonly path: string;
}

export interface Symptoms {
  /** Pods of the new revision only: what becomes of the old ones is no reason. */
  readonly pods: readonly Pod[];
  /** Objects of kind Event (v1) of the namespace. */
  readonly events: readonly KubeObject[];
  /** The workload itself and, of a Deployment, its newest ReplicaSet. */
  readonly owners: readonly KubeObject[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Restarts after which a container that ends again and again will not come up by itself. */
const enoughRestarts = 3;
/** Seconds that another service of the same deploy, or the controller, may need to bring what is missing. */
const patience = 30;

/**
 * The reason as a person would tell it. The causes are tried from the one that explains most: a pod without an image is not
 * ready either.
 *
 * @returns undefined where nothing is wrong so far
 */
export function diagnose(symptoms: Symptoms): Diagnosis | undefined {
  const found = [
    ...symptoms.pods.filter((pod) => pod.metadata.deletionTimestamp === undefined).map((pod) => ofPod(pod, symptoms)),
    ...symptoms.owners.map((owner) => ofOwner(owner, symptoms)),
  ].filter((diagnosis) => diagnosis !== undefined);
  return found.sort((a, b) => Number(b.certain) - Number(a.certain) || rank(a) - rank(b))[0];
}

function rank({ cause }: Diagnosis): number {
  return cause === 'not-ready' ? 2 : cause === 'probe-failing' ? 1 : 0;
}

function ofPod(pod: Pod, symptoms: Symptoms): Diagnosis | undefined {
  const events = symptoms.events.map(asEvent).filter(({ uid }) => uid === pod.metadata.uid);
  if (pod.status?.phase === 'Failed' && pod.status.reason !== undefined) {
    return diagnosis('evicted', `pod ${pod.metadata.name} was ended by the node: ${pod.status.reason}`, {
      notes: [pod.status.message],
      next: 'see the memory and disk of the node: kubectl describe node',
    });
  }
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  if (unscheduled !== undefined) return unschedulable(pod, unscheduled.message);
  for (const container of containerStatuses(pod)) {
    const found = ofContainer(pod, container, events, symptoms.now);
    if (found !== undefined) return found;
  }
  const mount = latest(events, 'FailedMount', 'FailedAttachVolume');
  if (mount !== undefined && containerStatuses(pod).every(({ state }) => state?.running === undefined)) {
    const missing = /(secret|configmap) "([^"]+)" not found/i.exec(mount.message);
    return diagnosis(
      missing ? 'bad-configuration' : 'volume-not-mounted',
      missing
        ? `pod ${pod.metadata.name} needs ${missing[1]} ${missing[2]}, which does not exist`
        : `a volume of pod ${pod.metadata.name} can't be mounted`,
      {
        notes: [mount.message],
        next: missing ? `add it to the manifests of a service, or mend the name` : 'see the volume claim of the pod',
        certain: missing !== null && age(pod, symptoms.now) > patience,
      },
    );
  }
  const sandbox = latest(events, 'FailedCreatePodSandBox');
  if (sandbox !== undefined && containerStatuses(pod).every(({ state }) => state?.running === undefined)) {
    return diagnosis('not-ready', `the node can't start pod ${pod.metadata.name}`, { notes: [sandbox.message] });
  }
  if (isReady(pod)) return undefined;
  return notReady(pod, events);
}

function ofContainer(
  pod: Pod,
  { name, image, state, lastState, restartCount }: ContainerStatus,
  events: readonly Event[],
  now: number,
): Diagnosis | undefined {
  const { waiting } = state ?? {};
  const reason = waiting?.reason ?? '';
  if (imageReasons.has(reason)) return imageTrouble(pod, image, name, reason, waiting?.message, events);
  if (reason === 'CreateContainerConfigError' || reason === 'CreateContainerError') {
    const missing = /(secret|configmap) "([^"]+)" not found/i.exec(waiting?.message ?? '');
    return diagnosis(
      'bad-configuration',
      missing
        ? `container ${name} of pod ${pod.metadata.name} needs ${missing[1]} ${missing[2]}, which does not exist`
        : `container ${name} of pod ${pod.metadata.name} can't be made`,
      {
        notes: [waiting?.message],
        next: missing ? 'add it to the manifests of a service, or mend the name' : 'mend the container in the manifest',
        certain: age(pod, now) > patience,
      },
    );
  }
  const initial = pod.spec.initContainers?.some((container) => container.name === name) ?? false;
  const ended = state?.terminated ?? lastState?.terminated;
  if (ended === undefined) return undefined;
  // Runs to its end and should: init containers, pods of jobs.
  if (ended.exitCode === 0 && (initial || pod.status?.phase === 'Succeeded')) return undefined;
  // It came back and serves.
  if (state?.running !== undefined && isReady(pod)) return undefined;
  return crash(pod, name, ended, restartCount, reason, state?.running !== undefined, events);
}

const imageReasons = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
]);

function imageTrouble(
  pod: Pod,
  image: string,
  container: string,
  reason: string,
  message: string | undefined,
  events: readonly Event[],
): Diagnosis {
  // ImagePullBackOff says only that it waits; the event before it has the registry's answer.
  const answer =
    [message, ...events.filter((event) => event.reason === 'Failed').map((event) => event.message)].find(
      (text) => text !== undefined && !/^Back-off/.test(text) && !/^Error: /.test(text),
    ) ?? message;
  const missing = /not found|manifest unknown|name unknown|does not exist|NotFound/i.test(answer ?? '');
  const refused = /unauthorized|denied|forbidden|authentication/i.test(answer ?? '');
  const wanted = pod.spec.containers.find(({ name }) => name === container)?.image ?? image;
  return diagnosis(
    missing ? 'image-missing' : 'image-unpullable',
    missing
      ? `image ${wanted} of container ${container} does not exist in its registry`
      : reason === 'InvalidImageName'
        ? `${wanted} of container ${container} is not the name of an image`
        : `image ${wanted} of container ${container} can't be pulled${refused ? ': the registry refuses' : ''}`,
    {
      notes: [answer],
      next: missing
        ? 'see the name and tag in the manifest, or name the image by its label so that it is built and pushed'
        : 'see whether the node can reach the registry and may read from it',
      certain: missing || reason === 'InvalidImageName' || reason === 'ErrImageNeverPull',
    },
  );
}

function crash(
  pod: Pod,
  container: string,
  ended: NonNullable<ContainerState['terminated']>,
  restarts: number,
  waiting: string,
  running: boolean,
  events: readonly Event[],
): Diagnosis {
  const who = `container ${container} of pod ${pod.metadata.name}`;
  const ends = restarts + (running ? 0 : 1);
  const times = ends > 1 ? `, ${ends} times so far` : '';
  const log = { pod: pod.metadata.name, container, previousFirst: waiting !== '' || running };
  const certain = restarts >= enoughRestarts;
  if (ended.reason === 'OOMKilled') {
    return diagnosis('out-of-memory', `${who} was killed: it used more memory than its limit${times}`, {
      next: 'raise resources.limits.memory, or make it use less',
      certain,
      log,
    });
  }
  if (ended.reason === 'StartError' || ended.reason === 'ContainerCannotRun') {
    return diagnosis('crash', `${who} can't be started${times}`, {
      notes: [ended.message],
      next: 'see command and entrypoint: the program must be in the image and executable',
      certain: restarts >= 1,
    });
  }
  const killed = latest(events, 'Killing');
  const liveness = killed !== undefined && /failed (liveness|startup) probe/.test(killed.message);
  if (liveness) {
    const probe = latest(events, 'Unhealthy');
    return diagnosis('probe-failing', `${who} is restarted again and again, because its probe fails${times}`, {
      notes: [probe?.message],
      next: 'see the path and port of the probe, and what the program answers there',
      certain,
      log,
    });
  }
  const signal = ended.signal ?? (ended.exitCode > 128 ? ended.exitCode - 128 : undefined);
  const how =
    signal !== undefined && signal !== 0
      ? `is ended by signal ${signal} (exit code ${ended.exitCode})`
      : `ends with exit code ${ended.exitCode}`;
  return diagnosis('crash', `${who} ${how}${times}`, {
    notes: [ended.message],
    next: 'mend what its log says, and deploy again',
    certain,
    log,
  });
}

function unschedulable(pod: Pod, message = ''): Diagnosis {
  const what = [...message.matchAll(/Insufficient ([^\s,.]+)/g)].map(([, resource]) => resource);
  const why = what.length > 0 ? `: no node has enough ${[...new Set(what)].join(' and ')} left` : '';
  return diagnosis('unschedulable', `pod ${pod.metadata.name} finds no node${why}`, {
    notes: [message],
    next:
      what.length > 0
        ? 'ask for less in resources.requests, or give the cluster more nodes'
        : 'see nodeSelector, affinity and tolerations, and the taints of the nodes',
  });
}

function notReady(pod: Pod, events: readonly Event[]): Diagnosis | undefined {
  const probe = latest(events, 'Unhealthy');
  const running = containerStatuses(pod).find(({ state, ready }) => state?.running !== undefined && !ready);
  const log = running && { pod: pod.metadata.name, container: running.name, previousFirst: false };
  if (probe === undefined) {
    if (running === undefined) return undefined;
    return diagnosis('not-ready', `container ${running.name} of pod ${pod.metadata.name} is not ready`, { log });
  }
  const kind = /^(\w+) probe/.exec(probe.message)?.[1]?.toLowerCase() ?? 'readiness';
  const answer = probe.message.replace(/^\w+ probe (?:failed|errored[^:]*): /, '').trim();
  return diagnosis('probe-failing', `the ${kind} probe of pod ${pod.metadata.name} fails: ${answer}`, {
    next: 'see the path and port of the probe, and what the program answers there',
    log,
    probe: kind === 'readiness' && running !== undefined ? httpProbe(pod, running.name) : undefined,
  });
}

function httpProbe(pod: Pod, container: string): HttpProbe | undefined {
  const { readinessProbe, ports = [] } = pod.spec.containers.find(({ name }) => name === container) ?? {};
  const { httpGet } = readinessProbe ?? {};
  const port =
    typeof httpGet?.port === 'string' ? ports.find(({ name }) => name === httpGet.port)?.containerPort : httpGet?.port;
  if (httpGet === undefined || port === undefined || httpGet.host !== undefined) return undefined;
  const scheme = httpGet.scheme === 'HTTPS' ? 'https' : 'http';
  return { pod: pod.metadata.name, scheme, port, path: httpGet.path ?? '/' };
}

function ofOwner(owner: KubeObject, { events, now }: Symptoms): Diagnosis | undefined {
  const status = (owner.status ?? {}) as Record<string, unknown>;
  const jobFailure = owner.kind === 'Job' ? conditionOf(status, 'Failed') : undefined;
  if (jobFailure?.status === 'True') {
    return diagnosis('job-failed', `job ${owner.metadata.name} failed`, { notes: [jobFailure.message], certain: true });
  }
  const failure = conditionOf(status, 'ReplicaFailure') as { status: string; message?: string } | undefined;
  const event = latest(
    events.map(asEvent).filter(({ uid }) => uid === owner.metadata.uid),
    'FailedCreate',
  );
  // A StatefulSet has no such condition; its events say it, and one long ago may be of another revision.
  const message =
    failure?.status === 'True'
      ? failure.message
      : owner.kind === 'StatefulSet' && event !== undefined && now - event.time < patience * 1000
        ? event.message
        : undefined;
  if (message === undefined) return undefined;
  const quota = /exceeded quota/i.test(message);
  return diagnosis(
    quota ? 'quota' : 'denied',
    quota
      ? `the namespace's quota has no room for the pods of ${owner.metadata.name}`
      : `the cluster refuses the pods of ${owner.metadata.name}`,
    {
      notes: [message],
      next: quota ? 'ask for less, or raise the quota' : 'change the pod template so that it meets the policy',
      certain: quota || /forbidden|denied|violates|invalid/i.test(message),
    },
  );
}

interface Event {
  readonly uid: string | undefined;
  readonly reason: string;
  readonly message: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

function asEvent(object: KubeObject): Event {
  const { involvedObject, reason, message, lastTimestamp, eventTime, series } = object as unknown as {
    involvedObject?: { uid?: string };
    reason?: string;
    message?: string;
    lastTimestamp?: string | null;
    eventTime?: string | null;
    series?: { lastObservedTime?: string };
  };
  const time = series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? object.metadata.creationTimestamp ?? '';
  return {
    uid: involvedObject?.uid,
    reason: reason ?? '',
    message: (message ?? '').trim(),
    time: Date.parse(time) || 0,
  };
}

function latest(events: readonly Event[], ...reasons: readonly string[]): Event | undefined {
  return events
    .filter(({ reason }) => reasons.includes(reason))
    .reduce<Event | undefined>(
      (found, event) => (found === undefined || event.time >= found.time ? event : found),
      undefined,
    );
}

/** Seconds. */
function age(pod: Pod, now: number): number {
  return (now - (Date.parse(pod.metadata.creationTimestamp ?? '') || now)) / 1000;
}

function diagnosis(
  cause: Cause,
  message: string,
  details: {
    readonly notes?: readonly (string | undefined)[];
    readonly next?: string;
    readonly certain?: boolean;
    readonly log?: Diagnosis['log'];
    readonly probe?: Diagnosis['probe'];
  },
): Diagnosis {
  return {
    cause,
    message,
    notes: (details.notes ?? []).filter((note): note is string => note !== undefined && note !== ''),
    next: details.next,
    certain: details.certain ?? false,
    log: details.log,
    probe: details.probe,
  };
}
