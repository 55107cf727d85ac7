import type { Environment, Workspace } from '../graph/index.ts';
import { clusterAccess } from '../local/index.ts';
import {
  type Clusters,
  fetchRelease,
  openClusters,
  provenanceCheck,
  type ReleaseContent,
  readPolicies,
  registryTransport,
  statementsBeside,
  workspaceRegistries,
} from '../release/index.ts';
import { ServerFault, type ServerOptions } from '../server/index.ts';
import { version } from './version.ts';

/** What a server of a workspace works on, wherever it listens. */
export type ServerCore = Omit<ServerOptions, 'database' | 'host' | 'port' | 'clusters'> & {
  readonly clusters: Clusters;
};

/**
 * Joins a workspace's environments, policies and registries to what a server asks of them.
 *
 * @param inCluster the cluster that the server is a pod of, which it reaches by its service account
 * @returns `clusters` is the caller's to close
 */
export async function serverCore(workspace: Workspace, inCluster?: string): Promise<ServerCore> {
  const [policies, registries] = await Promise.all([readPolicies(workspace), workspaceRegistries(workspace)]);
  const fetch = (reference: string, stop: AbortSignal) =>
    fromRegistry(workspace.environments, reference, inCluster, stop);
  const reach = async (environment: Environment) => ({
    registry: await registryOf(environment, inCluster),
    registries,
  });
  return {
    environments: workspace.environments,
    fetchRelease: fetch,
    checkProvenance: provenanceCheck({ policies, fetchRelease: fetch, reach }),
    policies,
    statementsOn: async (environment, { repository, digest }, stop) =>
      statementsBeside(`${environment.registry}/${repository}@${digest}`, digest, await reach(environment), stop),
    clusters: openClusters(({ cluster, context: name }) => {
      if (cluster === inCluster) return { inCluster: true };
      return name === undefined ? clusterAccess(cluster) : { context: name };
    }),
    version: version(),
  };
}

/** Only registries of environments are asked: a caller does not choose where this server connects to. */
async function fromRegistry(
  environments: ReadonlyMap<string, Environment>,
  reference: string,
  inCluster: string | undefined,
  signal: AbortSignal,
): Promise<ReleaseContent> {
  const own = [...environments.values()].find(({ registry }) => reference.startsWith(`${registry}/releases/`));
  if (own === undefined) {
    throw new ServerFault('server/bad-request', `${reference} is in no registry of an environment`, {
      next: 'push it with `banksman release --env ENV`',
    });
  }
  const registry = await registryOf(own, inCluster);
  const transport =
    registry?.name === own.registry.split('/')[0] && registry ? await registryTransport(registry) : undefined;
  return await fetchRelease(reference, { signal, ...(transport && { transport }) });
}

/** The registry of a cluster on this machine. A pod reaches that of its own cluster by its name, as any other. */
async function registryOf({ context, cluster }: Environment, inCluster: string | undefined) {
  return context === undefined && cluster !== inCluster ? (await clusterAccess(cluster)).registry : undefined;
}
