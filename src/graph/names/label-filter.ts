import type { Target } from '../types.ts';

/** Which targets count by their labels (the free words), as in Please. */
export interface LabelFilter {
  /** One of these must fit; empty for any target. `a,b` fits a target with both labels. */
  readonly include: readonly string[];
  /** None of these may fit. */
  readonly exclude: readonly string[];
}

export function passesFilter({ labels }: Target, { include, exclude }: LabelFilter): boolean {
  const fits = (words: string) => words.split(',').every((word) => labels.includes(word.trim()));
  return (include.length === 0 || include.some(fits)) && !exclude.some(fits);
}
