import type { ReleaseContent } from '../artifact/index.ts';

/** Releases that are kept: a rollout needs its own several times, and several environments take the same one soon after each other. */
const kept = 200;

/** Fetches each release once, as long as it is among the last that were asked for. What can't be fetched is not remembered. */
export function keepContents(
  fetch: (reference: string, signal: AbortSignal) => Promise<ReleaseContent>,
): (reference: string, signal: AbortSignal) => Promise<ReleaseContent> {
  const contents = new Map<string, ReleaseContent>();
  return async (reference, signal) => {
    const known = contents.get(reference);
    const content = known ?? (await fetch(reference, signal));
    contents.delete(reference);
    contents.set(reference, content);
    for (const [oldest] of contents) {
      if (contents.size <= kept) break;
      contents.delete(oldest);
    }
    return content;
  };
}
