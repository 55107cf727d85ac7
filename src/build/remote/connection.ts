import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallOptions, ClientReadableStream, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { problemOf, RemoteFailure } from './failure.ts';
import type { ActionResult, Codec, Digest, Directory, Tree } from './messages.ts';
import type { RemoteCacheSettings } from './settings.ts';

/** A server of the Remote Execution API that has said what it can do. Each call throws RemoteFailure, and the signal's reason. */
export interface Connection {
  readonly codec: Codec;
  /** Whether results may be sent to it. */
  readonly takesResults: boolean;
  /** Bytes of content that one batch may have. */
  readonly batchLimit: number;
  result(action: Digest, signal: AbortSignal): Promise<ActionResult>;
  putResult(action: Digest, result: ActionResult, signal: AbortSignal): Promise<void>;
  missing(digests: readonly Digest[], signal: AbortSignal): Promise<Digest[]>;
  /** Contents as the server gives them: the caller checks their sums. In no certain order. */
  readBatch(digests: readonly Digest[], signal: AbortSignal): Promise<{ digest: Digest; data: Buffer }[]>;
  writeBatch(blobs: readonly { digest: Digest; data: Buffer }[], signal: AbortSignal): Promise<void>;
  /** Writes a blob's content to a file. The caller checks its sum. */
  readTo(digest: Digest, path: string, signal: AbortSignal): Promise<void>;
  writeFrom(digest: Digest, path: string, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Milliseconds that the first answer may take: nobody waits longer for a cache that is away. */
const firstAnswer = 3_000;
/** Milliseconds for a small request. */
const answer = 10_000;
/** Bytes a second that content has to come or go at, at least, on top of the time of a small request. */
const slowest = 256 * 1024;
/** gRPC refuses larger messages unless told otherwise: what a server takes that names no limit. */
const messageLimit = 4 * 1024 * 1024;
/** What a batch needs beside content. */
const batchOverhead = 64 * 1024;
/** Bytes of one message of a stream. */
const piece = 512 * 1024;

/** Milliseconds until a busy server is asked again, each with as much again of chance. */
const pauses = [50, 100, 200, 400, 800, 1600];

/** Asks a server again that is busy. */
async function patiently<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  for (const pause of pauses) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RemoteFailure) || error.problem !== 'busy') throw error;
    }
    await sleep(pause * (1 + Math.random()), undefined, signal === undefined ? {} : { signal }).catch(
      (error: unknown) => {
        signal?.throwIfAborted();
        throw error;
      },
    );
  }
  return work();
}

const api = 'build.bazel.remote.execution.v2';

/** @throws RemoteFailure */
export async function connect(settings: RemoteCacheSettings): Promise<Connection> {
  // Loaded here, so that nothing starts slower that asks no remote cache.
  const [grpc, loader] = await Promise.all([import('@grpc/grpc-js'), import('@grpc/proto-loader')]);
  const folder = join(import.meta.dirname, 'proto');
  const definition = loader.loadSync(['remote_execution.proto', 'bytestream.proto'], {
    includeDirs: [folder],
    longs: Number,
    enums: Number,
    defaults: true,
    arrays: true,
  });
  const tls =
    settings.tls === undefined ? grpc.credentials.createInsecure() : grpc.credentials.createSsl(settings.tls.ca);
  const client = new grpc.Client(settings.authority, tls, {
    'grpc.max_receive_message_length': 4 * messageLimit,
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 5_000,
    'grpc.primary_user_agent': 'banksman',
  });
  const metadata = new grpc.Metadata();
  if (settings.authorization !== undefined) metadata.set('authorization', settings.authorization);

  const methodOf = (service: string, name: string) => {
    const found = (definition[service] as unknown as Record<string, Method> | undefined)?.[name];
    if (found === undefined) throw new Error(`${service} has no ${name}`);
    return found;
  };
  const optionsFor = (milliseconds: number): CallOptions => ({ deadline: Date.now() + milliseconds });

  const unary = async <Answer>(
    service: string,
    name: string,
    request: object,
    milliseconds: number,
    signal?: AbortSignal,
  ): Promise<Answer> => {
    const { path, requestSerialize, responseDeserialize } = methodOf(service, name);
    const once = () =>
      new Promise<Answer>((resolve, reject) => {
        signal?.throwIfAborted();
        const call: ClientUnaryCall = client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize as (bytes: Buffer) => Answer,
          request,
          metadata as Metadata,
          optionsFor(milliseconds),
          (error: ServiceError | null, value?: Answer) => {
            signal?.removeEventListener('abort', cancel);
            if (error === null) resolve(value as Answer);
            else reject(signal?.aborted ? signal.reason : failureOf(error));
          },
        );
        const cancel = () => call.cancel();
        signal?.addEventListener('abort', cancel);
      });
    return patiently(signal, once);
  };

  const message = <T>(name: string) => definition[`${api}.${name}`] as unknown as MessageTypeDefinition<T, T>;
  const codec: Codec = {
    action: message<{ commandDigest: Digest; inputRootDigest: Digest }>('Action').serialize,
    command: message<{ arguments: readonly string[] }>('Command').serialize,
    directory: message<Directory>('Directory').serialize,
    tree: message<Tree>('Tree').serialize,
    readTree: message<Tree>('Tree').deserialize,
  };
  const { instance } = settings;
  const resource = (kind: string, { hash, sizeBytes }: Digest) =>
    `${instance === '' ? '' : `${instance}/`}${kind}/${hash}/${sizeBytes}`;
  const timeFor = (bytes: number) => answer + (bytes / slowest) * 1000;

  const capabilities = async () => {
    const said = await unary<Capabilities>(
      `${api}.Capabilities`,
      'GetCapabilities',
      { instanceName: instance },
      firstAnswer,
    );
    const cache = said.cacheCapabilities;
    // 1 is SHA256. See the message DigestFunction.
    if (!cache?.digestFunctions.includes(1)) throw new RemoteFailure('refused', 'it does not use SHA-256');
    const [low, high] = [said.lowApiVersion?.major ?? 2, said.highApiVersion?.major ?? 2];
    if (low > 2 || high < 2) {
      throw new RemoteFailure('refused', `it speaks version ${high} of the Remote Execution API, not version 2`);
    }
    const most = messageLimit - batchOverhead;
    const limit = cache.maxBatchTotalSizeBytes;
    return {
      takesResults: cache.actionCacheUpdateCapabilities?.updateEnabled === true,
      batchLimit: limit > 0 ? Math.max(1024, Math.min(limit - batchOverhead, most)) : most,
    };
  };

  const { takesResults, batchLimit } = await capabilities().catch((error: unknown) => {
    client.close();
    throw error;
  });

  const readTo = async (digest: Digest, path: string, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    const { path: method, requestSerialize, responseDeserialize } = methodOf('google.bytestream.ByteStream', 'Read');
    const call: ClientReadableStream<{ data: Buffer }> = client.makeServerStreamRequest(
      method,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => { data: Buffer },
      { resourceName: resource('blobs', digest), readOffset: 0, readLimit: 0 },
      metadata,
      optionsFor(timeFor(digest.sizeBytes)),
    );
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel);
    const file = await open(path, 'w');
    let left = digest.sizeBytes;
    try {
      for await (const { data } of call as AsyncIterable<{ data: Buffer }>) {
        left -= data.length;
        if (left < 0) throw new RemoteFailure('corrupt', `${digest.hash} is longer than its digest says`);
        await file.writeFile(data);
      }
    } catch (error) {
      call.cancel();
      if (signal.aborted) throw signal.reason;
      throw isServiceError(error) ? failureOf(error) : error;
    } finally {
      signal.removeEventListener('abort', cancel);
      await file.close();
    }
  };

  const writeFrom = async (digest: Digest, path: string, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    const { path: method, requestSerialize, responseDeserialize } = methodOf('google.bytestream.ByteStream', 'Write');
    const file = await open(path, 'r');
    let cancel = () => {};
    try {
      let ended = false;
      let wake = () => {};
      const outcome = new Promise<void>((resolve, reject) => {
        const call = client.makeClientStreamRequest(
          method,
          requestSerialize,
          responseDeserialize as (bytes: Buffer) => { committedSize: number },
          metadata,
          optionsFor(timeFor(digest.sizeBytes)),
          (error: ServiceError | null, value?: { committedSize: number }) => {
            ended = true;
            wake();
            if (error !== null) return reject(signal.aborted ? signal.reason : failureOf(error));
            // -1 stands for a blob that was there already, of a compressed upload.
            const size = value?.committedSize;
            if (size === digest.sizeBytes || size === -1) return resolve();
            reject(new RemoteFailure('refused', `it took ${size} of ${digest.sizeBytes} bytes of ${digest.hash}`));
          },
        );
        cancel = () => call.cancel();
        signal.addEventListener('abort', cancel);
        call.on('drain', () => wake());
        const send = async () => {
          const buffer = Buffer.alloc(Math.min(piece, digest.sizeBytes));
          for (let offset = 0; offset < digest.sizeBytes && !ended; ) {
            const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
            if (bytesRead === 0)
              throw new RemoteFailure('refused', `${path} is shorter than ${digest.sizeBytes} bytes`);
            const data = Buffer.from(buffer.subarray(0, bytesRead));
            // The resource is named in the first message alone.
            const resourceName = offset === 0 ? resource(`uploads/${randomUUID()}/blobs`, digest) : '';
            const finishWrite = offset + bytesRead === digest.sizeBytes;
            const more = new Promise<void>((go) => {
              wake = go;
            });
            if (ended) break;
            // The server may end the call before: it has the blob by another's hand.
            if (!call.write({ resourceName, writeOffset: offset, finishWrite, data })) await more;
            offset += bytesRead;
          }
          if (!ended) call.end();
        };
        send().catch((error: unknown) => {
          call.cancel();
          reject(error);
        });
      });
      await outcome;
    } finally {
      signal.removeEventListener('abort', cancel);
      await file.close();
    }
  };

  return {
    codec,
    takesResults,
    batchLimit,
    result: (actionDigest, signal) =>
      unary(`${api}.ActionCache`, 'GetActionResult', { instanceName: instance, actionDigest }, answer, signal),
    async putResult(actionDigest, actionResult, signal) {
      const request = { instanceName: instance, actionDigest, actionResult };
      await unary(`${api}.ActionCache`, 'UpdateActionResult', request, answer, signal);
    },
    async missing(blobDigests, signal) {
      const service = `${api}.ContentAddressableStorage`;
      const said = await unary<{ missingBlobDigests: Digest[] }>(
        service,
        'FindMissingBlobs',
        { instanceName: instance, blobDigests },
        answer,
        signal,
      );
      return said.missingBlobDigests;
    },
    async readBatch(digests, signal) {
      const bytes = digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const service = `${api}.ContentAddressableStorage`;
      const said = await unary<{ responses: { digest: Digest | null; data: Buffer; status: Status | null }[] }>(
        service,
        'BatchReadBlobs',
        { instanceName: instance, digests },
        timeFor(bytes),
        signal,
      );
      return said.responses.map(({ digest, data, status }) => {
        checkStatus(status);
        if (digest === null) throw new RemoteFailure('corrupt', 'a blob of a batch has no sum');
        return { digest, data };
      });
    },
    async writeBatch(blobs, signal) {
      const bytes = blobs.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
      const service = `${api}.ContentAddressableStorage`;
      const said = await unary<{ responses: { status: Status | null }[] }>(
        service,
        'BatchUpdateBlobs',
        { instanceName: instance, requests: blobs },
        timeFor(bytes),
        signal,
      );
      for (const { status } of said.responses) checkStatus(status);
    },
    readTo: (digest, path, signal) => patiently(signal, () => readTo(digest, path, signal)),
    writeFrom: (digest, path, signal) => patiently(signal, () => writeFrom(digest, path, signal)),
    close: () => client.close(),
  };
}

interface Method {
  readonly path: string;
  readonly requestSerialize: (value: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

interface Status {
  readonly code: number;
  readonly message: string;
}

interface Capabilities {
  readonly cacheCapabilities: {
    readonly digestFunctions: readonly number[];
    readonly actionCacheUpdateCapabilities: { readonly updateEnabled: boolean } | null;
    readonly maxBatchTotalSizeBytes: number;
  } | null;
  readonly lowApiVersion: { readonly major: number } | null;
  readonly highApiVersion: { readonly major: number } | null;
}

function checkStatus(status: Status | null): void {
  if (status === null || status.code === 0) return;
  throw new RemoteFailure(problemOf(status.code), status.message === '' ? `status ${status.code}` : status.message);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof (error as Partial<ServiceError>).code === 'number';
}

function failureOf(error: ServiceError): RemoteFailure {
  return new RemoteFailure(problemOf(error.code), error.details === '' ? error.message : error.details, error);
}
