/**
 * The cluster on this machine.
 *
 *     ensureEngine({ engineSource, progress }): Promise<Engine>     builds the programs once
 *     up({ name, progress, engineSource, apiPort }): Promise<UpResult>
 *     down({ name, progress, purge }): Promise<DownResult>
 *     status({ name }): Promise<ClusterStatus>
 *     list(): Promise<string[]>
 *     clusterAccess(name): ClusterAccess        throws local/not-up where there is no cluster of that name
 *     kubectl({ name, engineSource, progress, args }): Promise<Invocation>
 */
export { LocalFault } from './fault.ts';
export type {
  ClusterAccess,
  ClusterState,
  ClusterStatus,
  DownRequest,
  DownResult,
  Engine,
  EngineRequest,
  Invocation,
  ProcessStatus,
  ServicePort,
  UpRequest,
  UpResult,
} from './types.ts';
