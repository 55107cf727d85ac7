import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubeFault } from './fault.ts';
import type { Credentials } from './kubeconfig.ts';

/** Where the kubelet mounts a pod's service account (Kubernetes, "Accessing the Kubernetes API from a Pod"). */
export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Milliseconds that a token is used before the file is read again: the kubelet replaces it long before its end. */
const tokenAge = 10_000;

/**
 * The cluster that this program runs in, by its pod's service account.
 *
 * @throws KubeFault kube/no-kubeconfig where this is no pod with a service account
 */
export async function readServiceAccount(
  folder = serviceAccountFolder,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Credentials> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment;
  if (host === undefined || host === '') throw noPod('KUBERNETES_SERVICE_HOST is not set');
  const read = (name: string) =>
    readFile(join(folder, name), 'utf8').catch((cause: Error) => {
      throw noPod(`${name} can't be read: ${cause.message}`, cause);
    });
  const [ca, namespace] = await Promise.all([
    read('ca.crt'),
    readFile(join(folder, 'namespace'), 'utf8').catch(() => 'default'),
  ]);
  let token = '';
  let readAt = Number.NEGATIVE_INFINITY;
  const options = async () => {
    const now = performance.now();
    if (now - readAt > tokenAge) {
      token = (await read('token')).trim();
      readAt = now;
    }
    return { ca, headers: { authorization: `Bearer ${token}` } };
  };
  await options();
  // An IPv6 address stands in brackets in a URL.
  const named = host.includes(':') ? `[${host}]` : host;
  return {
    context: 'in-cluster',
    server: new URL(`https://${named}:${port}`),
    namespace: namespace.trim(),
    options,
  };
}

function noPod(why: string, cause?: unknown): KubeFault {
  return new KubeFault('kube/no-kubeconfig', `this program runs in no pod with a service account: ${why}`, {
    next: 'leave automountServiceAccountToken on for its pod, or name a kubeconfig',
    cause,
  });
}
