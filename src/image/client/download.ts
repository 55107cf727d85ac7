import type { IncomingMessage } from 'node:http';
import { type AnyDigest, hashFor } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { tellPassed } from '../memory.ts';
import { backOff, type Connection, isTransient, maximumTries, unreachable } from './transport.ts';

/** Bytes after which a connection has done so well that its end does not count against the number of tries. */
const fairProgress = 1024 * 1024;

/**
 * The bytes of a blob. A broken line goes on where it broke, by a range; what comes is held against the digest and the
 * size, and the end of the iteration means that it is right. RFC 9110, 14.
 *
 * @param open asks for the blob from a byte on
 * @throws ImageFault image/wrong-content, image/registry-unreachable, and what `open` throws
 */
export async function* download(
  open: (from: number) => Promise<IncomingMessage>,
  connection: Pick<Connection, 'firstPause'>,
  host: string,
  digest: AnyDigest,
  size: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const hash = hashFor(digest);
  let received = 0;
  let safe = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await open(received);
      // A registry without ranges sends it all again: what is known of it is passed over.
      let skip = answer.statusCode === 206 ? 0 : received;
      if (answer.statusCode === 206) checkStart(answer, received, host);
      for await (const whole of answer as AsyncIterable<Buffer>) {
        const piece = skip === 0 ? whole : whole.subarray(Math.min(skip, whole.length));
        skip -= whole.length - piece.length;
        if (piece.length === 0) continue;
        received += piece.length;
        if (size !== undefined && received > size) {
          answer.destroy();
          throw new ImageFault('image/wrong-content', `${host} sent more than the ${size} bytes of the blob ${digest}`);
        }
        hash.update(piece);
        tellPassed(piece.length);
        yield piece;
      }
      if (size === undefined || received >= size) break;
      // An answer that came to its own end is what the registry has.
      if (answer.complete)
        throw new ImageFault(
          'image/wrong-content',
          `${host} has ${received} of the ${size} bytes of the blob ${digest}`,
        );
      throw Object.assign(new Error(`it ended after ${received} of ${size} bytes`), { code: 'ECONNRESET' });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof ImageFault || !isTransient(error)) throw error;
      if (received - safe >= fairProgress) attempt = 1;
      safe = received;
      if (attempt >= maximumTries) throw unreachable(host, error);
      await backOff(connection, attempt, signal);
    }
  }
  const sum = hash.digest('hex');
  if (!digest.endsWith(`:${sum}`))
    throw new ImageFault(
      'image/wrong-content',
      `${host} sent other bytes than the blob ${digest}: their sum is ${sum}`,
    );
}

function checkStart(answer: IncomingMessage, wanted: number, host: string): void {
  const [, start] = /^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '') ?? [];
  if (Number(start) === wanted) return;
  answer.destroy();
  throw new ImageFault('image/bad-registry-answer', `${host} was asked for bytes from ${wanted} on and sent others`);
}
