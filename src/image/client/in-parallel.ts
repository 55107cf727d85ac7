/** Runs `body` over the list, a few at a time. The first error ends it when those under way have ended. */
export async function inParallel<T>(
  list: readonly T[],
  limit: number,
  body: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = list.values();
  let failed = false;
  const workers = Array.from({ length: limit }, async () => {
    for (const item of waiting) {
      if (failed) return;
      try {
        await body(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  });
  for (const result of await Promise.allSettled(workers)) if (result.status === 'rejected') throw result.reason;
}
