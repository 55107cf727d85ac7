import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type Digest, isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { isRepository } from '../names.ts';
import type { BlobStore } from '../store.ts';
import { answer, Refusal } from './answer.ts';
import { openRepository, type Repository, type UploadFolder } from './repository.ts';

/** Blobs on their way in. distribution-spec 1.1, "Pushing blobs". */
export interface Uploads {
  begin(
    request: IncomingMessage,
    response: ServerResponse,
    repository: Repository,
    query: URLSearchParams,
  ): Promise<void>;
  append(request: IncomingMessage, response: ServerResponse, repository: Repository, id: string): Promise<void>;
  finish(
    request: IncomingMessage,
    response: ServerResponse,
    repository: Repository,
    id: string,
    query: URLSearchParams,
  ): Promise<void>;
  status(response: ServerResponse, repository: Repository, id: string): Promise<void>;
  cancel(response: ServerResponse, repository: Repository, id: string): Promise<void>;
}

export function createUploads(store: BlobStore, folder: UploadFolder, root: string, discover: boolean): Uploads {
  /** Sums of what has come so far, so that a large blob is not read a second time; made again where they are lost. */
  const sums = new Map<string, { hash: Hash; size: number }>();
  /** One request at a time writes to an upload. */
  const busy = new Set<string>();

  async function exclusively<T>(id: string, body: () => Promise<T>): Promise<T> {
    if (busy.has(id)) throw new Refusal(409, 'BLOB_UPLOAD_INVALID', 'another request is writing to this upload');
    busy.add(id);
    try {
      return await body();
    } finally {
      busy.delete(id);
    }
  }

  async function found(repository: Repository, id: string): Promise<{ path: string; size: number }> {
    const upload = await folder.find(repository.name, id);
    if (upload === undefined) throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload, or it has ended');
    return upload;
  }

  /** Adds the request's body; returns the sum and size of the whole. What came before a broken line stays. */
  async function add(
    request: IncomingMessage,
    id: string,
    upload: { path: string; size: number },
  ): Promise<{ hash: Hash; size: number }> {
    let sum = sums.get(id);
    if (sum === undefined || sum.size !== upload.size) {
      sum = { hash: createHash('sha256'), size: 0 };
      for await (const piece of createReadStream(upload.path)) {
        sum.hash.update(piece as Buffer);
        sum.size += (piece as Buffer).length;
      }
      sums.set(id, sum);
    }
    const running = sum;
    await pipeline(
      request,
      async function* (source: AsyncIterable<Buffer>) {
        for await (const piece of source) {
          running.hash.update(piece);
          running.size += piece.length;
          yield piece;
        }
      },
      createWriteStream(upload.path, { flags: 'a' }),
    );
    return running;
  }

  function location(repository: Repository, id: string, size: number): Record<string, string> {
    return {
      location: `/v2/${repository.name}/blobs/uploads/${id}`,
      'docker-upload-uuid': id,
      // Of an empty upload too: clients expect 0-0 there.
      range: `0-${Math.max(0, size - 1)}`,
      'oci-chunk-min-length': '1',
    };
  }

  function created(response: ServerResponse, repository: Repository, digest: Digest): void {
    answer(response, 201, { location: `/v2/${repository.name}/blobs/${digest}`, 'docker-content-digest': digest });
  }

  async function mount(repository: Repository, digest: Digest, from: string | null): Promise<boolean> {
    if (from !== null && isRepository(from)) {
      if (await repository.mountBlob(digest, openRepository(store, root, from))) return true;
    }
    if (!discover || (await store.size(digest)) === undefined) return false;
    await repository.linkBlob(digest);
    return true;
  }

  return {
    async begin(request, response, repository, query) {
      const wanted = query.get('mount');
      if (wanted !== null && isDigest(wanted) && (await mount(repository, wanted, query.get('from')))) {
        request.resume();
        return created(response, repository, wanted);
      }
      const digest = query.get('digest');
      if (digest !== null) {
        // The whole blob in one request.
        const expected = digestOf(digest);
        await store.put(request, { digest: expected, ...lengthOf(request) }).catch(asRefusal);
        await repository.linkBlob(expected);
        return created(response, repository, expected);
      }
      request.resume();
      const id = await folder.create(repository.name);
      answer(response, 202, location(repository, id, 0));
    },

    append: (request, response, repository, id) =>
      exclusively(id, async () => {
        const upload = await found(repository, id);
        checkRange(request, upload.size, location(repository, id, upload.size));
        const { size } = await add(request, id, upload);
        answer(response, 202, location(repository, id, size));
      }),

    finish: (request, response, repository, id, query) =>
      exclusively(id, async () => {
        const upload = await found(repository, id);
        const expected = digestOf(query.get('digest'));
        checkRange(request, upload.size, location(repository, id, upload.size));
        if (upload.size === 0) {
          // Nothing came before: the body is the blob, and goes into the store without a detour.
          await store.put(request, { digest: expected }).catch(asRefusal);
        } else {
          const { hash } = await add(request, id, upload);
          if (`sha256:${hash.digest('hex')}` !== expected) {
            sums.delete(id);
            await folder.remove(repository.name, id);
            throw new Refusal(400, 'DIGEST_INVALID', `what came is not ${expected}`);
          }
          await store.putFile(upload.path, { digest: expected });
        }
        await repository.linkBlob(expected);
        sums.delete(id);
        await folder.remove(repository.name, id);
        created(response, repository, expected);
      }),

    async status(response, repository, id) {
      const { size } = await found(repository, id);
      answer(response, 204, location(repository, id, size));
    },

    async cancel(response, repository, id) {
      await found(repository, id);
      sums.delete(id);
      await folder.remove(repository.name, id);
      answer(response, 204, {});
    },
  };
}

function digestOf(text: string | null): Digest {
  if (text !== null && isDigest(text)) return text;
  throw new Refusal(400, 'DIGEST_INVALID', 'the query needs digest=sha256:... with 64 lower-case hex digits');
}

function lengthOf(request: IncomingMessage): { size?: number } {
  const length = Number(request.headers['content-length']);
  return Number.isSafeInteger(length) ? { size: length } : {};
}

/** `Content-Range: START-END`, END inclusive: a chunk must go on where the last ended. */
function checkRange(request: IncomingMessage, size: number, headers: Readonly<Record<string, string>>): void {
  const text = request.headers['content-range'];
  if (text === undefined) return;
  const [, start, end] = /^(?:bytes )?(\d+)-(\d+)(?:\/\S+)?$/.exec(text) ?? [];
  const length = request.headers['content-length'];
  const fits = Number(start) === size && (length === undefined || Number(end) - Number(start) + 1 === Number(length));
  if (!fits) throw new Refusal(416, 'RANGE_INVALID', `the upload has ${size} bytes; go on there`, headers);
}

function asRefusal(error: unknown): never {
  if (error instanceof ImageFault && error.code === 'image/wrong-content') {
    throw new Refusal(400, error.message.includes('bytes') ? 'SIZE_INVALID' : 'DIGEST_INVALID', error.message);
  }
  throw error;
}
