import type { IncomingMessage } from 'node:http';
import { type AnyDigest, hashFor } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { tellPassed } from '../memory.ts';
import { backOff, type Call, type Connection, maximumTries, mayPass, retryAfter } from './transport.ts';

/** A blob that is sent: its bytes from a position on, as often as they are asked for. */
export type Source = (from: number) => AsyncIterable<Uint8Array>;

export interface UploadRequest {
  readonly connection: Connection;
  /** One try with the authorization of the repository. */
  readonly send: (call: Call) => Promise<IncomingMessage>;
  readonly base: URL;
  /** `/v2/<name>/blobs/uploads/` */
  readonly start: URL;
  readonly digest: AnyDigest;
  readonly size: number;
  readonly source: Source;
  /** A repository of the same registry that may have the blob. */
  readonly from?: string | undefined;
  readonly refused: (answer: IncomingMessage, what: string) => Promise<never>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends a blob. After a broken line the registry is asked how far it came, and the rest follows; where it knows nothing of
 * the upload any more, it begins anew. distribution-spec 1.1, "Pushing blobs".
 *
 * @returns the bytes that went over the line; 0 where the registry found the blob among what it has
 */
export async function upload(request: UploadRequest): Promise<number> {
  const { connection, digest, size, signal, refused } = request;
  const what = `the blob ${digest}`;
  let location: URL | undefined;
  let at = 0;
  let sent = 0;
  // What fits into one piece goes in one request; of more, each piece is safe once it is answered.
  let chunked = size > connection.chunkSize;
  let failures = 0;
  let damaged = false;
  const sum = runningSum(request);

  /** Counts a failure; waits before the next try. */
  async function pause(answer?: IncomingMessage): Promise<void> {
    failures += 1;
    const asked = retryAfter(answer?.headers['retry-after']);
    answer?.resume();
    await backOff(connection, failures, signal, asked);
  }

  for (;;) {
    signal?.throwIfAborted();
    const last = failures >= maximumTries - 1;
    try {
      if (location === undefined) {
        const opened = await begin(request);
        if (opened === 'there') return sent;
        if (!(opened instanceof URL)) {
          if (last || !mayPass(opened.statusCode)) return await refused(opened, what);
          await pause(opened);
          continue;
        }
        location = opened;
        at = 0;
      }
      const end = chunked ? Math.min(at + connection.chunkSize, size) : size;
      const final = end === size && !(chunked && at < size);
      const target = new URL(location);
      if (final) target.searchParams.set('digest', digest);
      const begun = at;
      const answer = await request.send({
        method: final ? 'PUT' : 'PATCH',
        url: target,
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': end - begun,
          ...((chunked || begun > 0) && end > begun && { 'content-range': `${begun}-${end - 1}` }),
        },
        body: () => (end === begun ? new Uint8Array() : counted(sum.piece(begun, end), (bytes) => (sent += bytes))),
        signal,
      });
      if (final && answer.statusCode === 201) {
        answer.resume();
        return sent;
      }
      if (!final && (answer.statusCode === 202 || answer.statusCode === 201 || answer.statusCode === 204)) {
        answer.resume();
        location = next(answer, location);
        // The registry says how far it came; it may have taken less than was sent.
        at = reached(answer) ?? end;
        if (at > size) location = undefined;
        failures = 0;
        continue;
      }
      // Pieces are optional for a registry: then the blob goes whole.
      if (!final && begun === 0 && [400, 404, 405, 501].includes(answer.statusCode ?? 0) && !last) {
        answer.resume();
        chunked = false;
        location = undefined;
        continue;
      }
      // Damaged on its way: the sum was right here. Once more from the start.
      if (final && answer.statusCode === 400 && !damaged && sum.complete()) {
        answer.resume();
        damaged = true;
        location = undefined;
        continue;
      }
      // 409: the registry has not seen yet that the last request broke off.
      const again = [404, 409, 416].includes(answer.statusCode ?? 0) || mayPass(answer.statusCode);
      if (last || !again) return await refused(answer, what);
      await pause(answer);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (last || !(error instanceof ImageFault) || error.code !== 'image/registry-unreachable') throw error;
      await pause();
    }
    if (location !== undefined) {
      const state = await status(request, location);
      location = state?.location;
      at = state?.at ?? 0;
    }
  }
}

/** Opens an upload: its address, or that the registry has the blob, or the answer that says neither. */
async function begin({
  send,
  start,
  digest,
  from,
  base,
  signal,
}: UploadRequest): Promise<URL | 'there' | IncomingMessage> {
  const url = new URL(start);
  // A registry that has the blob elsewhere may take it from there (without `from`: automatic content discovery).
  url.searchParams.set('mount', digest);
  if (from !== undefined) url.searchParams.set('from', from);
  const opened = await send({ method: 'POST', url, headers: { 'content-length': 0 }, signal });
  if (opened.statusCode !== 201 && opened.statusCode !== 202) return opened;
  opened.resume();
  return opened.statusCode === 201 ? 'there' : next(opened, base);
}

function next(answer: IncomingMessage, former: URL): URL {
  const { location } = answer.headers;
  if (location === undefined && former.pathname.includes('/uploads/')) return former;
  if (location === undefined || !URL.canParse(location, former.href))
    throw new ImageFault('image/bad-registry-answer', `${former.host} began an upload and does not say where`);
  return new URL(location, former);
}

/** `Range: 0-<last byte>` of an upload: the bytes that are there. Nothing and one byte look the same. */
function reached(answer: IncomingMessage): number | undefined {
  const [, end] = /^(?:bytes=)?0-(\d+)$/.exec(answer.headers.range ?? '') ?? [];
  if (end === undefined) return undefined;
  return end === '0' ? 0 : Number(end) + 1;
}

/** How far an upload came; undefined where the registry knows nothing of it. */
async function status(request: UploadRequest, location: URL): Promise<{ location: URL; at: number } | undefined> {
  for (let attempt = 1; attempt < maximumTries; attempt++) {
    try {
      const answer = await request.send({ method: 'GET', url: location, signal: request.signal });
      answer.resume();
      if (answer.statusCode === 204 || answer.statusCode === 202) {
        const at = reached(answer);
        if (at === undefined || at > request.size) return undefined;
        return { location: next(answer, location), at };
      }
      if (!mayPass(answer.statusCode)) return undefined;
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      if (!(error instanceof ImageFault) || error.code !== 'image/registry-unreachable') throw error;
    }
    await backOff(request.connection, attempt, request.signal);
  }
  return undefined;
}

/**
 * The pieces of the source, with their sum taken along: what is damaged here is told as such, and not as a refusal of the
 * registry.
 */
function runningSum({ source, digest, size }: UploadRequest) {
  const hash = hashFor(digest);
  let hashed = 0;
  return {
    /** Whether all of it was read, and was right. */
    complete: () => hashed === size,
    async *piece(from: number, end: number): AsyncGenerator<Uint8Array> {
      let position = from;
      for await (const whole of source(from)) {
        const piece = whole.subarray(0, end - position);
        if (position <= hashed && position + piece.length > hashed) {
          hash.update(piece.subarray(hashed - position));
          hashed = position + piece.length;
          if (hashed === size && !digest.endsWith(`:${hash.copy().digest('hex')}`))
            throw new ImageFault('image/wrong-content', `the bytes to send are not the blob ${digest}`, {
              next: 'build or pull again what it belongs to; check the disk',
            });
        }
        position += piece.length;
        tellPassed(piece.length);
        yield piece;
        if (position >= end) return;
      }
      if (position < end)
        throw new ImageFault('image/wrong-content', `the blob ${digest} ended after ${position} of ${size} bytes`);
    },
  };
}

async function* counted(pieces: AsyncIterable<Uint8Array>, tell: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    tell(piece.length);
    yield piece;
  }
}
