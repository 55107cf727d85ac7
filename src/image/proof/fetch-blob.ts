import { type Digest, digestOf } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import type { Descriptor } from '../manifest.ts';
import type { ProofRepository } from './referrers.ts';

/**
 * A small blob, whole and with its sum checked.
 *
 * @param subject what it is said of, for faults
 * @param room bytes that it may have
 * @throws ImageFault image/too-large, image/wrong-content
 */
export async function fetchBlob(
  repository: ProofRepository,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  subject: Digest,
  room: number,
): Promise<Buffer> {
  if (size > room) throw new ImageFault('image/too-large', `what is said of ${subject} has more bytes than are taken`);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const piece of repository.blob(digest)) {
    length += piece.length;
    if (length > size) throw new ImageFault('image/wrong-content', `${digest} is longer than its manifest says`);
    parts.push(piece);
  }
  const bytes = Buffer.concat(parts);
  if (digestOf(bytes) === digest) return bytes;
  throw new ImageFault('image/wrong-content', `the registry sent other bytes than ${digest}`);
}
