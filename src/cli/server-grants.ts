import {
  type Cluster,
  createObject,
  deleteObject,
  getObject,
  isKubeFault,
  type KubeObject,
  listObjects,
  replaceObject,
} from '../kube/index.ts';

const apiVersion = 'rbac.authorization.k8s.io/v1';
/** On bindings, so that those which are no longer meant are found again, and no one else's. */
const label = 'banksman/grants';
const name = 'banksman';
/** The ClusterRole of `//platform/access`. */
const role = 'banksman:environment';

/**
 * Binds the server's role in namespaces, makes these where they are missing, and takes the role back everywhere else.
 *
 * @param server the namespace of the server's service account
 * @returns namespaces where something was changed
 */
export async function grantServer(
  cluster: Cluster,
  server: string,
  namespaces: readonly string[],
  signal?: AbortSignal,
): Promise<string[]> {
  const changed = await Promise.all(
    namespaces.map(async (namespace) => {
      const made = await ensure(cluster, namespaceOf(namespace), signal);
      return (await ensure(cluster, bindingIn(namespace, server), signal)) || made ? [namespace] : [];
    }),
  );
  const kind = { apiVersion, kind: 'RoleBinding' };
  const { items } = await listObjects(cluster, kind, { labelSelector: `${label}=${server}`, signal });
  const gone = items.filter(({ metadata }) => !namespaces.includes(metadata.namespace ?? ''));
  for (const { metadata } of gone) await deleteObject(cluster, { ...kind, ...metadata }, { uid: metadata.uid, signal });
  return [...changed.flat(), ...gone.map(({ metadata }) => metadata.namespace ?? '')];
}

function namespaceOf(namespace: string): KubeObject {
  const labels = { 'app.kubernetes.io/managed-by': 'banksman' };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } };
}

function bindingIn(namespace: string, server: string): KubeObject {
  return {
    apiVersion,
    kind: 'RoleBinding',
    metadata: { name, namespace, labels: { 'app.kubernetes.io/managed-by': 'banksman', [label]: server } },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', name, namespace: server }],
  };
}

/** @returns whether it was not as it should be */
async function ensure(cluster: Cluster, object: KubeObject, signal: AbortSignal | undefined): Promise<boolean> {
  for (;;) {
    const { apiVersion: version, kind, metadata } = object;
    const wanted = { apiVersion: version, kind, name: metadata.name, namespace: metadata.namespace };
    const before = await getObject(cluster, wanted, { signal });
    if (before !== undefined && JSON.stringify(before.subjects) === JSON.stringify(object.subjects)) return false;
    try {
      if (before === undefined) await createObject(cluster, object, { signal });
      else await replaceObject(cluster, { ...before, subjects: object.subjects }, { signal });
      return true;
    } catch (error) {
      // Somebody else was faster: what they wrote is looked at.
      if (!isKubeFault(error, 'kube/already-exists', 'kube/changed')) throw error;
    }
  }
}
