import { Fault } from '../fault/index.ts';

/** What can go wrong with a database. */
export class DatabaseFault extends Fault<
  | 'database/refused' // the engine says no to a statement
  | 'database/lost' // there is no connection
  | 'database/bad-address'
  | 'database/in-use'
  | 'database/bad-migration'
  | 'database/newer'
> {
  /** SQLSTATE, where the engine gave one. PostgreSQL, appendix A. */
  readonly state: string | undefined;

  constructor(
    code: ConstructorParameters<typeof Fault>[0] & DatabaseFault['code'],
    message: string,
    details: ConstructorParameters<typeof Fault>[2] & { readonly state?: string | undefined } = {},
  ) {
    super(code, message, details);
    this.state = details.state;
  }
}

/** SQLSTATEs of transactions that came between each other: serialization_failure, deadlock_detected. */
const again = new Set(['40001', '40P01']);
/** Classes in which the connection is gone or going: connection exceptions, and those of an operator's intervention. */
const lost = /^(?:08|57P)/;
/** Codes of Node for the same. */
const unreachable = /^E(?:CONN|PIPE|TIMEDOUT|AI_AGAIN|NOTFOUND|HOSTUNREACH)/;

export function mayTryAgain(error: unknown): boolean {
  return error instanceof DatabaseFault && error.state !== undefined && again.has(error.state);
}

/** An engine's error, told by its own words and state. */
export function told(error: unknown, what: string): DatabaseFault {
  if (error instanceof DatabaseFault) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const state = typeof code === 'string' ? code : undefined;
  const text = typeof message === 'string' && message !== '' ? message : String(state ?? error);
  const gone =
    (state !== undefined && (lost.test(state) || unreachable.test(state))) ||
    /terminated|not queryable|timeout exceeded|read timeout|PGlite is clos/i.test(text);
  if (gone) {
    return new DatabaseFault('database/lost', `${what} can't be reached: ${text}`, {
      state,
      next: 'check that it runs and that its address is right',
      cause: error,
    });
  }
  return new DatabaseFault('database/refused', `${what} refuses: ${text}`, { state, cause: error });
}
