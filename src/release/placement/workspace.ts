import { audited } from '../../audit/index.ts';
import type { Database } from '../../database/index.ts';
import type { Label } from '../../graph/index.ts';
import type { Time } from '../model/index.ts';
import type { Actor } from './known.ts';

/** What somebody saw of the workspace at a commit: which of the services that are known it has. */
export interface Sighting {
  readonly commit: string;
  /** When the commit was made: what is told late of an earlier one counts no more. */
  readonly committedAt: Time;
  /** Known services that it does not have. */
  readonly gone: readonly Label[];
  /** Known services that it has, though they were told to be gone. */
  readonly there: readonly Label[];
}

/**
 * Writes down which services the workspace has no more, and since which commit. That deletes nothing anywhere: nobody can know whether
 * it was meant.
 *
 * @param now milliseconds since the epoch
 * @returns services about which something is new
 */
export async function tellSighting(
  database: Database,
  { commit, committedAt, gone, there }: Sighting,
  actor: Actor,
  now: Time,
): Promise<readonly Label[]> {
  return await audited(database, now, async (connection, record) => {
    const at = new Date(committedAt).toISOString();
    const newest = await connection.query(
      `INSERT INTO workspace (only_row, commit_id, committed_at) VALUES (true, $1, $2)
       ON CONFLICT (only_row) DO UPDATE SET commit_id = excluded.commit_id, committed_at = excluded.committed_at
       WHERE workspace.committed_at <= excluded.committed_at RETURNING 1`,
      [commit, at],
    );
    if (newest.length === 0) return [];
    const left = await connection.query<{ service: Label }>(
      `UPDATE services SET gone_commit = $1, gone_at = $2 WHERE service = ANY($3) AND gone_commit IS NULL RETURNING service`,
      [commit, at, gone],
    );
    const back = await connection.query<{ service: Label }>(
      'UPDATE services SET gone_commit = NULL, gone_at = NULL WHERE service = ANY($1) AND gone_commit IS NOT NULL RETURNING service',
      [there],
    );
    for (const { service } of left)
      await record({ ...actor, action: 'service.gone', subject: service, after: { commit } });
    for (const { service } of back)
      await record({ ...actor, action: 'service.back', subject: service, after: { commit } });
    return [...left, ...back].map(({ service }) => service);
  });
}
