import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { LockFault, withLock } from '../disk/index.ts';
import { DatabaseFault, told } from './fault.ts';
import { untilAlone } from './retry.ts';
import { type Connection, type Database, lockStatement, type Row, type Value } from './types.ts';

/** Object id of the type bigint in `pg_type`. */
const bigint = 20;

/**
 * Opens the embedded PostgreSQL, whose data lies in a folder, or in memory alone. One process at a time: a second one would damage the
 * files, and is refused.
 *
 * @param folder made where it is missing; undefined for a database that lives as long as the process
 * @throws DatabaseFault database/in-use
 */
export async function openPglite(folder: string | undefined): Promise<Database> {
  const unlock = folder === undefined ? () => {} : await lock(folder);
  const name = folder === undefined ? 'the embedded database' : `the embedded database in ${folder}`;
  try {
    spareCompilation();
    const { PGlite } = await import('@electric-sql/pglite');
    const engine = await PGlite.create({
      parsers: { [bigint]: asNumber },
      startParams: [...PGlite.defaultStartParams, ...settings],
      ...(folder !== undefined && { dataDir: join(folder, 'data') }),
    });
    const over = (target: Pick<typeof engine, 'query' | 'exec'>): Connection => ({
      async query<Result extends object = Row>(statement: string, values: readonly Value[] = []) {
        try {
          return (await target.query<Result>(statement, [...values])).rows;
        } catch (error) {
          throw told(error, name);
        }
      },
      async run(statements) {
        try {
          await target.exec(statements);
        } catch (error) {
          throw told(error, name);
        }
      },
    });
    return {
      ...over(engine),
      engine: 'pglite',
      async transaction(body, lock) {
        return await untilAlone(async () => {
          try {
            // There is one connection: transactions follow each other, whatever their level.
            return await engine.transaction(async (transaction) => {
              if (lock !== undefined) await transaction.exec(lockStatement(lock));
              return await body(over(transaction as never));
            });
          } catch (error) {
            if (isEngineError(error)) throw told(error, name);
            throw error;
          }
        });
      },
      async close() {
        await engine.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw told(error, name);
  }
}

/**
 * PostgreSQL's own default, 128 MB of shared buffers, is for a machine of its own. The file system's cache is below these, and the bound
 * of the whole server is 400 MB.
 */
const settings = ['-c', 'shared_buffers=16MB', '-c', 'maintenance_work_mem=16MB', '-c', 'max_connections=5'];

/**
 * PostgreSQL compiled to WebAssembly has functions of such a size that V8's optimising compiler takes more than 500 MB for some of them,
 * at moments that nobody chooses. Its baseline compiler makes them run at once; queries of this program are none the slower for it, and
 * `bench/server.ts` measures both.
 */
function spareCompilation(): void {
  setFlagsFromString('--no-wasm-dynamic-tiering');
  setFlagsFromString('--no-wasm-tier-up');
}

/** Holds the folder's lock until it is given back. */
async function lock(folder: string): Promise<() => void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'lock');
  return await new Promise<() => void>((resolve, reject) => {
    const held = withLock(path, () => new Promise<void>((release) => resolve(release)), { timeout: 2_000 });
    held.catch((error: unknown) => {
      if (!(error instanceof LockFault)) return reject(error);
      reject(
        new DatabaseFault('database/in-use', `the embedded database in ${folder} is open in another process`, {
          notes: [error.message],
          next: 'stop that process, or use PostgreSQL where several have to work at once',
          cause: error,
        }),
      );
    });
  });
}

function isEngineError(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return (
    error instanceof Error &&
    !(error instanceof DatabaseFault) &&
    typeof code === 'string' &&
    /^[0-9A-Z]{5}$/.test(code)
  );
}

function asNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new DatabaseFault('database/refused', `${text} is too large a number`);
  return value;
}
