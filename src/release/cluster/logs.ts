import { setTimeout as sleep } from 'node:timers/promises';
import {
  containerLog,
  containerStatuses,
  isKubeFault,
  type LogEntry,
  type Mirror,
  type Pod,
  podsOf,
} from '../../kube/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { LogLine, Service } from '../types.ts';
import { workloadKinds } from './assess.ts';
import { neverDeployed } from './record.ts';
import { openSession, type Session } from './session.ts';
import { membersOf, type ViewOptions } from './status.ts';

export interface LogsOptions extends ViewOptions {
  readonly service: Service;
  /** Go on with new lines until the signal aborts. */
  readonly follow?: boolean;
  readonly container?: string;
  /** Seconds back. */
  readonly since?: number;
  /** Lines from the end of each container's log. */
  readonly tail?: number;
  /** The log of the container's run before this one. */
  readonly previous?: boolean;
}

/**
 * The lines of all pods and containers of a service: in the order of their times, or with `follow` as they come, across restarts
 * and rollouts.
 *
 * @throws ReleaseFault release/never-deployed, release/no-container
 */
export async function* followLogs(options: LogsOptions): AsyncGenerator<LogLine> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const session = await openSession(options.cluster, options.environment, signal);
  try {
    const mirror = await session.mirror();
    const pods = podsNow(session, mirror, options.service);
    if (pods.length === 0 && !options.follow) {
      const { rollouts } = await session.store.read(options.service.label);
      if (rollouts.length === 0) throw neverDeployed(options.service.label);
    }
    checkContainer(pods, options);
    if (options.follow) yield* followed(session, mirror, options, signal);
    else yield* collected(session, pods, options, signal);
  } catch (error) {
    if (!options.signal?.aborted) throw error;
  } finally {
    stop.abort();
    session.close();
  }
}

function podsNow({ namespace }: Session, mirror: Mirror, service: Service): Pod[] {
  const workloads = workloadKinds.flatMap(({ kind }) => membersOf(mirror.list(kind), service, namespace));
  return workloads.flatMap((workload) => {
    const { current, old } = podsOf(workload, mirror.list);
    return [...old, ...current];
  });
}

function containersOf(pod: Pod, only: string | undefined): string[] {
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => name);
  return only === undefined ? all : all.filter((name) => name === only);
}

function checkContainer(pods: readonly Pod[], { container, service }: LogsOptions): void {
  const names = [...new Set(pods.flatMap((pod) => containersOf(pod, undefined)))];
  if (container === undefined || pods.length === 0 || names.includes(container)) return;
  throw new ReleaseFault('release/no-container', `${service.label} has no container ${container}`, {
    next: `choose one of: ${names.join(', ')}`,
  });
}

/** Everything that there is now, sorted by time. */
async function* collected(
  { cluster, namespace }: Session,
  pods: readonly Pod[],
  { container: only, since, tail, previous }: LogsOptions,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const sources = pods.flatMap((pod) =>
    containersOf(pod, only)
      .filter((name) => hasLog(pod, name, previous ?? false))
      .map((container) => ({ pod: pod.metadata.name, container })),
  );
  const logs = await Promise.all(
    sources.map(async ({ pod, container }) => {
      const lines: LogLine[] = [];
      try {
        const log = containerLog(cluster, {
          namespace,
          pod,
          container,
          previous: previous ?? false,
          sinceSeconds: since,
          tailLines: tail,
          signal,
        });
        for await (const entry of log) lines.push({ pod, container, ...entry });
      } catch (error) {
        // The pod went away between the list and the log.
        if (!isKubeFault(error, 'kube/not-found')) throw error;
      }
      return lines;
    }),
  );
  yield* logs.flat().sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

/** A container that has not begun has no log yet, which the API server calls a bad request. */
function hasLog(pod: Pod, container: string, previous: boolean): boolean {
  const status = containerStatuses(pod).find(({ name }) => name === container);
  if (previous) return status?.lastState?.terminated !== undefined;
  return (
    status?.state?.running !== undefined || status?.state?.terminated !== undefined || (status?.restartCount ?? 0) > 0
  );
}

/** Lines that wait for the reader; more, and the containers' streams wait. */
const maximumWaiting = 1_000;

async function* followed(
  session: Session,
  mirror: Mirror,
  options: LogsOptions,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const waiting: LogLine[] = [];
  let wake = () => {};
  let failure: unknown;
  const running = new Set<string>();
  const put = async (line: LogLine) => {
    while (waiting.length >= maximumWaiting && !signal.aborted) await sleep(20);
    waiting.push(line);
    wake();
  };
  const startNew = () => {
    for (const pod of podsNow(session, mirror, options.service)) {
      for (const container of containersOf(pod, options.container)) {
        const key = `${pod.metadata.uid} ${container}`;
        if (running.has(key)) continue;
        running.add(key);
        followContainer(session, mirror, pod, container, options, put, signal).catch((error: unknown) => {
          failure ??= error;
          wake();
        });
      }
    }
  };
  const end = mirror.onChange(startNew);
  mirror.failure.catch((error: unknown) => {
    failure ??= error;
    wake();
  });
  signal.addEventListener('abort', () => wake(), { once: true });
  try {
    startNew();
    while (!signal.aborted) {
      const line = waiting.shift();
      if (line !== undefined) yield line;
      else if (failure !== undefined) throw failure;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (waiting.length > 0 || failure !== undefined || signal.aborted) resolve();
        });
      }
    }
  } finally {
    end();
  }
}

/** Follows one container through its restarts until its pod is gone. */
async function followContainer(
  { cluster, namespace }: Session,
  mirror: Mirror,
  pod: Pod,
  container: string,
  { since, tail }: LogsOptions,
  put: (line: LogLine) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let last = '';
  let seenRun = -1;
  while (!signal.aborted) {
    const now = mirror.list('Pod').find(({ metadata }) => metadata.uid === pod.metadata.uid) as Pod | undefined;
    if (now === undefined) return;
    const status = containerStatuses(now).find(({ name }) => name === container);
    const ran = status?.state?.running !== undefined || status?.state?.terminated !== undefined;
    if (status !== undefined && ran && status.restartCount > seenRun) {
      seenRun = status.restartCount;
      // Where the stream broke, it goes on behind the last line; the server's bound is whole seconds.
      const from = last === '' ? { sinceSeconds: since, tailLines: tail } : { sinceTime: last };
      try {
        const log = containerLog(cluster, {
          namespace,
          pod: pod.metadata.name,
          container,
          follow: true,
          ...from,
          signal,
        });
        for await (const entry of newer(log, last)) {
          last = entry.time === '' ? last : entry.time;
          await put({ pod: pod.metadata.name, container, ...entry });
        }
        // Ended without the container having ended: the node or the connection let go, and the same run goes on.
        const after = mirror.list('Pod').find(({ metadata }) => metadata.uid === pod.metadata.uid) as Pod | undefined;
        const state = after && containerStatuses(after).find(({ name }) => name === container);
        if (state?.state?.running !== undefined && state.restartCount === seenRun) seenRun--;
      } catch (error) {
        if (signal.aborted) return;
        if (!isKubeFault(error, 'kube/not-found', 'kube/invalid', 'kube/unreachable', 'kube/server-error')) throw error;
        seenRun--;
      }
    }
    await sleep(300, undefined, { signal }).catch(() => {});
  }
}

/** Lines behind a time: RFC 3339 with nanoseconds in UTC sorts as text where the digits are as many. */
async function* newer(log: AsyncIterable<LogEntry>, last: string): AsyncGenerator<LogEntry> {
  const key = (time: string) =>
    time.replace(/^(.*?)(?:\.(\d+))?Z$/, (_, start, digits = '') => start + digits.padEnd(9, '0'));
  for await (const entry of log) {
    if (last === '' || entry.time === '' || key(entry.time) > key(last)) yield entry;
  }
}
