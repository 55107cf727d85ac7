import { audited } from '../../audit/index.ts';
import { type Database, type Migration, migrate } from '../../database/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { Time, Train } from '../model/index.ts';
import type { Actor } from './known.ts';
import { type LeaderLease, requireLease } from './lease.ts';

/** A train that somebody has sent. */
export interface KnownTrain extends Train {
  readonly environment: string;
  readonly by: string;
  readonly why?: string | undefined;
  readonly startedAt: Time;
  /** When the last of its cars had arrived, failed or stayed. */
  readonly endedAt?: Time | undefined;
}

export type NewTrain = Omit<KnownTrain, 'endedAt'>;

/** Trains, in the database. Each change and its audit entry are one transaction. */
export interface TrainStore {
  /**
   * Sends a train: the leader asks for each of its cars when those before it have arrived. Sent twice under one id, it is sent once.
   *
   * @returns the train as it is known
   * @throws ReleaseFault release/train-known where the id is that of another one
   */
  startTrain(train: NewTrain, actor: Actor): Promise<KnownTrain>;
  train(id: string): Promise<KnownTrain | undefined>;
  /** The newest first. */
  trains(filter?: {
    readonly environment?: string | undefined;
    readonly open?: boolean | undefined;
  }): Promise<readonly KnownTrain[]>;
  /** No more of its cars will start. */
  endTrain(
    id: string,
    states: Readonly<Record<string, string>>,
    at: Time,
    actor: Actor,
    lease: LeaderLease,
  ): Promise<void>;
}

const migrations: readonly Migration[] = [
  {
    name: 'trains-1',
    statements: `
      CREATE TABLE trains (
        id text PRIMARY KEY,
        environment text NOT NULL,
        started_at timestamptz(3) NOT NULL,
        ended_at timestamptz(3),
        body text NOT NULL
      );
      CREATE INDEX trains_open ON trains (environment) WHERE ended_at IS NULL;
    `,
  },
];

export async function migrateTrains(database: Database): Promise<void> {
  await migrate(database, 'trains', migrations);
}

interface Row {
  readonly body: string;
  readonly ended_at: Date | null;
}

export function openTrains(database: Database, changed: () => void): TrainStore {
  return {
    async startTrain(train, actor) {
      const body = JSON.stringify(train);
      const known = await audited(database, train.startedAt, async (connection, record) => {
        const [same] = await connection.query<Row>('SELECT body, ended_at FROM trains WHERE id = $1', [train.id]);
        if (same !== undefined) return asTrain(same);
        await connection.query('INSERT INTO trains (id, environment, started_at, body) VALUES ($1, $2, $3, $4)', [
          train.id,
          train.environment,
          new Date(train.startedAt).toISOString(),
          body,
        ]);
        const { id, cars, environment } = train;
        const services = cars.map(({ service, release, after }) => ({ service, release: release.id, after }));
        await record({
          ...actor,
          action: 'train.start',
          subject: subjectOf(id, environment),
          after: { cars: services },
        });
        return train;
      });
      const sameCars = JSON.stringify(known.cars) === JSON.stringify(train.cars);
      if (!sameCars || known.environment !== train.environment || known.by !== train.by) {
        throw new ReleaseFault('release/train-known', `there is another train ${train.id}`, { next: 'take a new id' });
      }
      changed();
      return known;
    },
    async train(id) {
      const [row] = await database.query<Row>('SELECT body, ended_at FROM trains WHERE id = $1', [id]);
      return row === undefined ? undefined : asTrain(row);
    },
    async trains({ environment, open = false } = {}) {
      const rows = await database.query<Row>(
        `SELECT body, ended_at FROM trains
         WHERE ($1::text IS NULL OR environment = $1) AND (NOT $2 OR ended_at IS NULL)
         ORDER BY started_at DESC, id`,
        [environment ?? null, open],
      );
      return rows.map(asTrain);
    },
    async endTrain(id, states, at, actor, lease) {
      await audited(database, at, async (connection, record) => {
        await requireLease(connection, lease);
        const rows = await connection.query<{ environment: string }>(
          'UPDATE trains SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL RETURNING environment',
          [id, new Date(at).toISOString()],
        );
        const [row] = rows;
        if (row === undefined) return;
        await record({ ...actor, action: 'train.end', subject: subjectOf(id, row.environment), after: states });
      });
    },
  };
}

function subjectOf(id: string, environment: string): string {
  return `train ${id} in ${environment}`;
}

function asTrain({ body, ended_at }: Row): KnownTrain {
  return { ...(JSON.parse(body) as NewTrain), ...(ended_at !== null && { endedAt: ended_at.getTime() }) };
}
