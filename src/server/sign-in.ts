import type { Person } from './authorization.ts';

/**
 * A way to know who calls, by the credential of `Authorization: Bearer` (RFC 6750). The server's own tokens are one; whoever brings others
 * gives them to `startServer`.
 */
export interface SignIn {
  /** @param now milliseconds since the epoch @returns undefined for a credential that is not of this kind, or not valid now */
  find(credential: string, now: number): Promise<Person | undefined>;
}

/** The first that knows the credential says who it is. */
export async function whoCalls(ways: readonly SignIn[], credential: string, now: number): Promise<Person | undefined> {
  for (const way of ways) {
    const person = await way.find(credential, now);
    if (person !== undefined) return person;
  }
  return undefined;
}
