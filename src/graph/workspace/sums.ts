import { ArgumentFault, GraphFault } from '../fault.ts';

import type { SumAlgorithm } from '../types.ts';

/** Hexadecimal digits of the sums by which outputs may be locked. */
const digits: Readonly<Record<SumAlgorithm, number>> = {
  sha256: 64,
  sha1: 40,
  blake3: 64,
  crc32: 8,
  crc64: 16,
  xxhash: 16,
};

/** What counts where .plzconfig says nothing else, as in Please. */
export const usualSums: readonly SumAlgorithm[] = ['sha256', 'sha1', 'blake3'];

export function isSumAlgorithm(name: string): name is SumAlgorithm {
  return Object.hasOwn(digits, name);
}

/** Algorithms by which a sum of this many digits can have come to be. */
export function algorithmsOf(sum: string, allowed: readonly SumAlgorithm[]): SumAlgorithm[] {
  return allowed.filter((each) => digits[each] === sum.length);
}

/**
 * A sum in hex, as `sha256: 12ab...` or alone.
 *
 * @throws ArgumentFault where it is none that counts
 */
export function checkedSum(text: string, allowed: readonly SumAlgorithm[]): string {
  const [, name, sum = ''] = /^(?:([a-z0-9]+): *)?([0-9a-f]*)$/i.exec(text.trim()) ?? [];
  const algorithm = name?.toLowerCase();
  const known = algorithmsOf(sum, algorithm === undefined ? allowed : allowed.filter((each) => each === algorithm));
  if (known.length > 0) return sum.toLowerCase();
  const isKept = algorithm !== undefined && isSumAlgorithm(algorithm) && !allowed.includes(algorithm);
  throw new ArgumentFault(
    new GraphFault(
      'graph/bad-target',
      isKept
        ? `hashes has ${JSON.stringify(text)}, and hashcheckers of .plzconfig lets only ${allowed.join(', ')} count`
        : `hashes has ${JSON.stringify(text)}, which is no SHA-256 sum`,
      {
        next: isKept
          ? `lock another sum, or add it there: [build] hashcheckers = ${algorithm}`
          : `write its 64 hexadecimal digits; sums by ${allowed.join(', ')} count`,
      },
    ),
    text,
  );
}
