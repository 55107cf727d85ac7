import type { Migration } from '../database/index.ts';

/** One transaction at a time writes to the log, and holds this. Whoever only appends can lock it, and not the log. */
export const lockTable = 'audit_lock';

export const auditMigrations: readonly Migration[] = [
  {
    name: 'audit-1',
    statements: `
      CREATE TABLE audit_lock (one boolean PRIMARY KEY DEFAULT true CHECK (one));

      CREATE TABLE audit_entries (
        number bigint PRIMARY KEY CHECK (number > 0),
        at timestamptz(3) NOT NULL,
        who text NOT NULL,
        action text NOT NULL,
        subject text NOT NULL,
        body text NOT NULL,
        previous text NOT NULL UNIQUE,
        hash text NOT NULL UNIQUE
      );
      CREATE INDEX audit_entries_subject ON audit_entries (subject, number);
      CREATE INDEX audit_entries_who ON audit_entries (who, number);

      CREATE TABLE audit_checkpoints (
        number bigint PRIMARY KEY,
        at timestamptz(3) NOT NULL,
        checkpoint text NOT NULL
      );

      -- For everybody, the owner included: an edit needs a visible change of the database's form first.
      CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
      BEGIN
        RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
      END
      $body$;
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
        FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
    `,
  },
];

/**
 * Statements that give a role of the database what writing to the log needs, and no more: it can add to the log and read it. For
 * whoever administers the database; the server's own role is neither owner nor superuser.
 *
 * @param role a plain name
 * @throws Error where the name is none
 */
export function grantsFor(role: string): string {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(role)) throw new Error(`${JSON.stringify(role)} is no plain name of a role`);
  return `
    REVOKE ALL ON audit_entries, audit_checkpoints, audit_lock FROM ${role};
    GRANT SELECT, INSERT ON audit_entries, audit_checkpoints TO ${role};
    GRANT SELECT, UPDATE ON audit_lock TO ${role};
    GRANT SELECT ON migrations TO ${role};
  `;
}
