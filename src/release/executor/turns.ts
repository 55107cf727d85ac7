/** So many at a time, in the order in which they come; those in a hurry before the others. */
export interface Turns {
  /** @returns how to give the turn back. @throws the signal's reason */
  take(signal: AbortSignal, hurry?: boolean): Promise<() => void>;
}

export function createTurns(atOnce: number): Turns {
  const waiting: { readonly begin: () => void; readonly hurry: boolean }[] = [];
  let free = atOnce;
  const giveBack = () => {
    const hurried = waiting.findIndex(({ hurry }) => hurry);
    const [next] = waiting.splice(Math.max(0, hurried), 1);
    if (next === undefined) free++;
    else next.begin();
  };
  return {
    async take(signal, hurry = false) {
      signal.throwIfAborted();
      if (free > 0) free--;
      else {
        await new Promise<void>((resolve, reject) => {
          const leave = () => {
            const place = waiting.indexOf(entry);
            if (place !== -1) waiting.splice(place, 1);
            reject(signal.reason);
          };
          const begin = () => {
            signal.removeEventListener('abort', leave);
            resolve();
          };
          const entry = { begin, hurry };
          waiting.push(entry);
          signal.addEventListener('abort', leave, { once: true });
        });
      }
      let given = false;
      return () => {
        if (!given) giveBack();
        given = true;
      };
    },
  };
}
