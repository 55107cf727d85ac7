import { hide } from '../fault/index.ts';
import { DatabaseFault, told } from './fault.ts';
import { untilAlone } from './retry.ts';
import { type Connection, type Database, lockStatement, type Row, type Value } from './types.ts';

/** Milliseconds to wait for a connection. */
const patience = 10_000;
/** Milliseconds to wait for an answer: a network that swallows everything tells nobody that a connection is dead. `query_timeout` in the URL says otherwise. */
const answerPatience = 60_000;
/** The same for a step of a migration, which may write every row of a table. */
const migrationPatience = 3_600_000;
/** Object id of the type bigint in `pg_type`. */
const bigint = 20;

/**
 * Connects to PostgreSQL by a URL: `postgresql://user:password@host/database?sslmode=verify-full`. `pg` reads what libpq's variables and
 * `~/.pgpass` say where the URL leaves something out.
 */
export async function openPostgres(url: string, connections = 10): Promise<Database> {
  const { default: pg } = await import('pg');
  const types = {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      oid === bigint ? asNumber : pg.types.getTypeParser(oid, format as 'text'),
  };
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: patience,
    query_timeout: answerPatience,
    keepAlive: true,
    application_name: 'banksman',
    types: types as never,
  });
  hide(passwordOf(url), process.env.PGPASSWORD);
  const named = new pg.Client({ connectionString: url });
  const name = `the database ${named.database ?? ''} at ${named.host}`;
  // An idle connection that breaks is replaced when one is needed.
  pool.on('error', () => {});

  const over = (client: Pick<import('pg').PoolClient, 'query'>): Connection => ({
    async query<Result extends object = Row>(statement: string, values: readonly Value[] = []) {
      try {
        return (await client.query<Result & Record<string, unknown>>(statement, [...values])).rows as Result[];
      } catch (error) {
        throw told(error, name);
      }
    },
    async run(statements, { slow = false } = {}) {
      try {
        await client.query({
          text: statements,
          ...(slow && { query_timeout: migrationPatience }),
        } as import('pg').QueryConfig);
      } catch (error) {
        throw told(error, name);
      }
    },
  });

  async function once<Result>(body: (connection: Connection) => Promise<Result>, lock?: string): Promise<Result> {
    const client = await pool.connect().catch((error: unknown) => {
      throw told(error, name);
    });
    let broken: Error | undefined;
    // Told by the query that was under way; without a listener it would end the process.
    const note = (error: Error) => {
      broken = error;
    };
    client.on('error', note);
    try {
      const connection = over(client);
      await connection.run('BEGIN ISOLATION LEVEL SERIALIZABLE');
      try {
        if (lock !== undefined) await connection.run(lockStatement(lock));
        const result = await body(connection);
        await connection.run('COMMIT');
        return result;
      } catch (error) {
        // Nobody is there who could be told.
        if (error instanceof DatabaseFault && error.code === 'database/lost') broken = error;
        else {
          await connection.run('ROLLBACK').catch((second: unknown) => {
            broken = second as Error;
          });
        }
        throw error;
      }
    } finally {
      client.off('error', note);
      client.release(broken ?? false);
    }
  }

  const database: Database = {
    ...over(pool as never),
    engine: 'postgresql',
    transaction: (body, lock) => untilAlone(() => once(body, lock)),
    pool: () => ({
      used: pool.totalCount - pool.idleCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    }),
    close: () => pool.end(),
  };
  try {
    await database.query('SELECT 1');
    return database;
  } catch (error) {
    await pool.end();
    throw error;
  }
}

/** As it stands in the URL, and as it is. */
function passwordOf(url: string): string | undefined {
  return URL.canParse(url) ? decodeURIComponent(new URL(url).password) : undefined;
}

function asNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new DatabaseFault('database/refused', `${text} is too large a number`);
  return value;
}
