/**
 * Why the remote cache could not serve:
 *
 * - `absent`: it does not have what was asked for
 * - `busy`: it has too much to do at this moment
 * - `away`: it can't be reached, or does not answer in time
 * - `denied`: it does not let us
 * - `refused`: it does not take what we say
 * - `corrupt`: what it answers does not fit its sums, or is not what it has to be
 */
export type RemoteProblem = 'absent' | 'busy' | 'away' | 'denied' | 'refused' | 'corrupt';

/** Never leaves the folder: a build goes on without the remote cache. */
export class RemoteFailure extends Error {
  readonly problem: RemoteProblem;

  constructor(problem: RemoteProblem, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RemoteFailure';
    this.problem = problem;
  }
}

/** Status codes of gRPC, see github.com/grpc/grpc/blob/master/doc/statuscodes.md. */
export function problemOf(code: number): RemoteProblem {
  switch (code) {
    case 5: // NOT_FOUND
      return 'absent';
    case 7: // PERMISSION_DENIED
    case 16: // UNAUTHENTICATED
      return 'denied';
    case 3: // INVALID_ARGUMENT
    case 9: // FAILED_PRECONDITION
    case 11: // OUT_OF_RANGE
    case 12: // UNIMPLEMENTED
      return 'refused';
    case 8: // RESOURCE_EXHAUSTED
    case 10: // ABORTED
      return 'busy';
    case 15: // DATA_LOSS
      return 'corrupt';
    default:
      return 'away';
  }
}
