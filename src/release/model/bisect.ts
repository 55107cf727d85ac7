import type { ReleaseRef } from './types.ts';

/** What somebody found of a release. One that can't be judged is skipped. */
export type Finding = 'good' | 'bad' | 'skip';

export interface Bisection {
  /** The release to try next; undefined where nothing is left to try. */
  readonly next?: ReleaseRef | undefined;
  /** The first bad one, or those that it may be where some were skipped; empty while it is looked for. */
  readonly culprits: readonly ReleaseRef[];
  /** Releases that are still in question, the first bad one among them. */
  readonly left: number;
  /** Tries until it is known, at most. */
  readonly steps: number;
}

/**
 * Which release to try next, to find the first that is bad.
 *
 * @param releases in any order
 * @param findings by release id; at least one good and one bad, the good ones before the bad ones
 * @returns undefined where the findings contradict each other, or leave no side
 */
export function bisect(releases: readonly ReleaseRef[], findings: ReadonlyMap<string, Finding>): Bisection | undefined {
  const ordered = releases.toSorted((a, b) => a.order - b.order);
  const orders = (finding: Finding) =>
    ordered.flatMap(({ id, order }) => (findings.get(id) === finding ? [order] : []));
  const good = Math.max(...orders('good'));
  const bad = Math.min(...orders('bad'));
  if (!Number.isFinite(good) || !Number.isFinite(bad) || good >= bad) return undefined;
  const suspects = ordered.filter(({ order }) => order > good && order <= bad);
  const open = suspects.filter(({ id }) => !findings.has(id));
  if (open.length === 0) return { culprits: suspects, left: suspects.length, steps: 0 };
  // The one nearest to the middle halves what is left, skipped ones or not.
  const middle = good + Math.floor((suspects.length - 1) / 2) + 1;
  const places = new Map(suspects.map(({ id }, index) => [id, good + 1 + index]));
  const distance = ({ id }: ReleaseRef) => Math.abs((places.get(id) ?? 0) - middle);
  const [next] = open.toSorted((a, b) => distance(a) - distance(b) || a.order - b.order);
  return { next, culprits: [], left: suspects.length, steps: Math.ceil(Math.log2(suspects.length)) };
}
