import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { TlsClient } from './components/component.ts';
import { LocalFault } from './fault.ts';

/** A Kubernetes object as far as this folder looks into it. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

/** An answer of the API other than success. `status` is HTTP's. */
export class ApiError extends LocalFault {
  readonly status: number;
  constructor(status: number, message: string) {
    super('local/api', message);
    this.status = status;
  }
}

/** The Kubernetes API, through the portal's socket, for what the cluster needs of itself. */
export interface Api {
  get(path: string): Promise<KubeObject>;
  create(path: string, object: unknown): Promise<KubeObject>;
  /** Server-side apply, by the field manager `banksman-local`, taking fields over. */
  apply(path: string, object: unknown): Promise<KubeObject>;
  /** JSON merge patch, RFC 7386. */
  merge(path: string, patch: unknown): Promise<KubeObject>;
  remove(path: string): Promise<void>;
  /**
   * Follows a list. `onChange` has all of it, first when it is known whole, then after each change. It goes on, whatever breaks,
   * until the signal.
   */
  follow(path: string, onChange: (objects: ReadonlyMap<string, KubeObject>) => void, signal: AbortSignal): void;
  close(): void;
}

/** Milliseconds. */
const timeout = 10_000;
/** Seconds after which the server ends a watch, and it is begun again where it was. */
const watchSeconds = 290;
const pauseAfterError = 1_000;

export function openApi(socketPath: string, tls: TlsClient): Api {
  const agent = new Agent({ keepAlive: true, maxSockets: 16, maxFreeSockets: 2 });
  const credentials = {
    ca: readFileSync(tls.ca),
    cert: readFileSync(tls.certificate),
    key: readFileSync(tls.key),
  };

  const open = (
    method: string,
    path: string,
    options: { body?: string; type?: string; signal?: AbortSignal; wait?: number },
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          socketPath,
          agent,
          servername: tls.serverName,
          host: tls.serverName,
          ...credentials,
          method,
          path,
          timeout: options.wait ?? timeout,
          headers: {
            accept: 'application/json',
            ...(options.body !== undefined && {
              'content-type': options.type ?? 'application/json',
              'content-length': Buffer.byteLength(options.body),
            }),
          },
          ...(options.signal && { signal: options.signal }),
        },
        resolve,
      );
      call.on('timeout', () => call.destroy(new Error(`the API gave no answer in ${timeout / 1000} s`)));
      call.on('error', reject);
      call.end(options.body);
    });

  const call = async (method: string, path: string, body?: unknown, type?: string, signal?: AbortSignal) => {
    const response = await open(method, path, {
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(type !== undefined && { type }),
      ...(signal && { signal }),
    });
    const text = await readAll(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw new ApiError(status, `${method} ${path}: ${messageOf(text, status)}`);
    return JSON.parse(text) as KubeObject & { items?: KubeObject[] };
  };

  const follow = async (
    path: string,
    onChange: (objects: ReadonlyMap<string, KubeObject>) => void,
    signal: AbortSignal,
  ) => {
    const separator = path.includes('?') ? '&' : '?';
    while (!signal.aborted) {
      try {
        const list = await call('GET', path, undefined, undefined, signal);
        const objects = new Map((list.items ?? []).map((item) => [keyOf(item), item]));
        let version = list.metadata.resourceVersion ?? '';
        onChange(objects);
        for (;;) {
          const watchPath = `${path}${separator}watch=true&allowWatchBookmarks=true&resourceVersion=${version}&timeoutSeconds=${watchSeconds}`;
          const response = await open('GET', watchPath, { signal, wait: (watchSeconds + 30) * 1000 });
          if (response.statusCode !== 200) throw new ApiError(response.statusCode ?? 0, await readAll(response));
          for await (const line of linesOf(response)) {
            const event = JSON.parse(line) as { type: string; object: KubeObject };
            if (event.type === 'ERROR') throw new ApiError(410, 'the watch is too old');
            version = event.object.metadata.resourceVersion ?? version;
            if (event.type === 'BOOKMARK') continue;
            if (event.type === 'DELETED') objects.delete(keyOf(event.object));
            else objects.set(keyOf(event.object), event.object);
            onChange(objects);
          }
        }
      } catch {
        // The API is away, or remembers no changes that far back: the list tells all anew.
        if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, pauseAfterError));
      }
    }
  };

  return {
    get: (path) => call('GET', path),
    create: (path, object) => call('POST', path, object),
    apply: (path, object) =>
      call('PATCH', `${path}?fieldManager=banksman-local&force=true`, object, 'application/apply-patch+yaml'),
    merge: (path, patch) => call('PATCH', path, patch, 'application/merge-patch+json'),
    remove: async (path) => {
      await call('DELETE', path);
    },
    follow: (path, onChange, signal) => void follow(path, onChange, signal),
    close: () => agent.destroy(),
  };
}

export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

async function readAll(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const piece of response) text += piece;
  return text;
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const piece of response) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield line;
  }
}

/** The message of a `Status` object, which is what the API answers errors with. */
function messageOf(text: string, status: number): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // A proxy's or an early error: plain text.
  }
  return `HTTP ${status} ${text.slice(0, 200)}`;
}
