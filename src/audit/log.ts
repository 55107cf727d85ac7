import type { KeyObject } from 'node:crypto';
import { type Connection, type Database, migrate } from '../database/index.ts';
import { type Checkpoint, parseCheckpoint, signCheckpoint } from './checkpoint.ts';
import { type AuditEntry, type AuditEvent, beginning, bodyOf, hashOf, readBody } from './entry.ts';
import { AuditFault } from './fault.ts';
import { auditMigrations, lockTable } from './migrations.ts';

/** Entries read at a time. */
const pageSize = 500;

/** Brings the database to the form that the log needs. */
export async function migrateAudit(database: Database): Promise<readonly string[]> {
  return await migrate(database, 'audit', auditMigrations);
}

/**
 * Does something and writes down that it was done, both or neither. Inside, `record` adds to the log.
 *
 * @param now milliseconds since the epoch
 */
export async function audited<Result>(
  database: Database,
  now: number,
  body: (connection: Connection, record: (event: AuditEvent) => Promise<AuditEntry>) => Promise<Result>,
): Promise<Result> {
  return await auditedTogether(database, (connection, record) =>
    body(connection, async (event) => {
      const [entry] = await record([{ event, at: now }]);
      return entry as AuditEntry;
    }),
  );
}

/** Something that happened, and when: milliseconds since the epoch. */
export interface AuditLine {
  readonly event: AuditEvent;
  readonly at: number;
}

/** Does several things that happened at about the same time, and writes down that they were done: all of it or nothing. */
export async function auditedTogether<Result>(
  database: Database,
  body: (
    connection: Connection,
    record: (lines: readonly AuditLine[]) => Promise<readonly AuditEntry[]>,
  ) => Promise<Result>,
): Promise<Result> {
  return await database.transaction((connection) => body(connection, (lines) => append(connection, lines)), lockTable);
}

async function append(connection: Connection, lines: readonly AuditLine[]): Promise<readonly AuditEntry[]> {
  if (lines.length === 0) return [];
  let { number, hash } = (await lastEntry(connection)) ?? { number: 0, hash: beginning };
  const rows = lines.map((line) => {
    const { event } = line;
    const at = new Date(line.at).toISOString();
    number++;
    const body = bodyOf(number, at, event);
    const previous = hash;
    hash = hashOf(previous, body);
    return { number, at, event, body, previous, hash };
  });
  const column = (value: (row: (typeof rows)[number]) => string) => rows.map(value);
  await connection.query(
    `INSERT INTO audit_entries (number, at, who, action, subject, body, previous, hash)
     SELECT number::bigint, at::timestamptz, who, action, subject, body, previous, hash
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
       AS line (number, at, who, action, subject, body, previous, hash)`,
    [
      column((row) => String(row.number)),
      column(({ at }) => at),
      column(({ event }) => event.who),
      column(({ event }) => event.action),
      column(({ event }) => event.subject),
      column(({ body }) => body),
      column(({ previous }) => previous),
      column((row) => row.hash),
    ],
  );
  return rows.map(({ body: _, ...entry }) => entry);
}

async function lastEntry(
  connection: Connection,
): Promise<{ readonly number: number; readonly hash: string } | undefined> {
  const [last] = await connection.query<{ number: number; hash: string }>(
    'SELECT number, hash FROM audit_entries ORDER BY number DESC LIMIT 1',
  );
  return last;
}

/** Number of the newest entry; 0 where there is none. */
export async function newestEntry(connection: Connection): Promise<number> {
  return (await lastEntry(connection))?.number ?? 0;
}

/** A row as the database has it: not believed until it was checked. */
export interface StoredEntry {
  readonly number: number;
  readonly at: Date;
  readonly who: string;
  readonly action: string;
  readonly subject: string;
  readonly body: string;
  readonly previous: string;
  readonly hash: string;
}

/** All rows in their order, a page at a time. */
export async function* storedEntries(connection: Connection): AsyncGenerator<StoredEntry> {
  let after = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const rows = await connection.query<StoredEntry>(
      'SELECT number, at, who, action, subject, body, previous, hash FROM audit_entries WHERE number > $1 ORDER BY number LIMIT $2',
      [after, pageSize],
    );
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    after = last.number;
  }
}

export interface EntryFilter {
  readonly subject?: string | undefined;
  readonly who?: string | undefined;
  /** Entries after this number. */
  readonly after?: number | undefined;
  /** At most so many; 100 unless told. */
  readonly limit?: number | undefined;
}

/** Entries for a person to read, in their order. */
export async function readEntries(connection: Connection, filter: EntryFilter = {}): Promise<readonly AuditEntry[]> {
  const { subject = null, who = null, after = 0, limit = 100 } = filter;
  const rows = await connection.query<StoredEntry>(
    `SELECT body, previous, hash FROM audit_entries
     WHERE number > $1 AND ($2::text IS NULL OR subject = $2) AND ($3::text IS NULL OR who = $3)
     ORDER BY number LIMIT $4`,
    [after, subject, who, limit],
  );
  return rows.map(({ body, previous, hash }) => ({ ...readBody(body), previous, hash }));
}

/**
 * Signs how far the log goes, and keeps that. The checkpoint is to be put elsewhere too: only so it tells of what is cut off.
 *
 * @returns undefined where nothing was written since the last one
 */
export async function makeCheckpoint(database: Database, key: KeyObject, now: number): Promise<Checkpoint | undefined> {
  return await database.transaction(async (connection) => {
    const last = await lastEntry(connection);
    const [former] = await connection.query<{ number: number }>(
      'SELECT number FROM audit_checkpoints ORDER BY number DESC LIMIT 1',
    );
    if (last === undefined || (former !== undefined && former.number >= last.number)) return undefined;
    const at = new Date(now).toISOString();
    const checkpoint = signCheckpoint(last, at, key);
    await connection.query('INSERT INTO audit_checkpoints (number, at, checkpoint) VALUES ($1, $2, $3)', [
      checkpoint.number,
      at,
      JSON.stringify(checkpoint),
    ]);
    return checkpoint;
  }, lockTable);
}

/** The checkpoints that are kept in the database itself. */
export async function storedCheckpoints(connection: Connection): Promise<readonly Checkpoint[]> {
  const rows = await connection.query<{ number: number; checkpoint: string }>(
    'SELECT number, checkpoint FROM audit_checkpoints ORDER BY number',
  );
  return rows.map(({ number, checkpoint: text }) => {
    const checkpoint = parseCheckpoint(text, `checkpoint ${number} of the database`);
    if (checkpoint.number === number) return checkpoint;
    throw new AuditFault(
      'audit/bad-checkpoint',
      `checkpoint ${number} of the database is that of entry ${checkpoint.number}`,
    );
  });
}
