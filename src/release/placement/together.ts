/** Items of one run against the database: a statement of that many rows is short, and nobody waits long for the run before. */
export const mostTogether = 100;

/** How one of those that were done together went. */
export type Done<Result> = { readonly value: Result } | { readonly error: unknown };

/**
 * Does together what several ask for: while one run is under way, those that come are gathered for the next. Who comes alone waits for
 * nobody.
 *
 * @param run how each of its items went, in their order; what it throws is thrown to all of them
 * @param most items of one run
 */
export function together<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Done<Result>[]>,
  most: number,
): (item: Item) => Promise<Result> {
  interface Waiting {
    readonly item: Item;
    readonly resolve: (result: Result) => void;
    readonly reject: (error: unknown) => void;
  }
  let waiting: Waiting[] = [];
  let running = false;
  const runAll = async () => {
    while (waiting.length > 0) {
      const now = waiting.slice(0, most);
      waiting = waiting.slice(most);
      try {
        const done = await run(now.map(({ item }) => item));
        for (const [index, { resolve, reject }] of now.entries()) {
          const one = done[index];
          if (one === undefined) reject(new Error('one of those that were done together was left out'));
          else if ('error' in one) reject(one.error);
          else resolve(one.value);
        }
      } catch (error) {
        for (const { reject } of now) reject(error);
      }
    }
    running = false;
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (running) return;
      running = true;
      // Those that are asked for in the same turn come along.
      queueMicrotask(runAll);
    });
}
