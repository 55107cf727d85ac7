import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AnyDigest, type Digest, hashFor, isAnyDigest, isDigest } from '../digest.ts';
import { isRepository } from '../names.ts';
import type { BlobStore } from '../store.ts';
import { answer, Refusal } from './answer.ts';
import { type Pace, pieces } from './body.ts';
import { type FoundFile, repositoryNames } from './layout.ts';
import type { Repository } from './repository.ts';
import type { UploadFolder } from './upload-folder.ts';
import type { Usage } from './usage.ts';

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

export interface UploadsOptions {
  readonly root: string;
  readonly store: BlobStore;
  readonly folder: UploadFolder;
  readonly usage: Usage;
  /** See `RegistryOptions`. */
  readonly discover: boolean;
  readonly maximumBlob: number;
  readonly pace: Pace;
  /** Milliseconds after which a request that sends nothing gives way to the next one for its upload. */
  readonly silence: number;
  readonly repository: (name: string) => Repository;
}

/** Sums of uploads that are kept in memory; those of others are taken again from what lies on the disk. */
const maximumSums = 1000;

interface Sum {
  readonly hash: Hash;
  size: number;
}

/** Milliseconds for which another request waits for the end of one. */
const patience = 400;

interface Writer {
  readonly request: IncomingMessage | undefined;
  lastByte: number;
  readonly ended: Promise<void>;
}

export function createUploads(options: UploadsOptions): Uploads {
  const { root, store, folder, usage, discover, maximumBlob, pace, silence } = options;
  /** Sums of what has come so far, so that a large blob is not read a second time; made again where they are lost. */
  const sums = new Map<string, Sum>();
  /** One request at a time writes to an upload. */
  const busy = new Map<string, Writer>();

  /** @param request undefined for what sends nothing */
  async function exclusively<T>(id: string, request: IncomingMessage | undefined, body: () => Promise<T>): Promise<T> {
    const other = busy.get(id);
    if (other !== undefined) {
      // A line that broke may look alive from here: its client is the one that asks now.
      if (other.request !== undefined && Date.now() - other.lastByte > silence) other.request.destroy();
      await Promise.race([other.ended, sleep(patience, undefined, { ref: false })]);
    }
    if (busy.has(id)) throw new Refusal(409, 'BLOB_UPLOAD_INVALID', 'another request is writing to this upload');
    let end = () => {};
    const writer: Writer = {
      request,
      lastByte: Date.now(),
      ended: new Promise((resolve) => {
        end = resolve;
      }),
    };
    busy.set(id, writer);
    try {
      return await body();
    } finally {
      busy.delete(id);
      end();
    }
  }

  async function found(repository: Repository, id: string): Promise<FoundFile> {
    const upload = await folder.find(repository.name, id);
    if (upload === undefined) throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload, or it has ended');
    return upload;
  }

  async function forget(repository: Repository, id: string): Promise<void> {
    sums.delete(id);
    usage.release(id);
    await folder.remove(repository.name, id);
  }

  /** Adds the request's body; returns the sum and size of the whole. What came before a broken line stays. */
  async function add(request: IncomingMessage, repository: Repository, id: string, upload: FoundFile): Promise<Sum> {
    const sum = await sumOf(id, upload);
    const announced = Number(request.headers['content-length'] ?? 0);
    if (upload.size + announced > maximumBlob)
      throw new Refusal(413, 'SIZE_INVALID', `a blob has ${maximumBlob} bytes at most here`);
    await usage.hold(id, repository.name, upload.size + announced);
    const file = await open(upload.path, 'a');
    try {
      for await (const piece of pieces(request, maximumBlob - upload.size, pace)) {
        if (sum.size + piece.length > upload.size + announced)
          await usage.hold(id, repository.name, sum.size + piece.length);
        for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
        sum.hash.update(piece);
        sum.size += piece.length;
        const writer = busy.get(id);
        if (writer) writer.lastByte = Date.now();
      }
    } finally {
      await file.close();
    }
    return sum;
  }

  async function sumOf(id: string, upload: FoundFile): Promise<Sum> {
    const known = sums.get(id);
    if (known?.size === upload.size) return known;
    const sum: Sum = { hash: createHash('sha256'), size: 0 };
    if (upload.size > 0)
      for await (const piece of createReadStream(upload.path, { highWaterMark: 256 * 1024 })) {
        sum.hash.update(piece as Buffer);
        sum.size += (piece as Buffer).length;
      }
    if (sums.size >= maximumSums) sums.delete(sums.keys().next().value!);
    sums.set(id, sum);
    return sum;
  }

  /** The upload as a blob, where it is what the client says. The upload is gone afterwards, either way. */
  async function complete(
    repository: Repository,
    id: string,
    path: string,
    sum: Sum,
    expected: AnyDigest,
  ): Promise<void> {
    const digest: Digest = `sha256:${sum.hash.copy().digest('hex')}`;
    const named = isDigest(expected) ? digest : await digestOfFile(path, expected);
    if (named !== expected) {
      await forget(repository, id);
      throw new Refusal(400, 'DIGEST_INVALID', `what came is ${named}, not ${expected}`);
    }
    const file = await open(path, 'r+');
    await file.datasync().finally(() => file.close());
    await repository.adoptBlob({ path, size: sum.size }, digest, expected);
    await forget(repository, id);
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

  function created(response: ServerResponse, repository: Repository, digest: AnyDigest): void {
    answer(response, 201, { location: `/v2/${repository.name}/blobs/${digest}`, 'docker-content-digest': digest });
  }

  async function mount(repository: Repository, digest: AnyDigest, from: string | null): Promise<boolean> {
    const id = crypto.randomUUID();
    try {
      if (from !== null && isRepository(from)) {
        const source = options.repository(from);
        const there = await source.blob(digest);
        if (there !== undefined && (await repository.blob(digest)) === undefined)
          await usage.hold(id, repository.name, there.size);
        if (await repository.mountBlob(digest, source)) return true;
      }
      if (!discover) return false;
      const size = isDigest(digest) ? await store.size(digest) : undefined;
      if (size === undefined || !isDigest(digest)) return await mountFromAny(repository, digest, id);
      await usage.hold(id, repository.name, size);
      await repository.linkBlob(digest);
      return true;
    } finally {
      usage.release(id);
    }
  }

  /** From whichever repository has it: the store may have been emptied, and knows no SHA-512. */
  async function mountFromAny(repository: Repository, digest: AnyDigest, id: string): Promise<boolean> {
    for (const name of await repositoryNames(root)) {
      const source = options.repository(name);
      const there = await source.blob(digest);
      if (there === undefined) continue;
      await usage.hold(id, repository.name, there.size);
      if (await repository.mountBlob(digest, source)) return true;
    }
    return false;
  }

  return {
    async begin(request, response, repository, query) {
      const wanted = query.get('mount');
      if (wanted !== null && isAnyDigest(wanted) && (await mount(repository, wanted, query.get('from'))))
        return created(response, repository, wanted);
      const digest = query.get('digest');
      if (digest === null) {
        const { id } = await folder.create(repository.name);
        return answer(response, 202, location(repository, id, 0));
      }
      // The whole blob in one request.
      const expected = digestIn(digest);
      const { id, path } = await folder.create(repository.name);
      try {
        const sum = await add(request, repository, id, { path, size: 0 });
        await complete(repository, id, path, sum, expected);
      } catch (error) {
        // Nobody knows of this upload, so that nobody can go on with it.
        await forget(repository, id);
        throw error;
      }
      created(response, repository, expected);
    },

    append: (request, response, repository, id) =>
      exclusively(id, request, async () => {
        const upload = await found(repository, id);
        checkRange(request, upload.size, location(repository, id, upload.size));
        const { size } = await add(request, repository, id, upload);
        answer(response, 202, location(repository, id, size));
      }),

    finish: (request, response, repository, id, query) =>
      exclusively(id, request, async () => {
        const upload = await found(repository, id);
        const expected = digestIn(query.get('digest'));
        checkRange(request, upload.size, location(repository, id, upload.size));
        const sum = await add(request, repository, id, upload);
        await complete(repository, id, upload.path, sum, expected);
        created(response, repository, expected);
      }),

    async status(response, repository, id) {
      // After a broken line the last of what came may still be on its way to the disk.
      const other = busy.get(id);
      if (other !== undefined) await Promise.race([other.ended, sleep(patience, undefined, { ref: false })]);
      const { size } = await found(repository, id);
      answer(response, 204, location(repository, id, size));
    },

    async cancel(response, repository, id) {
      await found(repository, id);
      await exclusively(id, undefined, () => forget(repository, id));
      answer(response, 204, {});
    },
  };
}

async function digestOfFile(path: string, like: AnyDigest): Promise<string> {
  const hash = hashFor(like);
  for await (const piece of createReadStream(path, { highWaterMark: 256 * 1024 })) hash.update(piece as Buffer);
  return `${like.slice(0, like.indexOf(':'))}:${hash.digest('hex')}`;
}

function digestIn(text: string | null): AnyDigest {
  if (text !== null && isAnyDigest(text)) return text;
  throw new Refusal(400, 'DIGEST_INVALID', 'the query needs digest=sha256:... with 64 lower-case hex digits');
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
