import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** A server of the Remote Execution API in this process, for what a good server doesn't do. */
export interface RemoteServer {
  readonly url: string;
  /** By sum. */
  readonly blobs: Map<string, Buffer>;
  /** By the sum of the action; messages as they came. */
  readonly results: Map<string, Result>;
  /** Calls by name. */
  readonly calls: Map<string, number>;
  /** Bytes of content that came. */
  received: number;
  readonly behave: Behaviour;
  stop(): void;
}

export interface Result {
  outputFiles: { path: string; digest: Digest; isExecutable: boolean }[];
  outputDirectories: { path: string; treeDigest: Digest }[];
  exitCode: number;
}

interface Digest {
  hash: string;
  sizeBytes: number;
}

export interface Behaviour {
  /** Calls of this name (or of all: '*') get no answer. */
  hang?: string;
  /** They get this status. */
  fail?: { readonly call: string; readonly code: grpc.status };
  /** The next so many calls are turned away as too many. */
  busy?: number;
  /** Value of `authorization` that it wants. */
  authorization?: string;
  digestFunctions?: number[];
  updateEnabled?: boolean;
  maxBatchTotalSizeBytes?: number;
  /** What becomes of content on its way out. */
  damage?: (data: Buffer) => Buffer;
}

const api = 'build.bazel.remote.execution.v2';

export async function startRemoteServer(behave: Behaviour = {}): Promise<RemoteServer> {
  const definition = loadSync(['remote_execution.proto', 'bytestream.proto'], {
    includeDirs: [join(import.meta.dirname, '../remote/proto')],
    longs: Number,
    enums: Number,
    defaults: true,
    arrays: true,
  });
  const blobs = new Map<string, Buffer>();
  const results = new Map<string, Result>();
  const calls = new Map<string, number>();
  const server = new grpc.Server();
  const state = { received: 0 };
  const out = (data: Buffer) => behave.damage?.(data) ?? data;
  const failure = (code: grpc.status) => ({ code, details: grpc.status[code] });

  /** @returns undefined where there is to be no answer, a status, or 0 to go on */
  const gate = (name: string, metadata: grpc.Metadata): grpc.status | undefined => {
    calls.set(name, (calls.get(name) ?? 0) + 1);
    if (behave.busy !== undefined && behave.busy > 0) {
      behave.busy--;
      return grpc.status.RESOURCE_EXHAUSTED;
    }
    if (behave.hang === name || behave.hang === '*') return undefined;
    if (behave.authorization !== undefined && metadata.get('authorization')[0] !== behave.authorization) {
      return grpc.status.UNAUTHENTICATED;
    }
    return behave.fail?.call === name ? behave.fail.code : grpc.status.OK;
  };
  const unary =
    <Q, A>(name: string, answer: (request: Q) => A | grpc.status) =>
    (call: grpc.ServerUnaryCall<Q, A>, done: grpc.sendUnaryData<A>) => {
      const gated = gate(name, call.metadata);
      if (gated === undefined) return;
      if (gated !== grpc.status.OK) return done(failure(gated));
      const value = answer(call.request);
      if (typeof value === 'number') done(failure(value));
      else done(null, value);
    };
  const service = (name: string) => definition[name] as unknown as grpc.ServiceDefinition;

  server.addService(service(`${api}.Capabilities`), {
    GetCapabilities: unary('GetCapabilities', () => ({
      cacheCapabilities: {
        digestFunctions: behave.digestFunctions ?? [1],
        actionCacheUpdateCapabilities: { updateEnabled: behave.updateEnabled ?? true },
        maxBatchTotalSizeBytes: behave.maxBatchTotalSizeBytes ?? 0,
      },
      lowApiVersion: { major: 2 },
      highApiVersion: { major: 2 },
    })),
  });
  server.addService(service(`${api}.ActionCache`), {
    GetActionResult: unary(
      'GetActionResult',
      ({ actionDigest }: { actionDigest: Digest }) => results.get(actionDigest.hash) ?? grpc.status.NOT_FOUND,
    ),
    UpdateActionResult: unary(
      'UpdateActionResult',
      ({ actionDigest, actionResult }: { actionDigest: Digest; actionResult: Result }) => {
        results.set(actionDigest.hash, actionResult);
        return actionResult;
      },
    ),
  });
  const take = (digest: Digest, data: Buffer): number => {
    if (createHash('sha256').update(data).digest('hex') !== digest.hash || data.length !== digest.sizeBytes) {
      return grpc.status.INVALID_ARGUMENT;
    }
    blobs.set(digest.hash, data);
    state.received += data.length;
    return 0;
  };
  server.addService(service(`${api}.ContentAddressableStorage`), {
    FindMissingBlobs: unary('FindMissingBlobs', ({ blobDigests }: { blobDigests: Digest[] }) => ({
      missingBlobDigests: blobDigests.filter(({ hash }) => !blobs.has(hash)),
    })),
    BatchUpdateBlobs: unary('BatchUpdateBlobs', ({ requests }: { requests: { digest: Digest; data: Buffer }[] }) => ({
      responses: requests.map(({ digest, data }) => ({ digest, status: { code: take(digest, data) } })),
    })),
    BatchReadBlobs: unary('BatchReadBlobs', ({ digests }: { digests: Digest[] }) => ({
      responses: digests.map((digest) => {
        const data = blobs.get(digest.hash);
        if (data === undefined) return { digest, status: { code: grpc.status.NOT_FOUND } };
        return { digest, data: out(data), status: { code: 0 } };
      }),
    })),
  });
  server.addService(service('google.bytestream.ByteStream'), {
    Read(call: grpc.ServerWritableStream<{ resourceName: string }, { data: Buffer }>) {
      const gated = gate('Read', call.metadata);
      if (gated === undefined) return;
      const data = blobs.get(call.request.resourceName.split('/').at(-2) ?? '');
      if (gated !== 0 || data === undefined) {
        call.destroy(Object.assign(new Error('no'), failure(gated === 0 ? grpc.status.NOT_FOUND : gated)));
        return;
      }
      const whole = out(data);
      for (let at = 0; at < whole.length; at += 1 << 20) call.write({ data: whole.subarray(at, at + (1 << 20)) });
      call.end();
    },
    Write(
      call: grpc.ServerReadableStream<{ resourceName: string; data: Buffer }, { committedSize: number }>,
      done: grpc.sendUnaryData<{ committedSize: number }>,
    ) {
      const gated = gate('Write', call.metadata);
      if (gated === undefined) return;
      let name = '';
      const pieces: Buffer[] = [];
      call.on('data', ({ resourceName, data }) => {
        if (name === '') name = resourceName;
        pieces.push(data);
      });
      call.on('end', () => {
        const [hash = '', size] = name.split('/').slice(-2);
        const whole = Buffer.concat(pieces);
        const code = gated === 0 ? take({ hash, sizeBytes: Number(size) }, whole) : gated;
        if (code === 0) done(null, { committedSize: whole.length });
        else done(failure(code));
      });
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    url: `grpc://127.0.0.1:${port}`,
    blobs,
    results,
    calls,
    behave,
    get received() {
      return state.received;
    },
    stop: () => server.forceShutdown(),
  };
}
