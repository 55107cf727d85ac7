import { Fault } from '../fault/index.ts';

/** What can go wrong between a workspace and an environment. */
export class ReleaseFault extends Fault<
  | 'release/unknown-environment'
  | 'release/unknown-service'
  | 'release/not-a-service'
  | 'release/not-an-image'
  | 'release/no-commit'
  | 'release/wrong-architecture'
  | 'release/bad-rule'
  | 'release/unknown-patch-set'
  | 'release/not-text'
  | 'release/rejected'
  | 'release/rollout-failed'
  | 'release/superseded'
  | 'release/busy'
  | 'release/no-good-release'
  | 'release/unknown-release'
  | 'release/never-deployed'
  | 'release/no-container'
  | 'release/bad-record'
  | 'release/bad-artifact'
  | 'release/uncommitted'
  | 'release/record-too-large'
  | 'release/bad-metric'
  | 'release/gate-closed'
  | 'release/not-leader'
> {}
