const minute = 60_000;
const hour = 60 * minute;

/** Milliseconds after each attempt that failed until the next one: a day in all. */
const delays = [
  5_000,
  30_000,
  2 * minute,
  10 * minute,
  30 * minute,
  hour,
  2 * hour,
  4 * hour,
  8 * hour,
  8 * hour,
] as const;

/** A receiver may ask for more time, up to this. */
const longestWish = hour;

/**
 * When a message is sent again.
 *
 * @param attempts how many have failed
 * @param wish milliseconds that the receiver asked for
 * @param chance from 0 to 1: not all messages come again at the same moment
 * @returns milliseconds from now; undefined where it is given up
 */
export function nextAttempt(attempts: number, wish: number | undefined, chance: number): number | undefined {
  const delay = delays[attempts - 1];
  if (delay === undefined) return undefined;
  return Math.max(delay * (1 + chance / 10), Math.min(wish ?? 0, longestWish));
}
