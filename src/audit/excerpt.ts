import type { Connection } from '../database/index.ts';
import type { Checkpoint } from './checkpoint.ts';
import { type StoredEntry, storedCheckpoints } from './log.ts';

/** Entries as they stand in the database, for who checks their hashes elsewhere. */
export async function entriesBetween(
  connection: Connection,
  from: number,
  to: number,
): Promise<readonly Pick<StoredEntry, 'number' | 'body' | 'previous' | 'hash'>[]> {
  const rows = await connection.query<StoredEntry>(
    'SELECT number, body, previous, hash FROM audit_entries WHERE number BETWEEN $1 AND $2 ORDER BY number',
    [from, to],
  );
  return rows.map(({ number, body, previous, hash }) => ({ number, body, previous, hash }));
}

/** The first checkpoint that vouches for an entry. */
export async function coveringCheckpoint(connection: Connection, number: number): Promise<Checkpoint | undefined> {
  return (await storedCheckpoints(connection)).find((checkpoint) => checkpoint.number >= number);
}
