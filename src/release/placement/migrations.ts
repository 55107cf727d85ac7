import type { Migration } from '../../database/index.ts';

export const placementMigrations: readonly Migration[] = [
  {
    name: 'release-1',
    statements: `
      CREATE TABLE releases (
        id text PRIMARY KEY,
        service text NOT NULL,
        -- Its place among the service's releases, in the order in which they were first made.
        position integer NOT NULL CHECK (position > 0),
        reference text NOT NULL,
        commit_id text NOT NULL,
        authors text NOT NULL,
        made_at timestamptz(3) NOT NULL,
        UNIQUE (service, position)
      );

      CREATE TABLE placements (
        service text NOT NULL,
        environment text NOT NULL,
        PRIMARY KEY (service, environment)
      );

      CREATE TABLE rollouts (
        service text NOT NULL,
        environment text NOT NULL,
        id text NOT NULL,
        position integer NOT NULL,
        state text NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (service, environment, id),
        UNIQUE (service, environment, position),
        FOREIGN KEY (service, environment) REFERENCES placements
      );
      -- The model sees to it; should it ever be wrong, the database refuses.
      CREATE UNIQUE INDEX rollouts_one_active ON rollouts (service, environment)
        WHERE state IN ('applying', 'progressing', 'verifying');
      CREATE INDEX rollouts_open ON rollouts (environment)
        WHERE state IN ('planned', 'gated', 'applying', 'progressing', 'verifying');

      CREATE TABLE holds (
        service text NOT NULL,
        environment text NOT NULL,
        id text NOT NULL,
        position integer NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (service, environment, id),
        UNIQUE (service, environment, position),
        FOREIGN KEY (service, environment) REFERENCES placements
      );

      CREATE TABLE approvals (
        service text NOT NULL,
        environment text NOT NULL,
        position integer NOT NULL,
        release text NOT NULL REFERENCES releases,
        body text NOT NULL,
        PRIMARY KEY (service, environment, position)
      );

      CREATE TABLE leases (
        name text PRIMARY KEY,
        holder text NOT NULL,
        until timestamptz(3) NOT NULL,
        -- One more each time that another takes it.
        term bigint NOT NULL
      );
    `,
  },
  {
    name: 'release-2',
    statements: `
      ALTER TABLE releases ADD COLUMN kind text NOT NULL DEFAULT 'service' CHECK (kind IN ('service', 'infrastructure'));
      UPDATE releases SET kind = 'infrastructure' WHERE service LIKE '//platform/%' OR service LIKE '//platform:%';

      -- What the newest release of a service says of it.
      CREATE TABLE services (
        service text PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('service', 'infrastructure')),
        owner text,
        -- Labels of services that have to be healthy before it.
        needs text NOT NULL,
        newest text NOT NULL REFERENCES releases
      );
      INSERT INTO services (service, kind, needs, newest)
        SELECT DISTINCT ON (service) service, kind, '[]', id FROM releases ORDER BY service, position DESC;

      -- What a list shows of a placement, so that it reads one row for each. Written with every change of the placement; where summary
      -- is null, it was written before there was any.
      ALTER TABLE placements
        ADD COLUMN live text REFERENCES releases,
        ADD COLUMN state text NOT NULL DEFAULT 'absent',
        ADD COLUMN waits boolean NOT NULL DEFAULT false,
        ADD COLUMN held_until timestamptz(3),
        ADD COLUMN summary text;
      CREATE INDEX placements_by_environment ON placements (environment, service);
    `,
  },
  {
    name: 'release-3',
    statements: `
      -- The newest commit of the workspace that somebody told of.
      CREATE TABLE workspace (
        only_row boolean PRIMARY KEY CHECK (only_row),
        commit_id text NOT NULL,
        committed_at timestamptz(3) NOT NULL
      );
      -- The first commit that was told of without the service.
      ALTER TABLE services ADD COLUMN gone_commit text, ADD COLUMN gone_at timestamptz(3);
    `,
  },
];
