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

/** Writes what differs. Nothing is ever deleted, and what has a place keeps it. */
export async function writePlacement(connection: Connection, before: Placement, after: Placement): Promise<void> {
  const { service, environment } = after;
  await writeSummary(connection, after);
  // Those that end come first: the index lets one be active.
  const changed = after.rollouts
    .map((rollout, position) => ({ rollout, position, is: JSON.stringify(rollout) }))
    .filter(({ position, is }) => is !== JSON.stringify(before.rollouts[position]))
    .toSorted((a, b) => Number(isActive(a.rollout)) - Number(isActive(b.rollout)));
  for (const { rollout, position, is } of changed) {
    await connection.query(
      `INSERT INTO rollouts (service, environment, id, position, state, body) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (service, environment, id) DO UPDATE SET state = excluded.state, body = excluded.body`,
      [service, environment, rollout.id, position, rollout.state, is],
    );
  }
  for (const [position, hold] of after.holds.entries()) {
    const is = JSON.stringify(hold);
    if (is === JSON.stringify(before.holds[position])) continue;
    await connection.query(
      `INSERT INTO holds (service, environment, id, position, body) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (service, environment, id) DO UPDATE SET body = excluded.body`,
      [service, environment, hold.id, position, is],
    );
  }
}

async function writeSummary(connection: Connection, placement: Placement): Promise<void> {
  const { service, environment } = placement;
  const summary = summaryOf(placement);
  await connection.query(
    `INSERT INTO placements (service, environment, live, state, waits, held_until, summary) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (service, environment) DO UPDATE SET live = excluded.live, state = excluded.state, waits = excluded.waits,
       held_until = excluded.held_until, summary = excluded.summary`,
    [
      service,
      environment,
      summary.live?.state === 'removed' ? null : (summary.live?.release.id ?? null),
      summary.live?.state ?? 'absent',
      summary.open.some(isWaiting),
      heldUntil(summary) ?? null,
      JSON.stringify(summary),
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
        await writeSummary(connection, await readPlacement(connection, service, environment));
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
