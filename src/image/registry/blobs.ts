import { createReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { AnyDigest } from '../digest.ts';
import { tellPassed } from '../memory.ts';
import { answer, Refusal } from './answer.ts';
import { touch } from './layout.ts';
import type { Repository } from './repository.ts';

/** distribution-spec 1.1, "Pulling blobs", with one range of RFC 9110, 14. */
export async function getBlob(
  request: IncomingMessage,
  response: ServerResponse,
  repository: Repository,
  digest: AnyDigest,
): Promise<void> {
  const blob = await repository.blob(digest);
  if (blob === undefined) throw new Refusal(404, 'BLOB_UNKNOWN', 'the repository has no such blob');
  const { path, size } = blob;
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
  };
  const range = rangeOf(request.headers.range, size);
  if (range === 'unsatisfiable') {
    throw new Refusal(416, 'RANGE_INVALID', `the blob has ${size} bytes`, { 'content-range': `bytes */${size}` });
  }
  const length = range === undefined ? size : range.end - range.start + 1;
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    'content-length': length,
    ...(range && { 'content-range': `bytes ${range.start}-${range.end}/${size}` }),
  });
  // Whoever asks before a push counts on the blob to stay.
  if (request.method === 'HEAD') await touch(path);
  if (request.method === 'HEAD' || length === 0) response.end();
  else await pipeline(createReadStream(path, { ...range, highWaterMark: 256 * 1024 }), telling, response);
}

async function* telling(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    tellPassed(piece.length);
    yield piece;
  }
}

/** distribution-spec 1.1, "Deleting Blobs". */
export async function deleteBlob(response: ServerResponse, repository: Repository, digest: AnyDigest): Promise<void> {
  if (!(await repository.removeBlob(digest))) throw new Refusal(404, 'BLOB_UNKNOWN', 'the repository has no such blob');
  answer(response, 202, {});
}

/** What can't be understood is ignored, as RFC 9110 wants: several ranges among it. */
function rangeOf(text: string | undefined, size: number): { start: number; end: number } | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(text ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const count = Math.min(Number(last), size);
    return count === 0 ? 'unsatisfiable' : { start: size - count, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= size ? 'unsatisfiable' : { start, end };
}
