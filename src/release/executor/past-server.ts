import type { ServiceRecord } from '../cluster/record.ts';

/** Rollouts that one line names. */
const named = 5;

/**
 * What somebody did on the cluster past the server since the server last did something there: `banksman deploy` without it, say. The
 * cluster's record knows of it, the audit log does not; told as a note, it stands there too.
 *
 * @param mine ids of the server's own rollouts
 * @param id of the one that begins now
 * @returns one line for a person; undefined where there is nothing
 */
export function pastServer({ rollouts }: ServiceRecord, mine: ReadonlySet<string>, id: string): string | undefined {
  const earlier = rollouts.slice(
    0,
    rollouts.findIndex((each) => each.id === id),
  );
  const others = earlier.slice(earlier.findLastIndex((each) => mine.has(each.id)) + 1);
  if (others.length === 0) return undefined;
  const told = others
    .slice(-named)
    .map(
      ({ kind, release, by, startedAt, result }) =>
        `${kind} of ${release.slice(0, 12)} by ${by} at ${startedAt} (${result})`,
    );
  const more = others.length > named ? `, and ${others.length - named} before` : '';
  return `past the server, as the cluster's record has it: ${told.join('; ')}${more}`;
}
