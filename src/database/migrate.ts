import { createHash } from 'node:crypto';
import { DatabaseFault } from './fault.ts';
import type { Connection, Database } from './types.ts';

/** A step of the database's form. Once it is released it is never changed: what is wrong with it, the next one mends. */
export interface Migration {
  /** `audit-1`: a part's name and a number, from 1 on without gaps. */
  readonly name: string;
  readonly statements: string;
}

/**
 * SQLSTATEs of two who make the same table at the same time, by the moment at which the second notices: unique_violation (in a catalogue's
 * index), duplicate_table, duplicate_object (the table's row type). `IF NOT EXISTS` looks only once, at the start.
 */
const madeMeanwhile = ['23505', '42P07', '42710'];

/**
 * Brings a database to the form that this program knows: only forwards, all of it or nothing, also when several programs start at once.
 *
 * @param part a word for what belongs together: parts have their own numbers
 * @returns names of the steps that were taken
 * @throws DatabaseFault database/newer where a newer program was here; database/bad-migration where what was done is not what is written
 */
export async function migrate(
  database: Database,
  part: string,
  migrations: readonly Migration[],
): Promise<readonly string[]> {
  migrations.forEach(({ name }, index) => {
    if (name !== `${part}-${index + 1}`) throw new Error(`the migration ${name} is not ${part}-${index + 1}`);
  });
  await database
    .run(`
      CREATE TABLE IF NOT EXISTS migrations (
        name text PRIMARY KEY,
        checksum text NOT NULL,
        applied_at timestamptz(3) NOT NULL DEFAULT now()
      )`)
    .catch((error: unknown) => {
      if (!(error instanceof DatabaseFault) || !madeMeanwhile.includes(error.state ?? '')) throw error;
    });
  return await database.transaction(async (connection) => {
    const done = await appliedSteps(connection, part);
    check(part, done, migrations);
    const due = migrations.slice(done.length);
    for (const migration of due) {
      await connection.run(migration.statements, { slow: true });
      await connection.query('INSERT INTO migrations (name, checksum) VALUES ($1, $2)', [
        migration.name,
        checksumOf(migration),
      ]);
    }
    return due.map(({ name }) => name);
  }, 'migrations');
}

interface Applied {
  readonly name: string;
  readonly checksum: string;
}

async function appliedSteps(connection: Connection, part: string): Promise<readonly Applied[]> {
  const rows = await connection.query<Applied>('SELECT name, checksum FROM migrations WHERE name LIKE $1', [
    `${part}-%`,
  ]);
  const number = ({ name }: Applied) => Number(name.slice(part.length + 1));
  return rows.filter((row) => Number.isInteger(number(row))).toSorted((a, b) => number(a) - number(b));
}

function check(part: string, done: readonly Applied[], migrations: readonly Migration[]): void {
  if (done.length > migrations.length) {
    throw new DatabaseFault(
      'database/newer',
      `the database has the form ${done.at(-1)?.name}, and this program knows ${part}-${migrations.length}`,
      {
        next: 'run the newer version of Banksman that was here, or restore a backup from before it',
      },
    );
  }
  done.forEach(({ name, checksum }, index) => {
    const written = migrations[index] as Migration;
    if (name === written.name && checksum === checksumOf(written)) return;
    throw new DatabaseFault(
      'database/bad-migration',
      `the database was brought to ${name} by other statements than those of this program`,
      {
        next: 'use the version of Banksman that made this database, or restore a backup',
      },
    );
  });
}

function checksumOf({ statements }: Migration): string {
  return createHash('sha256').update(statements).digest('hex');
}
