import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { ImageFault } from '../fault.ts';

/** How to reach a registry. Nothing given: TLS with the system's authorities and ~/.docker/config.json. */
export interface RegistryTransport {
  /** Unix socket that the registry listens on, in place of its host name. */
  readonly socketPath?: string;
  /** PEM texts: authorities in place of the system's, and a certificate of one's own. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** HTTP without TLS. For tests, and for what no network carries. */
  readonly plainHttp?: boolean;
  /** In place of ~/.docker/config.json. */
  readonly credentials?: { readonly username: string; readonly password: string } | 'anonymous';
}

export interface Call {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string | number>>;
  /** Made anew for each try. */
  readonly body?: () => AsyncIterable<Uint8Array> | Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** Requests to one registry, over connections that are kept. */
export interface Connection {
  readonly scheme: 'http' | 'https';
  /** One try. The answer's body must be read or resumed. */
  send(call: Call): Promise<IncomingMessage>;
  close(): void;
}

/** Milliseconds without a byte in either direction. */
const idleTimeout = 60_000;

export function connect(transport: RegistryTransport): Connection {
  const { socketPath, ca, cert, key, plainHttp = false } = transport;
  const options = { keepAlive: true, maxSockets: 16, timeout: idleTimeout };
  const agent = plainHttp
    ? new HttpAgent(options)
    : new HttpsAgent({
        ...options,
        ...(ca && { ca }),
        ...(cert && { cert }),
        ...(key && { key }),
        minVersion: 'TLSv1.2',
      });
  // A redirect leads to a storage service: neither our socket nor our certificate is for it.
  const elsewhere = new HttpsAgent(options);
  let host: string | undefined;
  return {
    scheme: plainHttp ? 'http' : 'https',
    async send({ method, url, headers, body, signal }) {
      host ??= url.host;
      const own = url.host === host;
      const secure = url.protocol === 'https:';
      if (!secure && !(own && plainHttp)) {
        throw new ImageFault('image/registry-refused', `${host} leads to ${url.host} without TLS`);
      }
      const send = secure ? httpsRequest : httpRequest;
      return new Promise<IncomingMessage>((resolve, reject) => {
        const request = send(
          url,
          {
            method,
            headers: { 'user-agent': 'banksman', ...headers },
            agent: own ? agent : elsewhere,
            ...(own && socketPath !== undefined && { socketPath }),
            ...(signal && { signal }),
          },
          resolve,
        );
        request.on('timeout', () => request.destroy(new Error(`no answer for ${idleTimeout / 1000} s`)));
        request.on('error', reject);
        void writeBody(request, body?.()).catch((error: Error) => request.destroy(error));
      });
    },
    close() {
      agent.destroy();
      elsewhere.destroy();
    },
  };
}

async function writeBody(
  request: ReturnType<typeof httpRequest>,
  body: AsyncIterable<Uint8Array> | Uint8Array | undefined,
): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    request.end(body);
    return;
  }
  for await (const piece of body) {
    if (request.destroyed) return;
    if (!request.write(piece)) await writable(request);
  }
  request.end();
}

/** Waits until the request takes more, or has ended. */
function writable(request: ReturnType<typeof httpRequest>): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      request.off('drain', go);
      request.off('close', go);
      resolve();
    };
    request.on('drain', go);
    request.on('close', go);
  });
}

/** Tries at one request, the first included. */
export const maximumTries = 5;
/** Milliseconds: the first pause, doubled each time, and the longest one. */
const firstPause = 200;
const longestPause = 20_000;

/** Waits before the next try: longer each time, and never for all clients at the same moment. */
export async function backOff(attempt: number, signal: AbortSignal | undefined, asked?: number): Promise<void> {
  const pause = Math.min(longestPause, firstPause * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
  await sleep(asked ?? pause, undefined, signal && { signal });
}

const transient = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  'EAI_AGAIN',
  'UND_ERR_SOCKET',
  'ECONNABORTED',
]);

/**
 * Sends again after a broken connection and after 429, 500, 502, 503 and 504, with growing pauses of random length, or
 * after as long as the registry asks for. distribution-spec leaves retries to the client.
 *
 * @throws ImageFault image/registry-unreachable
 */
export async function sendWithRetries(
  connection: Connection,
  call: Call,
  tries = maximumTries,
): Promise<IncomingMessage> {
  for (let attempt = 1; ; attempt++) {
    let pause: number | undefined;
    try {
      const answer = await connection.send(call);
      if (attempt >= tries || !mayPass(answer.statusCode)) return answer;
      pause = retryAfter(answer.headers['retry-after']);
      answer.resume();
    } catch (error) {
      if (call.signal?.aborted) throw call.signal.reason;
      if (error instanceof ImageFault) throw error;
      if (attempt >= tries || !transient.has((error as NodeJS.ErrnoException).code ?? ''))
        throw unreachable(call.url, error);
    }
    await backOff(attempt, call.signal, pause);
  }
}

export function mayPass(status: number | undefined): boolean {
  return status === 429 || status === 500 || status === 502 || status === 503 || status === 504;
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const pause = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(pause) ? Math.min(Math.max(pause, 0), longestPause) : undefined;
}

function unreachable(url: URL, cause: unknown): ImageFault {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const certificate = /CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME/.test(code);
  return new ImageFault('image/registry-unreachable', `the registry ${url.host} can't be reached: ${message || code}`, {
    cause,
    next: certificate
      ? 'give the authority that signed the certificate of the registry'
      : 'check that the registry runs and that its name is right, and try again',
  });
}
