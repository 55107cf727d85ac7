import type { Connection, Value } from '../../database/index.ts';
import type { Label } from '../../graph/index.ts';
import type { ReleaseKind } from '../kind.ts';
import type { ReleaseRef, Rollout, RolloutState, Time } from '../model/index.ts';
import type { LabelFilter } from './pattern.ts';
import { parseRollout, parseSummary } from './rows.ts';
import type { PlacementSummary } from './summary.ts';

/** Which services, and how many of them. */
export interface ServiceFilter {
  /** Services after this one, in the order of their labels. */
  readonly after?: string | undefined;
  readonly limit: number;
  readonly kind?: ReleaseKind | undefined;
  readonly owner?: string | undefined;
  readonly labels?: LabelFilter | undefined;
}

export interface PlacementFilter extends ServiceFilter {
  /** Of the rollout whose objects are in the cluster; `absent` where none ever was. */
  readonly state?: RolloutState | 'absent' | undefined;
  /** Only where a rollout is under way or waits, or only where none is. */
  readonly open?: boolean | undefined;
  /** Only where automatic rollouts are held at this time. */
  readonly heldAt?: Time | undefined;
}

/** A release as lists show it. */
export interface ListedRelease extends ReleaseRef {
  readonly commit: string;
  /** Milliseconds since the epoch. */
  readonly madeAt: Time;
}

export interface ListedService {
  readonly service: Label;
  readonly kind: ReleaseKind;
  readonly owner?: string | undefined;
  readonly newest: ListedRelease;
  /** Where the workspace does not have it any more: the first commit of which that was told, and its time. */
  readonly gone?: { readonly commit: string; readonly at: Time } | undefined;
}

export interface ListedPlacement {
  readonly summary: PlacementSummary;
  /** The release whose objects are in the cluster. */
  readonly live?: ListedRelease | undefined;
}

interface ServiceRow {
  readonly service: Label;
  readonly kind: ReleaseKind;
  readonly owner: string | null;
  readonly newest: string;
  readonly newest_position: number;
  readonly newest_commit: string;
  readonly newest_made: Date;
  readonly gone_commit: string | null;
  readonly gone_at: Date | null;
}

interface PlacementRow {
  readonly summary: string | null;
  readonly live: string | null;
  readonly live_position: number | null;
  readonly live_commit: string | null;
  readonly live_made: Date | null;
}

const serviceColumns = `s.service, s.kind, s.owner, s.newest, n.position AS newest_position, n.commit_id AS newest_commit,
  n.made_at AS newest_made, s.gone_commit, s.gone_at`;
const placementColumns = `p.summary, p.live, l.position AS live_position, l.commit_id AS live_commit, l.made_at AS live_made`;

/** Every service in every environment where it was ever asked for. */
export async function listPlaces(
  connection: Connection,
): Promise<readonly { readonly service: Label; readonly environment: string }[]> {
  return await connection.query('SELECT service, environment FROM placements ORDER BY service, environment');
}

/** Services in the order of their labels, with how each is in one environment: one row is read for each. */
export async function listPlacements(
  connection: Connection,
  environment: string,
  filter: PlacementFilter,
): Promise<readonly (ListedService & ListedPlacement)[]> {
  const { where, values } = conditions(filter, [environment]);
  const add = (condition: (place: string) => string, value: Value) => {
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  const { state, open, heldAt } = filter;
  if (state !== undefined) add((place) => `coalesce(p.state, 'absent') = ${place}`, state);
  if (open !== undefined) {
    const isOpen = `(coalesce(p.waits, false) OR coalesce(p.state, 'absent') IN ('applying', 'progressing', 'verifying'))`;
    where.push(open ? isOpen : `NOT ${isOpen}`);
  }
  if (heldAt !== undefined) add((place) => `p.held_until > ${place}::timestamptz`, new Date(heldAt).toISOString());
  values.push(filter.limit);
  const rows = await connection.query<ServiceRow & PlacementRow>(
    `SELECT ${serviceColumns}, ${placementColumns}
     FROM services s
     JOIN releases n ON n.id = s.newest
     LEFT JOIN placements p ON p.service = s.service AND p.environment = $1
     LEFT JOIN releases l ON l.id = p.live
     WHERE ${where.join(' AND ')}
     ORDER BY s.service LIMIT $${values.length}`,
    values,
  );
  return rows.map((row) => ({ ...asService(row), ...asPlacement(row, `${row.service} in ${environment}`) }));
}

/** Services in the order of their labels, with how each is in every environment that knows it. */
export async function listServices(
  connection: Connection,
  filter: ServiceFilter,
): Promise<readonly (ListedService & { readonly placements: ReadonlyMap<string, ListedPlacement> })[]> {
  const { where, values } = conditions(filter, []);
  values.push(filter.limit);
  const rows = await connection.query<ServiceRow & PlacementRow & { environment: string | null }>(
    `WITH page AS (
       SELECT s.* FROM services s WHERE ${where.join(' AND ')} ORDER BY s.service LIMIT $${values.length}
     )
     SELECT ${serviceColumns}, p.environment, ${placementColumns}
     FROM page s
     JOIN releases n ON n.id = s.newest
     LEFT JOIN placements p ON p.service = s.service
     LEFT JOIN releases l ON l.id = p.live
     ORDER BY s.service, p.environment`,
    values,
  );
  const services = new Map<Label, ListedService & { readonly placements: Map<string, ListedPlacement> }>();
  for (const row of rows) {
    const { service, environment } = row;
    const known = services.get(service) ?? { ...asService(row), placements: new Map() };
    services.set(service, known);
    if (environment === null) continue;
    known.placements.set(environment, asPlacement(row, `${service} in ${environment}`));
  }
  return [...services.values()];
}

/** A service that has a release; undefined where none is known. */
export async function findListed(connection: Connection, service: Label): Promise<ListedService | undefined> {
  const filter = { limit: 1, labels: { exact: [service], beginnings: [] } };
  const { where, values } = conditions(filter, []);
  const [row] = await connection.query<ServiceRow>(
    `SELECT ${serviceColumns} FROM services s JOIN releases n ON n.id = s.newest WHERE ${where.join(' AND ')}`,
    values,
  );
  return row === undefined ? undefined : asService(row);
}

/** Services that each service needs, as its newest release says. */
export async function listNeeds(connection: Connection): Promise<ReadonlyMap<Label, readonly Label[]>> {
  const rows = await connection.query<{ service: Label; needs: string }>('SELECT service, needs FROM services');
  return new Map(rows.map(({ service, needs }) => [service, JSON.parse(needs) as Label[]]));
}

export interface PastRollout {
  /** Its place in the placement. */
  readonly position: number;
  readonly rollout: Rollout;
  readonly commit?: string | undefined;
  readonly authors?: readonly string[] | undefined;
}

/** Rollouts of a placement, the newest first. @param before only those with a lower place */
export async function listRollouts(
  connection: Connection,
  service: Label,
  environment: string,
  { before, limit }: { readonly before?: number | undefined; readonly limit: number },
): Promise<readonly PastRollout[]> {
  const rows = await connection.query<{
    position: number;
    body: string;
    commit_id: string | null;
    authors: string | null;
  }>(
    `SELECT r.position, r.body, k.commit_id, k.authors
     FROM (SELECT position, body FROM rollouts
           WHERE service = $1 AND environment = $2 AND ($3::integer IS NULL OR position < $3)
           ORDER BY position DESC LIMIT $4) r
     LEFT JOIN releases k ON k.id = r.body::json #>> '{release,id}'
     ORDER BY r.position DESC`,
    [service, environment, before ?? null, limit],
  );
  return rows.map(({ position, body, commit_id, authors }) => ({
    position,
    rollout: parseRollout(body, `${service} in ${environment}`),
    ...(commit_id !== null && { commit: commit_id }),
    ...(authors !== null && { authors: JSON.parse(authors) as string[] }),
  }));
}

function conditions(
  { after, kind, owner, labels }: ServiceFilter,
  before: readonly Value[],
): { readonly where: string[]; readonly values: Value[] } {
  const where = ['true'];
  const values = [...before];
  const add = (condition: (place: string) => string, value: Value) => {
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  if (after !== undefined) add((place) => `s.service > ${place}`, after);
  if (kind !== undefined) add((place) => `s.kind = ${place}`, kind);
  if (owner !== undefined) add((place) => `s.owner = ${place}`, owner);
  if (labels !== undefined) {
    const { exact, beginnings } = labels;
    values.push(exact, beginnings);
    const [e, b] = [values.length - 1, values.length];
    where.push(
      `(s.service = ANY($${e}::text[]) OR EXISTS (SELECT 1 FROM unnest($${b}::text[]) AS each WHERE starts_with(s.service, each)))`,
    );
  }
  return { where, values };
}

function asService(row: ServiceRow): ListedService {
  const { service, kind, owner, newest, newest_position, newest_commit, newest_made, gone_commit, gone_at } = row;
  return {
    service,
    kind,
    ...(owner !== null && { owner }),
    newest: { id: newest, order: newest_position, commit: newest_commit, madeAt: newest_made.getTime() },
    ...(gone_commit !== null && gone_at !== null && { gone: { commit: gone_commit, at: gone_at.getTime() } }),
  };
}

function asPlacement(
  { summary, live, live_position, live_commit, live_made }: PlacementRow,
  name: string,
): ListedPlacement {
  const known = live !== null && live_position !== null && live_commit !== null && live_made !== null;
  return {
    summary: summary === null ? { open: [], holds: [] } : parseSummary(summary, name),
    ...(known && { live: { id: live, order: live_position, commit: live_commit, madeAt: live_made.getTime() } }),
  };
}
