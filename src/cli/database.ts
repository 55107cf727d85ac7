import type { Command } from 'commander';
import { type Database, openDatabase } from '../database/index.ts';
import { stateFolder } from '../disk/index.ts';

export interface DatabaseChoice {
  readonly database?: string;
}

export function withDatabaseOption(command: Command): Command {
  return command.option(
    '--database <address>',
    'postgresql://HOST/NAME or the folder of an embedded database ($BANKSMAN_DATABASE; one of your own unless told)',
  );
}

/** Opens the database that is meant for as long as the body runs. */
export async function withDatabase<Result>(
  { database }: DatabaseChoice,
  body: (database: Database) => Promise<Result>,
): Promise<Result> {
  const opened = await openDatabase(database ?? (process.env.BANKSMAN_DATABASE || stateFolder('database')));
  try {
    return await body(opened);
  } finally {
    await opened.close();
  }
}
