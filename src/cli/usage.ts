import { Fault } from '../fault/index.ts';

/** The command line itself was wrong: exit code 2. */
export class UsageFault extends Fault<'cli/wrong-use' | 'cli/unknown-command' | 'cli/unknown-label'> {}

export function isUsageFault(error: unknown): boolean {
  return error instanceof UsageFault;
}
