import type { HttpProbe } from './diagnose.ts';
import { isKubeFault } from './fault.ts';
import type { Cluster } from './types.ts';

/**
 * Asks a pod what its probe asks, by way of the API server, and gives the answer as one line: `503: the database is away`.
 *
 * @returns undefined where it can't be asked: no right to, or no way from the API server to the pod
 */
export async function askProbe(
  cluster: Cluster,
  { pod, scheme, port, path }: HttpProbe,
  { namespace, signal }: { readonly namespace: string; readonly signal?: AbortSignal | undefined },
): Promise<string | undefined> {
  const name = `${scheme === 'https' ? 'https:' : ''}${pod}:${port}`;
  const url = new URL(path, 'http://pod');
  try {
    const { status, text } = await cluster.answer({
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/proxy${url.pathname}`,
      query: Object.fromEntries(url.searchParams),
      timeout: 3_000,
      signal,
    });
    // A Status is the API server's own word about itself or its way to the pod.
    if (/^\s*\{"kind":"Status"/.test(text)) return undefined;
    return `${status}: ${text.replace(/\s+/g, ' ').trim().slice(0, 500) || '(nothing)'}`;
  } catch (error) {
    if (!isKubeFault(error)) throw error;
    return undefined;
  }
}
