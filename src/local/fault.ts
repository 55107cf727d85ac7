import { Fault } from '../fault/index.ts';

/** What can go wrong with the cluster on this machine. */
export class LocalFault extends Fault<
  | 'local/not-linux'
  | 'local/not-root'
  | 'local/missing-program'
  | 'local/no-go'
  | 'local/old-go'
  | 'local/engine-build-failed'
  | 'local/engine-source'
  | 'local/bad-name'
  | 'local/bad-port'
  | 'local/port-taken'
  | 'local/disk-full'
  | 'local/no-cgroups'
  | 'local/kernel'
  | 'local/bad-state'
  | 'local/not-ready'
  | 'local/not-up'
  | 'local/remains'
  | 'local/api'
> {}
