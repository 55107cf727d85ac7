import { closeSync, openSync, readSync } from 'node:fs';
import { ImageFault } from '../fault.ts';

/** Pieces of bytes, of which some can be passed over without being read. */
export interface ByteSource extends AsyncIterable<Uint8Array> {
  skip?(count: number): void;
}

/** Bytes read at a time of a file of which little is wanted. */
const pieceSize = 16 * 1024;

/** A file's bytes, for whoever wants what stands between large stretches. One reader at a time. */
export function skippingSource(path: string): ByteSource {
  let position = 0;
  return {
    skip(count) {
      position += count;
    },
    async *[Symbol.asyncIterator]() {
      const file = openSync(path, 'r');
      try {
        for (;;) {
          const piece = Buffer.allocUnsafe(pieceSize);
          const count = readSync(file, piece, 0, pieceSize, position);
          if (count === 0) return;
          position += count;
          yield piece.subarray(0, count);
        }
      } finally {
        closeSync(file);
      }
    },
  };
}

/** Takes exact numbers of bytes from a stream of pieces; holds one piece at a time. */
export class ByteReader {
  readonly #source: ByteSource;
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #what: string;
  #rest: Uint8Array = new Uint8Array(0);
  #position = 0;

  /** @param what names the archive in faults */
  constructor(source: ByteSource, what: string) {
    this.#source = source;
    this.#pieces = source[Symbol.asyncIterator]();
    this.#what = what;
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#position;
  }

  /** The next bytes; undefined at the end of the stream. For small counts: they are held in memory. */
  async take(count: number): Promise<Buffer | undefined> {
    const parts: Uint8Array[] = [];
    let missing = count;
    while (missing > 0) {
      const piece = await this.#upTo(missing);
      if (piece === undefined) {
        if (missing === count) return undefined;
        throw this.#cutOff();
      }
      parts.push(piece);
      missing -= piece.length;
    }
    return Buffer.concat(parts);
  }

  /** The next bytes piece by piece. */
  async *stream(count: number): AsyncGenerator<Uint8Array> {
    for (let missing = count; missing > 0; ) {
      const piece = await this.#upTo(missing);
      if (piece === undefined) throw this.#cutOff();
      missing -= piece.length;
      yield piece;
    }
  }

  /** Passes over the next bytes. Where the source can, without reading them: an end before is then noticed by the next `take`. */
  async skip(count: number): Promise<void> {
    const held = Math.min(count, this.#rest.length);
    this.#rest = this.#rest.subarray(held);
    this.#position += held;
    const left = count - held;
    if (left > 0 && this.#source.skip !== undefined) {
      this.#source.skip(left);
      this.#position += left;
      return;
    }
    for await (const _ of this.stream(left)) {
      // The bytes are read so that a compressed source gets on.
    }
  }

  /** Ends the source, whether or not it was read to its end. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #upTo(count: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next();
      if (next.done) return undefined;
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(piece.length);
    this.#position += piece.length;
    return piece;
  }

  #cutOff(): ImageFault {
    return new ImageFault('image/bad-archive', `${this.#what} is cut off after ${this.#position} bytes`);
  }
}
