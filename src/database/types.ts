/** A value that goes into a statement. Times go as ISO texts, so that both engines read them alike. */
export type Value = string | number | boolean | null | readonly string[];

/** Rows as the statement names its columns. `bigint` comes as a number, `timestamptz` as a Date, `json` parsed. */
export type Row = Readonly<Record<string, unknown>>;

export interface Connection {
  /**
   * Runs one statement, with `$1`, `$2`, ... for values: no value is ever part of a statement's text.
   *
   * @throws DatabaseFault database/refused with the engine's code, database/lost
   */
  query<Result extends object = Row>(statement: string, values?: readonly Value[]): Promise<readonly Result[]>;
  /**
   * Runs several statements that take no values: a migration.
   *
   * @param slow they may take an hour
   */
  run(statements: string, options?: { readonly slow?: boolean }): Promise<void>;
}

/** PostgreSQL, or the same embedded. What works on one works on the other: the tests run on both. */
export interface Database extends Connection {
  readonly engine: 'postgresql' | 'pglite';
  /**
   * Runs the body in one transaction at the level SERIALIZABLE. It is begun again where another transaction came between, so the body
   * must do nothing but ask the database. Whatever it throws takes everything back.
   *
   * @param lock name of a table that one transaction at a time holds. It is locked before the transaction sees anything: with a lock
   *   that is taken later, a transaction that has waited would still see what was there before
   */
  transaction<Result>(body: (connection: Connection) => Promise<Result>, lock?: string): Promise<Result>;
  /** Connections, where there are several. */
  pool?(): { readonly used: number; readonly idle: number; readonly waiting: number };
  close(): Promise<void>;
}

/** The statement that locks a table for one transaction; others may go on reading it. @throws Error where it is no plain name */
export function lockStatement(table: string): string {
  if (!/^[a-z_]{1,60}$/.test(table)) throw new Error(`${table} is no name of a table`);
  return `LOCK TABLE ${table} IN EXCLUSIVE MODE`;
}
