/**
 * Keeps a service that is away from costing a time-out again and again: after some failures in a row nothing is asked of
 * it for a while; then one request may try.
 */
export interface Breaker {
  /** Whether a request may be made now. */
  allows(): boolean;
  succeeded(): void;
  failed(): void;
}

/**
 * @param failures in a row that open it
 * @param pause milliseconds
 */
export function createBreaker(failures: number, pause: number, now: () => number = Date.now): Breaker {
  let inRow = 0;
  let openUntil = 0;
  return {
    allows() {
      if (inRow < failures) return true;
      if (now() < openUntil) return false;
      // One tries; the others wait for what becomes of it.
      openUntil = now() + pause;
      return true;
    },
    succeeded() {
      inRow = 0;
    },
    failed() {
      inRow++;
      if (inRow >= failures) openUntil = now() + pause;
    },
  };
}
