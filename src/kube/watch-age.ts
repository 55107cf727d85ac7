/** A watch that is open, and when it last said something, by this machine's steady clock. */
interface OpenWatch {
  lastWord: number;
}

const watches = new Set<OpenWatch>();

/** A watch begins. @returns `heard` for each word of the API server, `end` once */
export function beginWatch(): { heard(): void; end(): void } {
  const watch: OpenWatch = { lastWord: performance.now() };
  watches.add(watch);
  return {
    heard() {
      watch.lastWord = performance.now();
    },
    end: () => void watches.delete(watch),
  };
}

/**
 * How far what this process knows of its clusters may lie behind. An API server sends a bookmark at least every minute.
 *
 * @returns `silence`: milliseconds since the last word of the watch that has been silent for longest; 0 where there is none
 */
export function openWatches(): { readonly count: number; readonly silence: number } {
  const words = [...watches].map(({ lastWord }) => lastWord);
  const silence = words.length === 0 ? 0 : performance.now() - Math.min(...words);
  return { count: words.length, silence };
}
