import { numberIn } from './asked.ts';
import type { Request } from './call.ts';
import { ServerFault } from './fault.ts';

/** Items of a page unless told, and at most. */
const usualSize = 100;
const largestSize = 500;
/** Bytes of a page's items, so that an answer is below 1 MB whatever people write into their reasons. */
const mostBytes = 900_000;

export interface Page<Item> {
  readonly items: readonly Item[];
  /** What the next page is asked with; absent on the last one. */
  readonly next?: string;
}

/** How many items a page may have. @throws ServerFault server/bad-request */
export function sizeOf({ query }: Pick<Request, 'query'>): number {
  const size = numberIn(query.limit, 'limit', usualSize);
  if (size >= 1 && size <= largestSize) return size;
  throw new ServerFault('server/bad-request', `limit is 1 to ${largestSize}, not ${size}`, {
    next: 'ask for further pages with the `next` of the one before',
  });
}

/**
 * A page out of what was found. At least one item is on it.
 *
 * @param found one more than the page may have, where there are as many
 * @param cursorOf what stands for an item, so that the next page begins after it
 */
export function pageOf<Found, Item>(
  found: readonly Found[],
  size: number,
  viewOf: (found: Found) => Item,
  cursorOf: (found: Found) => string,
): Page<Item> {
  const items: Item[] = [];
  let bytes = 0;
  for (const each of found.slice(0, size)) {
    const item = viewOf(each);
    bytes += Buffer.byteLength(JSON.stringify(item)) + 1;
    if (items.length > 0 && bytes > mostBytes) break;
    items.push(item);
  }
  const last = found[items.length - 1];
  return { items, ...(items.length < found.length && last !== undefined && { next: cursorOf(last) }) };
}
