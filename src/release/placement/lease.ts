import type { Connection, Database } from '../../database/index.ts';
import { ReleaseFault } from '../fault.ts';

/** The right to act alone, for a time. */
export interface LeaderLease {
  readonly name: string;
  readonly holder: string;
  /** Higher than that of every holder before. */
  readonly term: number;
}

/**
 * Takes a lease or renews it. The database's clock counts, not those of the machines that ask.
 *
 * @param holder unique among all that may ask
 * @param duration milliseconds
 * @returns undefined while another holds it
 */
export async function takeLeaderLease(
  database: Database,
  name: string,
  holder: string,
  duration: number,
): Promise<LeaderLease | undefined> {
  const [row] = await database.query<{ holder: string; term: number }>(
    `INSERT INTO leases AS held (name, holder, until, term)
     VALUES ($1, $2, now() + $3 * interval '1 millisecond', 1)
     ON CONFLICT (name) DO UPDATE SET
       holder = excluded.holder,
       until = excluded.until,
       term = held.term + CASE WHEN held.holder = excluded.holder THEN 0 ELSE 1 END
     WHERE held.holder = excluded.holder OR held.until <= now()
     RETURNING holder, term`,
    [name, holder, duration],
  );
  return row === undefined ? undefined : { name, holder, term: row.term };
}

/** Gives it back, so that another need not wait: also where the clock is set back meanwhile. */
export async function dropLeaderLease(database: Database, { name, holder, term }: LeaderLease): Promise<void> {
  await database.query(`UPDATE leases SET until = '-infinity' WHERE name = $1 AND holder = $2 AND term = $3`, [
    name,
    holder,
    term,
  ]);
}

/**
 * Checks inside a transaction that a lease is still held, and keeps it from being taken until that ends: whoever has lost it writes
 * nothing more, however late it wakes.
 *
 * @throws ReleaseFault release/not-leader
 */
export async function requireLease(connection: Connection, { name, holder, term }: LeaderLease): Promise<void> {
  const rows = await connection.query(
    'SELECT 1 FROM leases WHERE name = $1 AND holder = $2 AND term = $3 AND until > clock_timestamp() FOR UPDATE',
    [name, holder, term],
  );
  if (rows.length > 0) return;
  throw new ReleaseFault('release/not-leader', `${holder} holds ${name} no more`, {
    next: 'nothing: another server has taken over and goes on',
  });
}
