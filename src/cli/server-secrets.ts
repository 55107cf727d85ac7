import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Cluster, createObject, getObject, isKubeFault, type KubeObject, replaceObject } from '../kube/index.ts';
import type { KeyFiles, ServerAccess } from '../local/index.ts';
import { newSealKey } from '../server/index.ts';

/** A Secret with texts by key. */
interface Wanted {
  readonly name: string;
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
  /** What is there is kept, whatever it is: another one would no longer open what the first one locked. */
  readonly once: boolean;
}

/**
 * Makes the Secrets that `platform/` mounts and no repository may hold: the database's password and the key of its secrets, once; the server's certificate and one
 * for reading from the registry, as often as the cluster has new ones.
 *
 * @param access files of certificates; a Secret without files is that cluster's own affair, by cert-manager say
 * @returns names of those that were written
 */
export async function makeServerSecrets(
  cluster: Cluster,
  namespace: string,
  access: Partial<Pick<ServerAccess, 'tls' | 'registry'>>,
  signal?: AbortSignal,
): Promise<string[]> {
  const [tls, registry] = await Promise.all([
    access.tls && textsOf(access.tls),
    access.registry && textsOf(access.registry),
  ]);
  const wanted: Wanted[] = [
    {
      name: 'database-password',
      type: 'Opaque',
      data: { password: randomBytes(32).toString('base64url') },
      once: true,
    },
    {
      name: 'banksman-secret-keys',
      type: 'Opaque',
      data: { keys: `${newSealKey(new Date())}\n` },
      once: true,
    },
    ...(tls === undefined
      ? []
      : [
          {
            name: 'banksman-tls',
            type: 'kubernetes.io/tls',
            data: { 'tls.crt': tls.cert, 'tls.key': tls.key, 'ca.crt': tls.ca },
            once: false,
          },
        ]),
    ...(registry === undefined
      ? []
      : [
          {
            name: 'banksman-registry',
            type: 'Opaque',
            // Names as containers-certs.d(5) has them.
            data: { 'ca.crt': registry.ca, 'client.cert': registry.cert, 'client.key': registry.key },
            once: false,
          },
        ]),
  ];
  const written = await Promise.all(wanted.map((each) => write(cluster, namespace, each, signal)));
  return wanted.flatMap(({ name }, index) => (written[index] ? [name] : []));
}

/** Secrets that `platform/` mounts and that are not there. */
export async function missingSecrets(cluster: Cluster, namespace: string, signal?: AbortSignal): Promise<string[]> {
  const names = ['database-password', 'banksman-secret-keys', 'banksman-tls', 'banksman-registry'];
  const found = await Promise.all(
    names.map((name) => getObject(cluster, { apiVersion: 'v1', kind: 'Secret', name, namespace }, { signal })),
  );
  return names.filter((_, index) => found[index] === undefined);
}

async function textsOf({ caPath, certPath, keyPath }: KeyFiles): Promise<{ ca: string; cert: string; key: string }> {
  const [ca = '', cert = '', key = ''] = await Promise.all(
    [caPath, certPath, keyPath].map((path) => readFile(path, 'utf8')),
  );
  return { ca, cert, key };
}

async function write(
  cluster: Cluster,
  namespace: string,
  { name, type, data, once }: Wanted,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const encoded = Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
  );
  const object: KubeObject = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace, labels: { 'app.kubernetes.io/managed-by': 'banksman' } },
    type,
    data: encoded,
  };
  for (;;) {
    const before = await getObject(cluster, { apiVersion: 'v1', kind: 'Secret', name, namespace }, { signal });
    if (before !== undefined && (once || same(before.data, encoded))) return false;
    try {
      if (before === undefined) await createObject(cluster, object, { signal });
      else await replaceObject(cluster, { ...before, data: encoded }, { signal });
      return true;
    } catch (error) {
      // Somebody else was faster: what they wrote is looked at.
      if (!isKubeFault(error, 'kube/already-exists', 'kube/changed')) throw error;
    }
  }
}

function same(found: unknown, wanted: Readonly<Record<string, string>>): boolean {
  const data = (found ?? {}) as Readonly<Record<string, unknown>>;
  const keys = Object.keys(wanted);
  return keys.length === Object.keys(data).length && keys.every((key) => data[key] === wanted[key]);
}
