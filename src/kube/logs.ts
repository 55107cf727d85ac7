import { isKubeFault } from './fault.ts';
import type { Cluster } from './types.ts';
import { lines } from './watch.ts';

export interface LogOptions {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly follow?: boolean;
  /** Of the run before this one. */
  readonly previous?: boolean;
  readonly sinceSeconds?: number | undefined;
  /** RFC 3339; lines of that second come again. */
  readonly sinceTime?: string | undefined;
  readonly tailLines?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LogEntry {
  /** RFC 3339 with nanoseconds; empty where the line has none. */
  readonly time: string;
  readonly text: string;
}

/** A container's log, line by line. Ends where the container ends, or, without `follow`, where the log does now. */
export async function* containerLog(cluster: Cluster, options: LogOptions): AsyncGenerator<LogEntry> {
  const { namespace, pod, container, follow, previous, sinceSeconds, sinceTime, tailLines, signal } = options;
  const body = await cluster.stream({
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`,
    query: { container, follow, previous, sinceSeconds, sinceTime, tailLines, timestamps: true },
    signal,
  });
  for await (const line of lines(body)) {
    const match = /^(\d{4}-\d\d-\d\dT\S+) ?(.*)$/s.exec(line);
    yield match ? { time: match[1] ?? '', text: match[2] ?? '' } : { time: '', text: line };
  }
}

/**
 * The last lines that a container wrote before it ended: of its current run, or of the one before where the current one wrote
 * nothing or has not begun.
 */
export async function lastLines(
  cluster: Cluster,
  container: { readonly namespace: string; readonly pod: string; readonly container: string },
  {
    count,
    previousFirst,
    signal,
  }: { readonly count: number; readonly previousFirst: boolean; readonly signal?: AbortSignal | undefined },
): Promise<string[]> {
  for (const previous of previousFirst ? [true, false] : [false, true]) {
    try {
      const found: string[] = [];
      for await (const { text } of containerLog(cluster, { ...container, previous, tailLines: count, signal })) {
        found.push(text);
      }
      if (found.length > 0) return found;
    } catch (error) {
      // No such run, or its log is gone: the other one may have it. What is told then stands without a log.
      if (!isKubeFault(error, 'kube/invalid', 'kube/not-found', 'kube/server-error', 'kube/timed-out')) throw error;
    }
  }
  return [];
}
