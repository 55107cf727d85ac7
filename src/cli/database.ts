import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { type Database, openDatabase } from '../database/index.ts';
import { stateFolder } from '../disk/index.ts';
import { isFault } from '../fault/index.ts';

export interface DatabaseChoice {
  readonly database?: string;
}

export function withDatabaseOption(command: Command): Command {
  return command.option(
    '--database <address>',
    'postgresql://HOST/NAME or the folder of an embedded database ($BANKSMAN_DATABASE; one of your own unless told)',
  );
}

/** The database that is meant. */
export function databaseAddress({ database }: DatabaseChoice): string {
  return database ?? (process.env.BANKSMAN_DATABASE || stateFolder('database'));
}

/**
 * Opens the database that is meant for as long as the body runs.
 *
 * @param wait where it may be ready later: milliseconds that one which can't be reached is asked again
 */
export async function withDatabase<Result>(
  choice: DatabaseChoice,
  body: (database: Database) => Promise<Result>,
  wait?: { readonly patience: number; readonly signal: AbortSignal },
): Promise<Result> {
  const address = databaseAddress(choice);
  const opened = wait === undefined ? await openDatabase(address) : await openPatiently(address, wait);
  try {
    return await body(opened);
  } finally {
    await opened.close();
  }
}

async function openPatiently(
  address: string,
  { patience, signal }: { readonly patience: number; readonly signal: AbortSignal },
): Promise<Database> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      return await openDatabase(address);
    } catch (error) {
      if (!isFault(error) || error.code !== 'database/lost' || performance.now() > end) throw error;
      await sleep(500, undefined, { signal });
    }
  }
}
