import type { Connection, Database } from '../../database/index.ts';
import type { Label } from '../../graph/index.ts';
import { ReleaseFault } from '../fault.ts';
import { type Hold, isWaiting, type Placement, type Rollout, transitions } from '../model/index.ts';
import { heldUntil, type PlacementSummary, summaryOf } from './summary.ts';

/** A placement as the database has it; an empty one where it has none. */
export async function readPlacement(connection: Connection, service: Label, environment: string): Promise<Placement> {
  const where = [service, environment] as const;
  const rollouts = await connection.query<{ body: string }>(
    'SELECT body FROM rollouts WHERE service = $1 AND environment = $2 ORDER BY position',
    where as never,
  );
  const holds = await connection.query<{ body: string }>(
    'SELECT body FROM holds WHERE service = $1 AND environment = $2 ORDER BY position',
    where as never,
  );
  const name = `${service} in ${environment}`;
  return {
    service,
    environment,
    rollouts: rollouts.map(({ body }) => parse(body, isRollout, name)),
    holds: holds.map(({ body }) => parse(body, isHold, name)),
  };
}

/** A service in an environment. */
export interface Place {
  readonly service: Label;
  readonly environment: string;
}

export function placeKey({ service, environment }: Place): string {
  return `${service} in ${environment}`;
}

/** Placements by `placeKey`, each once; an empty one where the database has none. */
export async function readPlaces(
  connection: Connection,
  places: readonly Place[],
): Promise<ReadonlyMap<string, Placement>> {
  const found = new Map<string, Placement>();
  for (const [environment, inIt] of Map.groupBy(places, (place) => place.environment)) {
    const services = [...new Set(inIt.map(({ service }) => service))];
    for (const placement of (await readPlacements(connection, environment, services)).values()) {
      found.set(placeKey(placement), placement);
    }
  }
  return found;
}

/** Several services' placements in one environment. */
export async function readPlacements(
  connection: Connection,
  environment: string,
  services: readonly Label[],
): Promise<ReadonlyMap<Label, Placement>> {
  const rows = (table: 'rollouts' | 'holds') =>
    connection.query<{ service: Label; body: string }>(
      `SELECT service, body FROM ${table} WHERE environment = $1 AND service = ANY($2) ORDER BY service, position`,
      [environment, services],
    );
  const rollouts = Map.groupBy(await rows('rollouts'), ({ service }) => service);
  const holds = Map.groupBy(await rows('holds'), ({ service }) => service);
  return new Map(
    services.map((service) => {
      const name = `${service} in ${environment}`;
      const placement: Placement = {
        service,
        environment,
        rollouts: (rollouts.get(service) ?? []).map(({ body }) => parse(body, isRollout, name)),
        holds: (holds.get(service) ?? []).map(({ body }) => parse(body, isHold, name)),
      };
      return [service, placement];
    }),
  );
}

/** A placement before and after something happened. */
export interface Change {
  readonly before: Placement;
  readonly after: Placement;
}

/** Writes what differs, of different placements. Nothing is ever deleted, and what has a place keeps it. */
export async function writePlacements(connection: Connection, changed: readonly Change[]): Promise<void> {
  if (changed.length === 0) return;
  await writeSummaries(
    connection,
    changed.map(({ after }) => after),
  );
  const rollouts = changed.flatMap(({ before, after }) =>
    after.rollouts.flatMap((rollout, position) => {
      const is = JSON.stringify(rollout);
      return is === JSON.stringify(before.rollouts[position]) ? [] : [{ after, rollout, position, is }];
    }),
  );
  // Those that end come first: the index lets one be active.
  rollouts.sort((a, b) => Number(isActive(a.rollout)) - Number(isActive(b.rollout)));
  if (rollouts.length > 0) {
    await connection.query(
      `INSERT INTO rollouts (service, environment, id, position, state, body)
       SELECT service, environment, id, position::integer, state, body
       FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
         WITH ORDINALITY AS row (service, environment, id, position, state, body, place) ORDER BY place
       ON CONFLICT (service, environment, id) DO UPDATE SET state = excluded.state, body = excluded.body`,
      [
        rollouts.map(({ after }) => after.service),
        rollouts.map(({ after }) => after.environment),
        rollouts.map(({ rollout }) => rollout.id),
        rollouts.map(({ position }) => String(position)),
        rollouts.map(({ rollout }) => rollout.state),
        rollouts.map(({ is }) => is),
      ],
    );
  }
  const holds = changed.flatMap(({ before, after }) =>
    after.holds.flatMap((hold, position) => {
      const is = JSON.stringify(hold);
      return is === JSON.stringify(before.holds[position]) ? [] : [{ after, hold, position, is }];
    }),
  );
  if (holds.length === 0) return;
  await connection.query(
    `INSERT INTO holds (service, environment, id, position, body)
     SELECT service, environment, id, position::integer, body
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS row (service, environment, id, position, body)
     ON CONFLICT (service, environment, id) DO UPDATE SET body = excluded.body`,
    [
      holds.map(({ after }) => after.service),
      holds.map(({ after }) => after.environment),
      holds.map(({ hold }) => hold.id),
      holds.map(({ position }) => String(position)),
      holds.map(({ is }) => is),
    ],
  );
}

async function writeSummaries(connection: Connection, placements: readonly Placement[]): Promise<void> {
  const rows = placements.map((placement) => ({ placement, summary: summaryOf(placement) }));
  await connection.query(
    `INSERT INTO placements (service, environment, live, state, waits, held_until, summary)
     SELECT service, environment, nullif(live, ''), state, waits::boolean, nullif(held_until, '')::timestamptz, summary
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
       AS row (service, environment, live, state, waits, held_until, summary)
     ON CONFLICT (service, environment) DO UPDATE SET live = excluded.live, state = excluded.state, waits = excluded.waits,
       held_until = excluded.held_until, summary = excluded.summary`,
    [
      rows.map(({ placement }) => placement.service),
      rows.map(({ placement }) => placement.environment),
      rows.map(({ summary: { live } }) => (live === undefined || live.state === 'removed' ? '' : live.release.id)),
      rows.map(({ summary }) => summary.live?.state ?? 'absent'),
      rows.map(({ summary }) => String(summary.open.some(isWaiting))),
      rows.map(({ summary }) => heldUntil(summary) ?? ''),
      rows.map(({ summary }) => JSON.stringify(summary)),
    ],
  );
}

/** Writes what lists show of placements that an earlier version of this program has written. */
export async function writeMissingSummaries(database: Database): Promise<void> {
  for (;;) {
    const done = await database.transaction(async (connection) => {
      const rows = await connection.query<{ service: Label; environment: string }>(
        'SELECT service, environment FROM placements WHERE summary IS NULL ORDER BY service, environment LIMIT 100',
      );
      for (const { service, environment } of rows) {
        await writeSummaries(connection, [await readPlacement(connection, service, environment)]);
      }
      return rows.length < 100;
    }, 'placements');
    if (done) return;
  }
}

function isActive({ state }: Rollout): boolean {
  return state === 'applying' || state === 'progressing' || state === 'verifying';
}

function parse<Form>(body: string, isForm: (value: unknown) => value is Form, name: string): Form {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    value = undefined;
  }
  if (isForm(value)) return value;
  throw new ReleaseFault('release/bad-record', `the database's record of ${name} is not in its form`, {
    next: 'restore it from a backup; `banksman audit verify` shows whether the log is whole',
  });
}

export function parseRollout(body: string, name: string): Rollout {
  return parse(body, isRollout, name);
}

export function parseSummary(body: string, name: string): PlacementSummary {
  return parse(body, isSummary, name);
}

function isSummary(value: unknown): value is PlacementSummary {
  if (!isRecord(value) || !Array.isArray(value.open) || !Array.isArray(value.holds)) return false;
  return value.holds.every(isHold) && (value.live === undefined || isRecord(value.live)) && value.open.every(isRecord);
}

function isRollout(value: unknown): value is Rollout {
  if (!isRecord(value) || !isRecord(value.release) || !isRecord(value.terms)) return false;
  const { id, state, kind, by, due, steps, answers, gates } = value;
  return (
    [id, kind, by, value.release.id].every((text) => typeof text === 'string') &&
    typeof value.release.order === 'number' &&
    typeof due === 'number' &&
    typeof state === 'string' &&
    Object.hasOwn(transitions, state) &&
    [steps, answers, gates].every(Array.isArray)
  );
}

function isHold(value: unknown): value is Hold {
  if (!isRecord(value)) return false;
  return [value.id, value.by, value.why].every((text) => typeof text === 'string') && typeof value.at === 'number';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
