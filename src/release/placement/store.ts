import { audited, migrateAudit, newestEntry, readEntries } from '../../audit/index.ts';
import { type Connection, type Database, migrate, type Value } from '../../database/index.ts';
import type { Label } from '../../graph/index.ts';
import type { Approval } from '../gates/index.ts';
import { type ReleaseKind, usualKind } from '../kind.ts';
import { emptyPlacement, type Happening, type Outcome, type Placement } from '../model/index.ts';
import { type CheckProvenance, type FactStore, migrateFacts, openFacts } from './facts.ts';
import { subjectOf, togetherIn } from './happen.ts';
import type { Actor, KnownRelease, NewRelease } from './known.ts';
import type { LeaderLease } from './lease.ts';
import { placementMigrations } from './migrations.ts';
import { type Passage, passagesBetween } from './passage.ts';
import { type Place, placeKey, readPlacements, readPlaces, writeMissingSummaries } from './rows.ts';
import { mostTogether, together } from './together.ts';
import { asked, recordPassage } from './trace.ts';
import { migrateTrains, openTrains, type TrainStore } from './trains.ts';

/** Every service in every environment, in a database. Each change and its audit entry are one transaction. */
export interface PlacementStore extends FactStore, TrainStore {
  /** Makes a release known, and gives it its place. One that is known keeps its own. */
  addRelease(release: NewRelease, actor: Actor): Promise<KnownRelease>;
  /** A release by its id; undefined where it is not known. */
  release(id: string): Promise<KnownRelease | undefined>;
  /** The newest first. */
  releases(service: Label): Promise<readonly KnownRelease[]>;
  read(service: Label, environment: string): Promise<Placement>;
  readMany(environment: string, services: readonly Label[]): Promise<ReadonlyMap<Label, Placement>>;
  /** All services that a release was ever made of. */
  services(): Promise<readonly Label[]>;
  /** Placements that have a rollout which has not ended: what somebody has to work on. */
  open(): Promise<readonly { readonly service: Label; readonly environment: string }[]>;
  /**
   * Something has happened. Told twice, it changes nothing the second time.
   *
   * @param lease where only the leader may say so
   * @throws ReleaseFault release/not-leader; release/unknown-release where a release is asked for that is not known
   */
  happen(
    service: Label,
    environment: string,
    happening: Happening,
    actor: Actor,
    lease?: LeaderLease,
  ): Promise<Outcome>;
  /** Number of the newest entry of the audit log: a place from which `changes` goes on. */
  newest(): Promise<number>;
  /**
   * Where something was told after a place in the audit log, by this server or another one, other than by `source`.
   *
   * @returns `seen` is the place to go on from
   */
  changes(after: number, source: string): Promise<{ readonly seen: number; readonly places: readonly Changed[] }>;
  /** Calls the listener after each change that is made through this store by anybody but a leader. @returns how to end that */
  onChange(listener: (changed: Changed) => void): () => void;
  /** Calls the listener for each state that a rollout comes into, once that is written down. It must not throw. @returns how to end that */
  onPassage(listener: (passage: Passage) => void): () => void;
  approve(service: Label, environment: string, approval: Approval, actor: Actor): Promise<void>;
  approvals(service: Label, environment: string): Promise<readonly Approval[]>;
}

/** Where something has changed: a service in an environment, or, where that is left out, its releases; a train without a service. */
export interface Changed {
  readonly service?: Label | undefined;
  readonly environment?: string | undefined;
}

/**
 * Opens the store, and brings the database to the form that it needs.
 *
 * @param checkProvenance how a release is held against an environment's policy; no such gate opens without it
 */
export async function openPlacementStore(
  database: Database,
  checkProvenance?: CheckProvenance,
): Promise<PlacementStore> {
  await migrateAudit(database);
  await migrate(database, 'release', placementMigrations);
  await migrateFacts(database);
  await migrateTrains(database);
  await writeMissingSummaries(database);
  const read = together(async (places: readonly Place[]) => {
    const placements = await readPlaces(database, places);
    return places.map((place) => ({
      value: placements.get(placeKey(place)) ?? emptyPlacement(place.service, place.environment),
    }));
  }, mostTogether);
  const release = together(async (ids: readonly string[]) => {
    const known = new Map((await releasesWhere(database, 'id = ANY($1)', ids)).map((each) => [each.id, each]));
    return ids.map((id) => ({ value: known.get(id) }));
  }, mostTogether);
  const listeners = new Set<(changed: Changed) => void>();
  const passing = new Set<(passage: Passage) => void>();
  const happen = togetherIn(database, ({ before, outcome }) => {
    for (const passage of passagesBetween(before, outcome.placement)) {
      recordPassage(passage);
      for (const listener of passing) listener(passage);
    }
  });
  const notify = (service?: Label, environment?: string) => {
    for (const listener of listeners) listener({ service, environment });
  };
  return {
    ...openFacts(database, releasesWhere, checkProvenance),
    ...openTrains(database, () => notify()),
    newest: () => newestEntry(database),
    changes: (after, source) => changesAfter(database, after, source),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onPassage(listener) {
      passing.add(listener);
      return () => passing.delete(listener);
    },
    async addRelease(release, actor) {
      const known = await addRelease(database, release, actor);
      notify(release.service);
      return known;
    },
    release,
    releases: (service) => releasesOf(database, service),
    read: (service, environment) => read({ service, environment }),
    readMany: (environment, services) => readPlacements(database, environment, services),
    async services() {
      const rows = await database.query<{ service: Label }>('SELECT DISTINCT service FROM releases ORDER BY service');
      return rows.map(({ service }) => service);
    },
    async open() {
      return await database.query<{ service: Label; environment: string }>(
        `SELECT DISTINCT service, environment FROM rollouts
         WHERE state IN ('planned', 'gated', 'applying', 'progressing', 'verifying') ORDER BY service, environment`,
      );
    },
    async happen(service, environment, happening, actor, lease) {
      const { outcome } = await asked(service, environment, happening, (happening) =>
        happen({ service, environment, happening, actor, lease }),
      );
      if (lease === undefined) notify(service, environment);
      return outcome;
    },
    async approve(service, environment, approval, actor) {
      await audited(database, approval.at, async (connection, record) => {
        const [last] = await connection.query<{ position: number }>(
          'SELECT position FROM approvals WHERE service = $1 AND environment = $2 ORDER BY position DESC LIMIT 1',
          [service, environment],
        );
        await connection.query(
          'INSERT INTO approvals (service, environment, position, release, body) VALUES ($1, $2, $3, $4, $5)',
          [service, environment, (last?.position ?? 0) + 1, approval.release, JSON.stringify(approval)],
        );
        await record({
          ...actor,
          action: approval.verdict === 'approves' ? 'approval.give' : 'approval.withdraw',
          subject: subjectOf(service, environment),
          after: {
            release: approval.release,
            roles: approval.roles,
            ...(approval.rollout !== undefined && { rollout: approval.rollout }),
          },
        });
      });
      notify(service, environment);
    },
    async approvals(service, environment) {
      const rows = await database.query<{ body: string }>(
        'SELECT body FROM approvals WHERE service = $1 AND environment = $2 ORDER BY position',
        [service, environment],
      );
      return rows.map(({ body }) => JSON.parse(body) as Approval);
    },
  };
}

interface ReleaseRow {
  readonly id: string;
  readonly service: Label;
  readonly kind: ReleaseKind;
  readonly position: number;
  readonly reference: string;
  readonly commit_id: string;
  readonly authors: string;
  readonly made_at: Date;
}

const releaseColumns = 'id, service, kind, position, reference, commit_id, authors, made_at';

/** @param condition on `$1`, written here and nowhere else */
async function releasesWhere(
  connection: Connection,
  condition: string,
  value: Value,
): Promise<readonly KnownRelease[]> {
  const rows = await connection.query<ReleaseRow>(
    `SELECT ${releaseColumns} FROM releases WHERE ${condition} ORDER BY service, position`,
    [value],
  );
  return rows.map(asRelease);
}

async function releasesOf(connection: Connection, service: Label): Promise<readonly KnownRelease[]> {
  const rows = await connection.query<ReleaseRow>(
    `SELECT ${releaseColumns} FROM releases WHERE service = $1 ORDER BY position DESC`,
    [service],
  );
  return rows.map(asRelease);
}

async function addRelease(database: Database, release: NewRelease, actor: Actor): Promise<KnownRelease> {
  const {
    id,
    service,
    kind = usualKind(service),
    owner = null,
    needs = [],
    reference,
    commit,
    authors,
    madeAt,
  } = release;
  return await audited(database, madeAt, async (connection, record) => {
    const [known] = await connection.query<ReleaseRow>(`SELECT ${releaseColumns} FROM releases WHERE id = $1`, [id]);
    if (known !== undefined) return asRelease(known);
    const [last] = await connection.query<{ position: number }>(
      'SELECT position FROM releases WHERE service = $1 ORDER BY position DESC LIMIT 1',
      [service],
    );
    const order = (last?.position ?? 0) + 1;
    const time = new Date(madeAt).toISOString();
    await connection.query(`INSERT INTO releases (${releaseColumns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, [
      id,
      service,
      kind,
      order,
      reference,
      commit,
      JSON.stringify(authors),
      time,
    ]);
    await connection.query(
      `INSERT INTO services (service, kind, owner, needs, newest) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (service) DO UPDATE SET kind = excluded.kind, owner = excluded.owner, needs = excluded.needs, newest = excluded.newest,
         gone_commit = NULL, gone_at = NULL`,
      [service, kind, owner, JSON.stringify([...new Set(needs)].sort()), id],
    );
    await record({
      ...actor,
      action: 'release.make',
      subject: service,
      after: { id, order, kind, reference, commit, authors },
    });
    return { id, service, kind, order, reference, commit, authors, madeAt };
  });
}

function asRelease({ id, service, kind, position, reference, commit_id, authors, made_at }: ReleaseRow): KnownRelease {
  return {
    id,
    service,
    kind,
    order: position,
    reference,
    commit: commit_id,
    authors: JSON.parse(authors) as string[],
    madeAt: made_at.getTime(),
  };
}

async function changesAfter(database: Database, after: number, source: string) {
  const places = new Map<string, Changed>();
  let seen = after;
  for (;;) {
    const entries = await readEntries(database, { after: seen, limit: 500 });
    for (const { number, event } of entries) {
      seen = number;
      if (event.source === source) continue;
      const [subject = '', environment] = event.subject.split(' in ');
      if (subject.startsWith('//')) places.set(event.subject, { service: subject as Label, environment });
      else if (event.action === 'train.start') places.set(event.subject, {});
    }
    if (entries.length < 500) return { seen, places: [...places.values()] };
  }
}
