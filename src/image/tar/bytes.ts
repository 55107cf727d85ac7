import { ImageFault } from '../fault.ts';

/** Takes exact numbers of bytes from a stream of pieces; holds one piece at a time. */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #what: string;
  #rest: Uint8Array = new Uint8Array(0);
  #position = 0;

  /** @param what names the archive in faults */
  constructor(source: AsyncIterable<Uint8Array>, what: string) {
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
