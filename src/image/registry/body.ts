import type { IncomingMessage } from 'node:http';
import { tellPassed } from '../memory.ts';
import { Refusal } from './answer.ts';

/** What a client must keep up with while it sends a body; else its connection ends. */
export interface Pace {
  /** Milliseconds. */
  readonly window: number;
  /** Bytes that come at least in each window. */
  readonly bytes: number;
}

/** Slower than the slowest line that anybody pushes an image over. */
export const defaultPace: Pace = { window: 60_000, bytes: 16 * 1024 };

/**
 * The pieces of a body. A client that holds a connection open and sends next to nothing is cut off.
 *
 * @param maximum bytes; more is refused with 413
 */
export async function* pieces(request: IncomingMessage, maximum: number, pace: Pace): AsyncGenerator<Buffer> {
  let size = 0;
  let before = 0;
  const timer = setInterval(() => {
    // What waits in the buffer is not the client's fault: the disk may be slow.
    if (size - before < pace.bytes && request.readableLength === 0)
      request.destroy(new Error('the client is too slow'));
    before = size;
  }, pace.window);
  try {
    for await (const piece of request as AsyncIterable<Buffer>) {
      size += piece.length;
      tellPassed(piece.length);
      if (size > maximum) throw new Refusal(413, 'SIZE_INVALID', `more than ${maximum} bytes are not taken here`);
      yield piece;
    }
  } finally {
    clearInterval(timer);
  }
}

/** Bytes and milliseconds for which a body that nobody wants is still read, so that the client comes to see the answer. */
const unwantedBytes = 64 * 1024 * 1024;
const unwantedTime = 10_000;

/** Reads the rest of a body that was refused or not asked for, up to a bound; then the connection ends. */
export function drain(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  let size = 0;
  const end = () => request.socket.destroy();
  const timer = setTimeout(end, unwantedTime);
  timer.unref();
  request.on('data', (piece: Buffer) => {
    size += piece.length;
    if (size > unwantedBytes) end();
  });
  request.once('close', () => clearTimeout(timer));
  request.on('error', () => {});
  request.resume();
}
