import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bisect, type Finding } from './bisect.ts';

const release = (order: number) => ({ id: `r${order}`, order });
const found = (...entries: [number, Finding][]) => new Map(entries.map(([order, finding]) => [`r${order}`, finding]));

describe('bisect', () => {
  it('finds the first bad release in as many tries as halving needs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), fc.nat(), (count, seed) => {
        const releases = Array.from({ length: count }, (_, index) => release((index + 1) * 3));
        const first = 1 + (seed % (count - 1));
        const findings = new Map<string, Finding>([
          [releases[0]!.id, 'good'],
          [releases.at(-1)!.id, 'bad'],
        ]);
        let tries = 0;
        for (;;) {
          const { next, culprits } = bisect(releases.toReversed(), findings)!;
          if (next === undefined) {
            expect(culprits).toEqual([releases[first]]);
            break;
          }
          expect(findings.has(next.id)).toBe(false);
          tries += 1;
          findings.set(next.id, releases.indexOf(next) >= first ? 'bad' : 'good');
        }
        expect(tries).toBeLessThanOrEqual(Math.ceil(Math.log2(count)));
      }),
    );
  });

  it('goes round what is skipped, and names all that it may be', () => {
    const releases = [1, 2, 3, 4].map(release);
    expect(bisect(releases, found([1, 'good'], [4, 'bad'], [3, 'skip']))?.next).toEqual(release(2));
    expect(bisect(releases, found([1, 'good'], [4, 'bad'], [3, 'skip'], [2, 'good']))).toMatchObject({
      culprits: [release(3), release(4)],
    });
  });

  it('knows nothing from findings that contradict each other or have one side', () => {
    const releases = [1, 2, 3].map(release);
    expect(bisect(releases, found([3, 'good'], [1, 'bad']))).toBeUndefined();
    expect(bisect(releases, found([1, 'good']))).toBeUndefined();
    expect(bisect(releases, found([2, 'good'], [2, 'bad']))).toBeUndefined();
    expect(bisect([], found())).toBeUndefined();
  });
});
