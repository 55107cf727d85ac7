import { createHash } from 'node:crypto';
import { audited } from '../../audit/index.ts';
import { type Connection, type Database, type Migration, migrate } from '../../database/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import { ReleaseFault } from '../fault.ts';
import { type EmergencyReview, isSamePerson, type ProvenanceVerdict, type TestProof } from '../gates/index.ts';
import { findRollout } from '../model/index.ts';
import type { Actor, KnownRelease } from './known.ts';
import { readPlacement } from './rows.ts';

const factMigrations: readonly Migration[] = [
  {
    name: 'facts-1',
    statements: `
      -- One row for each report: what a run of tests found on the sources of a release.
      CREATE TABLE test_reports (
        release text NOT NULL REFERENCES releases,
        position integer NOT NULL CHECK (position > 0),
        body text NOT NULL,
        PRIMARY KEY (release, position)
      );

      CREATE TABLE emergency_reviews (
        service text NOT NULL,
        environment text NOT NULL,
        rollout text NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (service, environment, rollout),
        FOREIGN KEY (service, environment, rollout) REFERENCES rollouts (service, environment, id)
      );

      -- One row for each time that the answer changed.
      CREATE TABLE provenance_verdicts (
        release text NOT NULL REFERENCES releases,
        environment text NOT NULL,
        position integer NOT NULL CHECK (position > 0),
        body text NOT NULL,
        PRIMARY KEY (release, environment, position)
      );
    `,
  },
];

/** What a run of tests found on the sources of one commit. */
export interface TestReport {
  /** Id of the release. */
  readonly release: string;
  /** What the tests ran on: it must be that of the release. */
  readonly commit: string;
  /** The machine or the run that they ran on. */
  readonly where: string;
  /** Who reports it. */
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly tests: readonly { readonly target: Label; readonly passed: boolean }[];
}

/** Whether a release's images fulfil an environment's policy. Undefined where the environment has none. */
export type CheckProvenance = (
  environment: Environment,
  release: KnownRelease,
  signal?: AbortSignal,
) => Promise<Omit<ProvenanceVerdict, 'at'> | undefined>;

/** What gates are judged by, beside placements and approvals. Nothing of it is ever changed or deleted. */
export interface FactStore {
  /** @throws ReleaseFault release/unknown-release, release/other-commit */
  reportTests(report: TestReport, actor: Actor): Promise<void>;
  testReports(release: string): Promise<readonly TestReport[]>;
  /**
   * A second person has looked at an emergency. The first review stands.
   *
   * @throws ReleaseFault release/no-emergency, release/same-person
   */
  reviewEmergency(service: Label, environment: string, review: EmergencyReview, actor: Actor): Promise<EmergencyReview>;
  emergencyReviews(service: Label, environment: string): Promise<readonly EmergencyReview[]>;
  /** Releases that were made at a commit, sorted by service. */
  releasesAt(commit: string): Promise<readonly KnownRelease[]>;
  /** How a release stands to the environment's policy now, and since when. Undefined where nobody can say. */
  provenance(
    environment: Environment,
    release: KnownRelease,
    now: number,
    signal?: AbortSignal,
  ): Promise<ProvenanceVerdict | undefined>;
  /** Every answer that was given of a release in an environment. */
  provenanceVerdicts(environment: string, release: string): Promise<readonly ProvenanceVerdict[]>;
}

/** Sum of a report's results, under which the audit log names them. */
export function sumOfTests(tests: TestReport['tests']): string {
  const lines = tests.map(({ target, passed }) => `${target} ${passed ? 'passed' : 'failed'}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex');
}

/** The proofs in reports, for the gate. */
export function testProofs(reports: readonly TestReport[]): readonly TestProof[] {
  return reports.flatMap(({ release, at, tests }) =>
    tests.map(({ target, passed }) => ({ release, target, passed, at })),
  );
}

export async function migrateFacts(database: Database): Promise<void> {
  await migrate(database, 'facts', factMigrations);
}

/**
 * @param releasesWhere reads releases out of the database by a condition on one value
 * @param check asks the registry; nothing is known of provenance without it
 */
export function openFacts(
  database: Database,
  releasesWhere: (connection: Connection, condition: string, value: string) => Promise<readonly KnownRelease[]>,
  check: CheckProvenance | undefined,
): FactStore {
  const testReports = async (connection: Connection, release: string) => {
    const rows = await connection.query<{ body: string }>(
      'SELECT body FROM test_reports WHERE release = $1 ORDER BY position',
      [release],
    );
    return rows.map(({ body }) => JSON.parse(body) as TestReport);
  };
  const verdicts = async (connection: Connection, environment: string, release: string) => {
    const rows = await connection.query<{ body: string }>(
      'SELECT body FROM provenance_verdicts WHERE release = $1 AND environment = $2 ORDER BY position',
      [release, environment],
    );
    return rows.map(({ body }) => JSON.parse(body) as ProvenanceVerdict);
  };
  return {
    testReports: (release) => testReports(database, release),
    reportTests: (report, actor) =>
      audited(database, report.at, async (connection, record) => {
        const { release, commit, where, tests } = report;
        const [known] = await releasesWhere(connection, 'id = $1', release);
        if (known === undefined) {
          throw new ReleaseFault('release/unknown-release', `there is no release ${release}`, {
            next: 'make it with `banksman release`',
          });
        }
        if (known.commit !== commit) {
          throw new ReleaseFault(
            'release/other-commit',
            `the tests ran on commit ${commit.slice(0, 12)}, and the release is of ${known.commit.slice(0, 12)}`,
            { next: 'run them on the commit of the release' },
          );
        }
        const earlier = await testReports(connection, release);
        await connection.query('INSERT INTO test_reports (release, position, body) VALUES ($1, $2, $3)', [
          release,
          earlier.length + 1,
          JSON.stringify(report),
        ]);
        const failed = tests.filter(({ passed }) => !passed).map(({ target }) => target);
        await record({
          ...actor,
          action: 'test.report',
          subject: known.service,
          after: {
            release,
            commit,
            where,
            report: earlier.length + 1,
            tests: tests.length,
            failed: failed.slice(0, 20),
            results: sumOfTests(tests),
          },
        });
      }),
    reviewEmergency: (service, environment, review, actor) =>
      audited(database, review.at, async (connection, record) => {
        const placement = await readPlacement(connection, service, environment);
        const rollout = findRollout(placement, review.rollout);
        if (rollout?.emergency === undefined || rollout.started === undefined) {
          throw new ReleaseFault(
            'release/no-emergency',
            rollout === undefined
              ? `${service} has no rollout ${review.rollout} in ${environment}`
              : `rollout ${review.rollout} went past no gate`,
            { next: `banksman review-emergency ${service} --env ${environment} lists those that wait for a review` },
          );
        }
        if (isSamePerson(rollout.by, review.by)) {
          throw new ReleaseFault('release/same-person', `${review.by} asked for the emergency`, {
            next: 'let a second person look at it',
          });
        }
        const [known] = await connection.query<{ body: string }>(
          'SELECT body FROM emergency_reviews WHERE service = $1 AND environment = $2 AND rollout = $3',
          [service, environment, review.rollout],
        );
        if (known !== undefined) return JSON.parse(known.body) as EmergencyReview;
        await connection.query(
          'INSERT INTO emergency_reviews (service, environment, rollout, body) VALUES ($1, $2, $3, $4)',
          [service, environment, review.rollout, JSON.stringify(review)],
        );
        await record({
          ...actor,
          why: review.why,
          action: 'emergency.review',
          subject: `${service} in ${environment}`,
          after: { rollout: review.rollout, release: rollout.release.id, by: rollout.by, emergency: rollout.emergency },
        });
        return review;
      }),
    async emergencyReviews(service, environment) {
      const rows = await database.query<{ body: string }>(
        'SELECT body FROM emergency_reviews WHERE service = $1 AND environment = $2 ORDER BY rollout',
        [service, environment],
      );
      return rows.map(({ body }) => JSON.parse(body) as EmergencyReview);
    },
    releasesAt: (commit) => releasesWhere(database, 'commit_id = $1', commit),
    async provenance(environment, release, now, signal) {
      const found = await check?.(environment, release, signal);
      if (found === undefined) return undefined;
      const so = (await verdicts(database, environment.name, release.id)).at(-1);
      if (isSame(so, found)) return so;
      return await audited(database, now, async (connection, record) => {
        const all = await verdicts(connection, environment.name, release.id);
        const last = all.at(-1);
        if (isSame(last, found)) return last;
        const verdict: ProvenanceVerdict = { ...found, at: now };
        await connection.query(
          'INSERT INTO provenance_verdicts (release, environment, position, body) VALUES ($1, $2, $3, $4)',
          [release.id, environment.name, all.length + 1, JSON.stringify(verdict)],
        );
        await record({
          who: 'banksman',
          source: 'policy',
          action: found.verified ? 'provenance.pass' : 'provenance.refuse',
          subject: `${release.service} in ${environment.name}`,
          after: found,
        });
        return verdict;
      });
    },
    provenanceVerdicts: (environment, release) => verdicts(database, environment, release),
  };
}

function isSame(so: ProvenanceVerdict | undefined, found: Omit<ProvenanceVerdict, 'at'>): so is ProvenanceVerdict {
  return (
    so !== undefined &&
    so.policy === found.policy &&
    so.policySum === found.policySum &&
    so.verified === found.verified &&
    so.reason === found.reason
  );
}
