import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../trace/index.ts';
import { faultOfAnswer } from './answer.ts';
import { objectPath } from './discover.ts';
import { isKubeFault, KubeFault } from './fault.ts';
import { acceptFor, listObjects, type Selection } from './objects.ts';
import type { Cluster, Kind, KubeObject } from './types.ts';
import { beginWatch } from './watch-age.ts';

export type WatchEvent =
  /** Everything that there is: at the beginning, and where the server could not go on from where it was. */
  | { readonly type: 'all'; readonly objects: readonly KubeObject[] }
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: KubeObject };

/** Seconds after which the server ends a watch, so that a connection that is dead unnoticed ends too. */
const watchSeconds = 240;

/**
 * Lists the objects of a kind and then tells each change, until the signal aborts or the caller stops reading. A connection
 * that breaks is made anew and goes on from the last change; where the server has forgotten that (410 Gone), all objects come
 * again.
 *
 * @throws KubeFault what can't mend itself: kube/forbidden, kube/unknown-kind. An unreachable server is tried again for ever:
 *   the caller's signal is the limit
 */
export async function* watchObjects(
  cluster: Cluster,
  kind: Kind,
  selection: Selection = {},
): AsyncGenerator<WatchEvent> {
  let version: string | undefined;
  let failures = 0;
  const { signal } = selection;
  const age = beginWatch();
  try {
    while (!signal?.aborted) {
      try {
        if (version === undefined) {
          const { items, resourceVersion } = await within(undefined, () => listObjects(cluster, kind, selection));
          age.heard();
          yield { type: 'all', objects: items };
          version = resourceVersion;
        }
        const began = Date.now();
        for await (const event of changes(cluster, kind, version, selection)) {
          failures = 0;
          age.heard();
          version = event.version;
          if (event.told !== undefined) yield event.told;
        }
        // A proxy that ends every watch at once must not make this a storm of requests.
        if (Date.now() - began < 1_000) throw new KubeFault('kube/unreachable', 'the watch ended at once');
      } catch (error) {
        if (signal?.aborted) return;
        if (isKubeFault(error, 'kube/gone')) version = undefined;
        else if (isKubeFault(error, 'kube/forbidden', 'kube/unauthorized', 'kube/unknown-kind', 'kube/untrusted'))
          throw error;
        failures++;
        await sleep(Math.min(5_000, 100 * 2 ** failures), undefined, { ...(signal && { signal }) }).catch(() => {});
      }
    }
  } finally {
    age.end();
  }
}

async function* changes(
  cluster: Cluster,
  kind: Kind,
  from: string,
  selection: Selection,
): AsyncGenerator<{ readonly version: string; readonly told?: WatchEvent }> {
  const { namespace, labelSelector, fieldSelector, signal } = selection;
  const path = objectPath(await cluster.resource(kind), { namespace });
  // A watch outlives whoever happens to begin it, and belongs to nobody's trace.
  const body = await within(undefined, () =>
    cluster.stream({
      path,
      query: {
        watch: true,
        resourceVersion: from,
        allowWatchBookmarks: true,
        timeoutSeconds: watchSeconds,
        labelSelector,
        fieldSelector,
      },
      ...acceptFor(selection, 'one'),
      signal,
    }),
  );
  for await (const line of lines(body)) {
    const { type, object } = parse(line, path);
    if (type === 'ERROR') {
      const { code } = object as unknown as { code?: number };
      throw faultOfAnswer({ path }, code ?? 500, {}, JSON.stringify(object));
    }
    const version = object.metadata.resourceVersion ?? from;
    if (type === 'BOOKMARK') yield { version };
    else if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') {
      yield { version, told: { type: type.toLowerCase() as 'added' | 'modified' | 'deleted', object } };
    }
  }
}

function parse(line: string, path: string): { readonly type: string; readonly object: KubeObject } {
  let value: { type?: unknown; object?: { metadata?: unknown } } | null;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    // A connection that breaks in the middle of a line.
    throw new KubeFault('kube/unreachable', `the watch of ${path} broke off`, { cause });
  }
  if (typeof value?.type !== 'string' || typeof value.object !== 'object' || value.object === null) {
    throw new KubeFault('kube/bad-answer', `the watch of ${path} gave something that is no event`);
  }
  if (value.type !== 'ERROR' && typeof value.object.metadata !== 'object') {
    throw new KubeFault('kube/bad-answer', `the watch of ${path} gave something that is no object`);
  }
  return value as unknown as { type: string; object: KubeObject };
}

/** Bytes of a line that is held in memory: an event holds one object, and a line of a log is cut there. */
const maximumLine = 16 * 1024 * 1024;

/** The lines of a stream, without their ends. A last one without an end counts too. */
export async function* lines(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true });
    const parts = rest.split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) yield part;
    if (rest.length > maximumLine) {
      yield rest;
      rest = '';
    }
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}
