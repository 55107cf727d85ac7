/** Lets so many pieces of work run at a time; of those that wait, the one with the highest priority goes first. */
export interface Slots {
  run<T>(priority: number, work: () => Promise<T>): Promise<T>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting: { readonly priority: number; readonly start: () => void }[] = [];
  return {
    async run(priority, work) {
      if (free > 0) free--;
      else {
        await new Promise<void>((start) => {
          const at = waiting.findIndex((other) => other.priority < priority);
          waiting.splice(at < 0 ? waiting.length : at, 0, { priority, start });
        });
      }
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free++;
        else next.start();
      }
    },
  };
}
