import { type AuditEvent, type AuditLine, auditedTogether } from '../../audit/index.ts';
import { type Connection, type Database, DatabaseFault } from '../../database/index.ts';
import type { Label } from '../../graph/index.ts';
import { ReleaseFault } from '../fault.ts';
import { advance, emptyPlacement, type Happening, type Outcome, type Placement } from '../model/index.ts';
import type { Actor } from './known.ts';
import { type LeaderLease, requireLease } from './lease.ts';
import { type Place, placeKey, readPlaces, writePlacements } from './rows.ts';
import { type Done, mostTogether, together } from './together.ts';

/** Something that happened in a place, and who says so. */
export interface Told extends Place {
  readonly happening: Happening;
  readonly actor: Actor;
  /** Where only the leader may say so. */
  readonly lease?: LeaderLease | undefined;
}

/** What came of it. */
export interface Came {
  readonly before: Placement;
  readonly outcome: Outcome;
}

/**
 * What happens in many places at about the same time is written in one transaction with its audit entries: one that is refused is left out
 * of it, and where all fail for one, each is tried alone.
 *
 * @param written called for each once it is written, in their order. It must not throw
 */
export function togetherIn(database: Database, written: (came: Came) => void): (told: Told) => Promise<Came> {
  const write = async (all: readonly Told[]) => {
    const done = await writeAll(database, all);
    for (const one of done) if ('value' in one) written(one.value);
    return done;
  };
  return together(async (all: readonly Told[]) => {
    try {
      return await write(all);
    } catch (error) {
      const isAway = error instanceof DatabaseFault && error.code === 'database/lost';
      if (all.length === 1 || isAway) throw error;
      const done: Done<Came>[] = [];
      for (const one of all) {
        done.push(
          await write([one]).then(
            ([only]) => only as Done<Came>,
            (error: unknown) => ({ error }),
          ),
        );
      }
      return done;
    }
  }, mostTogether);
}

async function writeAll(database: Database, all: readonly Told[]): Promise<readonly Done<Came>[]> {
  return await auditedTogether(database, async (connection, record) => {
    const lost = await lostLeases(connection, all);
    const known = await knownReleases(connection, all);
    const before = await readPlaces(connection, all);
    const now = new Map(before);
    const lines: AuditLine[] = [];
    const done = all.map(({ service, environment, happening, actor, lease }): Done<Came> => {
      const refused = lost.get(leaseKey(lease)) ?? unknownRelease(service, happening, known);
      if (refused !== undefined) return { error: refused };
      const place = { service, environment };
      const was = now.get(placeKey(place)) ?? emptyPlacement(service, environment);
      const outcome = advance(was, happening);
      if (JSON.stringify(outcome.placement) !== JSON.stringify(was)) {
        now.set(placeKey(place), outcome.placement);
        lines.push(...eventsBetween(was, outcome.placement, actor).map((event) => ({ event, at: happening.at })));
      }
      return { value: { before: was, outcome } };
    });
    const changed = [...now.values()].flatMap((after) => {
      const was = before.get(placeKey(after)) ?? emptyPlacement(after.service, after.environment);
      return was === after ? [] : [{ before: was, after }];
    });
    await writePlacements(connection, changed);
    await record(lines);
    return done;
  });
}

/** Leases that are held no more, each with how that is told. */
async function lostLeases(connection: Connection, all: readonly Told[]): Promise<ReadonlyMap<string, ReleaseFault>> {
  const leases = new Map(all.flatMap(({ lease }) => (lease === undefined ? [] : [[leaseKey(lease), lease] as const])));
  const lost = new Map<string, ReleaseFault>();
  for (const [key, lease] of leases) {
    await requireLease(connection, lease).catch((error: unknown) => {
      if (!(error instanceof ReleaseFault)) throw error;
      lost.set(key, error);
    });
  }
  return lost;
}

function leaseKey(lease: LeaderLease | undefined): string {
  return lease === undefined ? '' : `${lease.name} ${lease.holder} ${lease.term}`;
}

/** Those of the releases that are asked for that are known, by id. */
async function knownReleases(connection: Connection, all: readonly Told[]): Promise<ReadonlyMap<string, string>> {
  const ids = all.flatMap(({ happening }) => (happening.kind === 'plan' ? [happening.request.release.id] : []));
  if (ids.length === 0) return new Map();
  const rows = await connection.query<{ id: string; service: Label; position: number }>(
    'SELECT id, service, position FROM releases WHERE id = ANY($1)',
    [ids],
  );
  return new Map(rows.map(({ id, service, position }) => [id, `${position} ${service}`]));
}

/** Nothing is rolled out of which nobody knows what it is. */
function unknownRelease(
  service: Label,
  happening: Happening,
  known: ReadonlyMap<string, string>,
): ReleaseFault | undefined {
  if (happening.kind !== 'plan') return undefined;
  const { id, order } = happening.request.release;
  if (known.get(id) === `${order} ${service}`) return undefined;
  return new ReleaseFault('release/unknown-release', `${service} has no release ${id.slice(0, 19)} at place ${order}`, {
    next: 'make it with `banksman release`',
  });
}

export function subjectOf(service: Label, environment: string): string {
  return `${service} in ${environment}`;
}

/** What a change is in the audit log: one entry for each rollout that changed its state, and each hold that began or ended. */
function eventsBetween(before: Placement, after: Placement, actor: Actor): AuditEvent[] {
  const subject = subjectOf(after.service, after.environment);
  const events: AuditEvent[] = [];
  for (const [index, rollout] of after.rollouts.entries()) {
    const was = before.rollouts[index];
    const { id, state, kind, by, release, emergency, deletes, replacedBy, trace } = rollout;
    // A rollout may go through several states at once; each is told.
    for (const step of rollout.steps.slice(was?.steps.length ?? 0)) {
      events.push({
        ...actor,
        why: step.why ?? actor.why,
        action: `rollout.${step.state}`,
        subject,
        ...(was !== undefined && { before: { state: was.state } }),
        after: {
          rollout: id,
          release: release.id,
          kind,
          by,
          ...(emergency !== undefined && { emergency }),
          ...(deletes !== undefined && { deletes }),
          ...(replacedBy !== undefined && { replacedBy }),
          ...(trace !== undefined && { trace }),
          ...(step.stage !== undefined && { stage: step.stage }),
          ...(step.state === 'applying' &&
            state === 'applying' &&
            was?.started === undefined && { gates: rollout.answers }),
        },
      });
    }
  }
  for (const [index, { id, release, notes = [] }] of after.rollouts.entries()) {
    for (const { text } of notes.slice(before.rollouts[index]?.notes?.length ?? 0)) {
      events.push({
        ...actor,
        why: text,
        action: 'rollout.note',
        subject,
        after: { rollout: id, release: release.id },
      });
    }
  }
  for (const [index, hold] of after.holds.entries()) {
    const was = before.holds[index];
    if (was === undefined) events.push({ ...actor, why: hold.why, action: 'hold.begin', subject, after: hold });
    else if (was.ended === undefined && hold.ended !== undefined) {
      events.push({ ...actor, why: hold.ended.why, action: 'hold.end', subject, before: was, after: hold });
    }
  }
  return events;
}
