import { ImageFault } from './fault.ts';

/** Bytes that anything may unpack to. */
const leastUnpacked = 64 * 1024 ** 2;
/** No compression of real files comes near: what does was made to fill a disk. */
const mostForEach = 200;

/**
 * What was compressed, as it is unpacked, up to what can be meant.
 *
 * @param packed bytes before
 * @param what names it in faults
 * @param most bytes that it may have besides
 * @throws ImageFault image/too-large while it is read
 */
export async function* bounded(
  source: AsyncIterable<Uint8Array>,
  packed: number,
  what: string,
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array> {
  const maximum = Math.min(most, Math.max(leastUnpacked, packed * mostForEach));
  let total = 0;
  for await (const piece of source) {
    total += piece.length;
    if (total > maximum) {
      throw new ImageFault(
        'image/too-large',
        `${what} has ${packed} bytes and unpacks to more than ${maximum}, which nothing real does`,
        { next: 'check where it comes from' },
      );
    }
    yield piece;
  }
}
