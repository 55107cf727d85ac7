import { isKubeFault, KubeFault } from './fault.ts';
import type { ApiRequest, Kind, ObjectName, Resource } from './types.ts';

/** API discovery, one request for each group and version that is asked for. */
export function createDiscovery(send: (request: ApiRequest) => Promise<unknown>): {
  resource(kind: Kind): Promise<Resource>;
  forget(): void;
} {
  const versions = new Map<string, Promise<readonly Resource[]>>();
  const fetchVersion = (apiVersion: string) => {
    let resources = versions.get(apiVersion);
    if (resources === undefined) {
      resources = load(send, apiVersion);
      versions.set(apiVersion, resources);
      // A failure is not remembered.
      resources.catch(() => versions.delete(apiVersion));
    }
    return resources;
  };
  return {
    async resource({ apiVersion, kind }) {
      const found = (await fetchVersion(apiVersion)).find((resource) => resource.kind === kind);
      if (found !== undefined) return found;
      versions.delete(apiVersion);
      throw unknownKind(apiVersion, kind);
    },
    forget: () => versions.clear(),
  };
}

async function load(send: (request: ApiRequest) => Promise<unknown>, apiVersion: string): Promise<readonly Resource[]> {
  let answer: unknown;
  try {
    answer = await send({ path: groupPath(apiVersion) });
  } catch (error) {
    if (isKubeFault(error, 'kube/not-found')) return [];
    throw error;
  }
  const { resources } = answer as { resources?: unknown };
  if (!Array.isArray(resources)) {
    throw new KubeFault('kube/bad-answer', `discovery of ${apiVersion} was answered with something else`);
  }
  return (resources as { name?: unknown; kind?: unknown; namespaced?: unknown }[]).flatMap(
    ({ name, kind, namespaced }) =>
      // `deployments/scale` is a part of a resource.
      typeof name === 'string' && typeof kind === 'string' && !name.includes('/')
        ? [{ apiVersion, kind, plural: name, namespaced: namespaced === true }]
        : [],
  );
}

function unknownKind(apiVersion: string, kind: string): KubeFault {
  return new KubeFault('kube/unknown-kind', `the cluster does not know the kind ${kind} of ${apiVersion}`, {
    next: 'see the spelling, or install the CustomResourceDefinition first',
  });
}

/** The path of an object, or of its collection where the name is left out. */
export function objectPath(
  resource: Resource,
  { namespace, name }: Partial<Pick<ObjectName, 'namespace' | 'name'>>,
): string {
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const tail = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${groupPath(resource.apiVersion)}${scope}/${resource.plural}${tail}`;
}

/** `/api/v1` for the core group, `/apis/GROUP/VERSION` for the others. */
function groupPath(apiVersion: string): string {
  return apiVersion.includes('/')
    ? `/apis/${apiVersion.split('/').map(encodeURIComponent).join('/')}`
    : `/api/${encodeURIComponent(apiVersion)}`;
}
