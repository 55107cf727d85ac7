import { type AuditEvent, audited } from '../../audit/index.ts';
import { type Connection, type Database, type Migration, migrate } from '../../database/index.ts';
import type { Label } from '../../graph/index.ts';
import { type Actor, type LeaderLease, requireLease } from '../placement/index.ts';
import { type Drift, type DriftedObject, objectKey } from './types.ts';

const driftMigrations: readonly Migration[] = [
  {
    name: 'drift-1',
    statements: `
      -- How it is now; how it came to be so is in the audit log.
      CREATE TABLE drifts (
        service text NOT NULL,
        environment text NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (service, environment)
      );
    `,
  },
  {
    name: 'drift-2',
    statements: `
      -- What objects were like when they were applied or compared, so that the next server need not compare them. It may be lost.
      CREATE TABLE object_marks (
        service text NOT NULL,
        environment text NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (service, environment)
      );
    `,
  },
];

export async function migrateDrift(database: Database): Promise<void> {
  await migrate(database, 'drift', driftMigrations);
}

/** Number of the newest entry of the audit log: what is read from there on is new. */
export async function newestEntry(connection: Connection): Promise<number> {
  const [row] = await connection.query<{ number: number }>(
    'SELECT coalesce(max(number), 0)::bigint AS number FROM audit_entries',
  );
  return row?.number ?? 0;
}

/** How a service in an environment differed from its release when it was last looked at; undefined where it did not. */
export async function readDrift(
  connection: Connection,
  service: Label,
  environment: string,
): Promise<Drift | undefined> {
  const [row] = await connection.query<{ body: string }>(
    'SELECT body FROM drifts WHERE service = $1 AND environment = $2',
    [service, environment],
  );
  return row === undefined ? undefined : (JSON.parse(row.body) as Drift);
}

/**
 * Writes down how it is now, with what is new of it in the audit log: found, put right, gone by itself, left.
 *
 * @param corrected objects that were put right just now
 * @param now milliseconds since the epoch
 * @throws ReleaseFault release/not-leader
 */
export async function writeDrift(
  database: Database,
  drift: Drift,
  corrected: readonly DriftedObject[],
  actor: Actor,
  now: number,
  lease?: LeaderLease,
): Promise<void> {
  const before = await readDrift(database, drift.service, drift.environment);
  const empty = drift.objects.length === 0 && Object.keys(drift.corrections).length === 0;
  if (corrected.length === 0 && (before === undefined ? empty : JSON.stringify(before) === JSON.stringify(drift)))
    return;
  await audited(database, now, async (connection, record) => {
    if (lease !== undefined) await requireLease(connection, lease);
    const was = await readDrift(connection, drift.service, drift.environment);
    if (empty) {
      const where = [drift.service, drift.environment];
      await connection.query('DELETE FROM drifts WHERE service = $1 AND environment = $2', where);
    } else {
      await connection.query(
        `INSERT INTO drifts (service, environment, body) VALUES ($1, $2, $3)
         ON CONFLICT (service, environment) DO UPDATE SET body = excluded.body`,
        [drift.service, drift.environment, JSON.stringify(drift)],
      );
    }
    for (const event of eventsBetween(was, drift, corrected, actor)) await record(event);
  });
}

function eventsBetween(
  was: Drift | undefined,
  is: Drift,
  corrected: readonly DriftedObject[],
  actor: Actor,
): AuditEvent[] {
  const subject = `${is.service} in ${is.environment}`;
  const keyOf = (object: DriftedObject) => objectKey(object, object.name);
  const earlier = new Map(was?.release === is.release ? was.objects.map((object) => [keyOf(object), object]) : []);
  const event = (action: string, { apiVersion, kind, name, change, fields, left }: DriftedObject): AuditEvent => ({
    ...actor,
    ...(left !== undefined && { why: left }),
    action,
    subject,
    after: { release: is.release, object: { apiVersion, kind, name }, change, fields },
  });
  const events: AuditEvent[] = [];
  for (const object of corrected) {
    // What was left before and is put right now was told of before.
    if (sameAs(earlier.get(keyOf(object)), object) === false) events.push(event('drift.found', object));
    events.push(event('drift.corrected', object));
  }
  for (const object of is.objects) {
    if (!sameAs(earlier.get(keyOf(object)), object) || earlier.get(keyOf(object))?.left !== object.left) {
      events.push(event('drift.found', object));
    }
  }
  const now = new Set([...is.objects, ...corrected].map(keyOf));
  for (const [key, object] of earlier)
    if (!now.has(key)) events.push(event('drift.gone', { ...object, left: undefined }));
  return events;
}

function sameAs(a: DriftedObject | undefined, b: DriftedObject): boolean {
  return a !== undefined && a.change === b.change && JSON.stringify(a.fields) === JSON.stringify(b.fields);
}
