import { Fault } from '../fault/index.ts';

/** What can be wrong with a call. */
export class ServerFault extends Fault<
  | 'server/not-signed-in'
  | 'server/not-allowed'
  | 'server/unknown-environment'
  | 'server/unknown-service'
  | 'server/unknown-token'
  | 'server/bad-request'
  | 'server/unknown-release'
  | 'server/unknown-train'
  | 'server/unknown-webhook'
  | 'server/refused'
  | 'server/too-many-streams'
  | 'server/bad-certificate'
  | 'server/bad-key'
  | 'server/no-key'
  | 'server/unreadable-secret'
> {}
