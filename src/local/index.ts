/** The cluster on this machine: see README.md. */
export { down } from './down.ts';
export { ensureEngine } from './engine.ts';
export { LocalFault } from './fault.ts';
export { kubectl } from './kubectl.ts';
export { type KeyFiles, type ServerAccess, serverAccess } from './server-access.ts';
export { clusterAccess, list, status } from './status.ts';
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
export { up } from './up.ts';
