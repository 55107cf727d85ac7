import { Fault } from '../fault/index.ts';

/** What can go wrong when actions and tests run. */
export class BuildFault extends Fault<
  | 'build/action-failed'
  | 'build/missing-output'
  | 'build/bad-output'
  | 'build/undeclared-input'
  | 'build/input-changed'
  | 'build/bad-command'
  | 'build/bad-config'
  | 'build/unknown-action'
  | 'build/timed-out'
  | 'build/test-failed'
  | 'build/bad-test-report'
  | 'build/hash-mismatch'
  | 'build/tool-not-found'
  | 'build/fetch-failed'
  | 'build/import-not-found'
  | 'build/unlocked'
  | 'build/bad-archive'
  | 'build/bad-remote-cache'
  | 'build/missing-system-file'
  | 'build/missing-secret'
  | 'build/secret-in-output'
  | 'build/output-clash'
  | 'build/cycle'
  | 'build/bad-source'
> {}
