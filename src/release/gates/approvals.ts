import type { GateAnswer, ReleaseRef } from '../model/index.ts';
import { isSamePerson } from './person.ts';
import type { Approval } from './types.ts';

/**
 * Enough people have approved this release here. The author never counts; who asked for the rollout counts only beside another.
 * Approvals name a release by its content, so a new one has none.
 */
export function approved(
  gate: string,
  { count, role }: { readonly count: number; readonly role?: string },
  release: ReleaseRef,
  facts: {
    readonly approvals: readonly Approval[];
    readonly authors: readonly string[] | undefined;
    readonly requestedBy: string;
  },
): GateAnswer {
  const more = (number: number) =>
    `${number} more ${number === 1 ? 'approval' : 'approvals'}${role === undefined ? '' : ` of the role ${role}`}`;
  const { authors } = facts;
  if (authors === undefined || authors.length === 0) {
    return {
      gate,
      holds: false,
      reason: 'nobody knows who wrote this release',
      opens: 'a release that is made from a commit, without edits',
    };
  }
  const counted: Approval[] = [];
  for (const approval of lastWords(facts.approvals, release.id)) {
    if (approval.verdict !== 'approves') continue;
    if (role !== undefined && !approval.roles.includes(role)) continue;
    if (authors.some((author) => isSamePerson(author, approval.by))) continue;
    counted.push(approval);
  }
  const names = counted.map(({ by }) => by).join(', ');
  const others = counted.filter(({ by }) => !isSamePerson(by, facts.requestedBy));
  if (counted.length >= count && others.length > 0) {
    const times = counted.map(({ at }) => at).sort((a, b) => a - b);
    const first = Math.min(...others.map(({ at }) => at));
    return { gate, holds: true, reason: `approved by ${names}`, since: Math.max(times[count - 1] ?? first, first) };
  }
  const have = `${counted.length} of ${count} approvals${names === '' ? '' : ` (${names})`}`;
  if (counted.length >= count) {
    return {
      gate,
      holds: false,
      reason: `${have}, but none of another than who asked for it`,
      opens: `${more(1)}, neither of the author nor of ${facts.requestedBy}`,
    };
  }
  return {
    gate,
    holds: false,
    reason: have,
    opens: `${more(count - counted.length)}, not of the author: banksman approve`,
  };
}

/** What each person said last of the release. */
function lastWords(approvals: readonly Approval[], release: string): readonly Approval[] {
  const last: Approval[] = [];
  for (const approval of approvals) {
    if (approval.release !== release) continue;
    const index = last.findIndex(({ by }) => isSamePerson(by, approval.by));
    if (index === -1) last.push(approval);
    else if (approval.at >= last[index]!.at) last[index] = approval;
  }
  return last.toSorted((a, b) => a.at - b.at);
}
