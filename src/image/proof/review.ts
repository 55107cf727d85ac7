import { predicateTypes, type Statement } from './statement.ts';

/** Who approved a commit. docs/proof.md, "Reviews". */
export interface Review {
  /** Full id of the commit that was looked at, which is the one that was built. */
  readonly commit: string;
  /** Who wrote it, as the forge or server knows them. */
  readonly author: string;
  /** Who approved it, each once. */
  readonly approvers: readonly string[];
  /** Where to read it up. */
  readonly change?: string | undefined;
}

/** The statement of a review: its subject is the commit, not an image. */
export function reviewStatement({ commit, author, approvers, change }: Review): Statement {
  return {
    subject: [{ name: 'source', digest: { gitCommit: commit } }],
    predicateType: predicateTypes.review,
    predicate: { author, approvers: [...new Set(approvers)].sort(), ...(change !== undefined && { change }) },
  };
}

/** @returns undefined where the statement is no review of one commit */
export function readReview({ subject, predicateType, predicate }: Statement): Review | undefined {
  if (predicateType !== predicateTypes.review) return undefined;
  const [only, ...more] = subject;
  const commit = only?.digest?.gitCommit;
  if (commit === undefined || more.length > 0) return undefined;
  const { author, approvers, change } = predicate;
  if (typeof author !== 'string' || author === '') return undefined;
  if (!Array.isArray(approvers) || !approvers.every((each) => typeof each === 'string' && each !== ''))
    return undefined;
  return {
    commit,
    author,
    approvers: [...new Set(approvers as string[])],
    ...(typeof change === 'string' && { change }),
  };
}

/** Those who approved and are somebody else than the author. Names are compared without regard to the case of letters. */
export function otherEyes({ author, approvers }: Review): string[] {
  const seen = new Set([author.trim().toLowerCase()]);
  return approvers.filter((each) => {
    const name = each.trim().toLowerCase();
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}
