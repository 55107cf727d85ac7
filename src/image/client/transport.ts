import type { Agent, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, getCACertificates } from 'node:tls';
import { HttpAgent, httpRequest } from '../../process/index.ts';
import { ImageFault } from '../fault.ts';
import type { Certificates } from './certificates.ts';

/** How to reach a registry. Nothing given: TLS with the system's authorities, and what `docker login` left. */
export interface RegistryTransport {
  /** Unix socket that the registry listens on, in place of its host name. */
  readonly socketPath?: string;
  /** PEM texts: authorities in place of the system's, and a certificate of one's own. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** PEM text: authorities beside the system's, also for the storage that the registry leads to. */
  readonly moreCa?: string;
  /** What is known of a host that the registry leads to; nothing unless told. */
  readonly certificatesFor?: (host: string) => Promise<Certificates>;
  /**
   * HTTP without TLS: for tests, and for what no network carries. Where nothing is said, a registry on this machine's
   * loopback is asked with TLS first and without after that; any other has TLS.
   */
  readonly plainHttp?: boolean;
  /** In place of what `docker login` left. */
  readonly credentials?: { readonly username: string; readonly password: string } | 'anonymous';
  /** Milliseconds without a byte in either direction; 60 s unless told. */
  readonly idleTimeout?: number;
  /** Milliseconds before the second try; 200 unless told. */
  readonly firstPause?: number;
  /** Bytes of a piece of a large blob, each of which is safe once it is answered; 32 MiB unless told. */
  readonly chunkSize?: number;
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
  /** Where its API begins: `https://registry.example`, without a slash at the end. */
  base(signal?: AbortSignal): Promise<string>;
  /** One try. The answer's body must be read or resumed. */
  send(call: Call): Promise<IncomingMessage>;
  readonly firstPause: number;
  readonly chunkSize: number;
  close(): void;
}

const defaultIdleTimeout = 60_000;
const defaultChunkSize = 32 * 1024 * 1024;

/** @param host host, and port where it is not the usual one */
export function connect(host: string, transport: RegistryTransport): Connection {
  const { socketPath, ca, cert, key, moreCa, idleTimeout = defaultIdleTimeout } = transport;
  const options = { keepAlive: true, maxSockets: 16, timeout: idleTimeout };
  let plainHttp = transport.plainHttp;
  let http: Agent | undefined;
  let https: HttpsAgent | undefined;
  // A redirect leads to a storage service: neither our socket nor our certificate is for it.
  const elsewhere = new Map<string, HttpsAgent>();
  let found: Promise<string> | undefined;

  function secureAgent(): HttpsAgent {
    https ??= new HttpsAgent({
      ...options,
      ca: ca ?? authoritiesWith(moreCa),
      ...(cert && { cert }),
      ...(key && { key }),
      minVersion: 'TLSv1.2',
    });
    return https;
  }

  /** For a place that the registry leads to: with what this machine's owner has put there for it. */
  async function agentFor(other: string): Promise<HttpsAgent> {
    const known = elsewhere.get(other);
    if (known !== undefined) return known;
    const { moreCa: theirs, ...certificate } = (await transport.certificatesFor?.(other)) ?? {};
    const added = [moreCa, theirs].filter((text) => text !== undefined).join('\n');
    const made = new HttpsAgent({
      ...options,
      ca: authoritiesWith(added === '' ? undefined : added),
      ...certificate,
      minVersion: 'TLSv1.2',
    });
    // Several requests may have asked for it meanwhile.
    const agent = elsewhere.get(other) ?? made;
    elsewhere.set(other, agent);
    return agent;
  }

  async function send({ method, url, headers, body, signal }: Call): Promise<IncomingMessage> {
    signal?.throwIfAborted();
    const own = url.host === host;
    const secure = url.protocol === 'https:';
    if (!secure && !(own && plainHttp)) {
      throw new ImageFault('image/registry-refused', `${host} leads to ${url.host} without TLS`);
    }
    let agent: Agent | HttpsAgent;
    if (!secure) agent = http ??= new HttpAgent(options);
    else if (own) agent = secureAgent();
    else agent = await agentFor(url.host);
    return new Promise<IncomingMessage>((resolve, reject) => {
      const request = (secure ? httpsRequest : httpRequest)(
        url,
        {
          method,
          headers: { 'user-agent': 'banksman', ...headers },
          agent,
          ...(own && socketPath !== undefined && { socketPath }),
          ...(signal && { signal }),
        },
        resolve,
      );
      request.on('timeout', () => request.destroy(stalled(idleTimeout)));
      request.on('error', reject);
      void writeBody(request, body?.()).catch((error: Error) => request.destroy(error));
    });
  }

  /** The scheme, found once. */
  async function findBase(signal: AbortSignal | undefined): Promise<string> {
    if (plainHttp === undefined && socketPath === undefined && isLoopback(host)) {
      plainHttp = !(await speaksTls(host, idleTimeout, signal));
    }
    plainHttp ??= false;
    return `${plainHttp ? 'http' : 'https'}://${host}`;
  }

  return {
    base(signal) {
      found ??= findBase(signal);
      return found;
    },
    send,
    firstPause: transport.firstPause ?? defaultFirstPause,
    chunkSize: transport.chunkSize ?? defaultChunkSize,
    close() {
      http?.destroy();
      https?.destroy();
      for (const agent of elsewhere.values()) agent.destroy();
    },
  };
}

/**
 * Whether a server begins TLS. Nothing is said to it, so that who it is does not matter here; authorities, which take their time to
 * load, are for what follows. One that can't be reached is taken for one with TLS: what follows tells of it.
 */
function speaksTls(host: string, timeout: number, signal: AbortSignal | undefined): Promise<boolean> {
  const { hostname, port } = new URL(`https://${host}`);
  const name = hostname.replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const socket = connectTls({
      host: name,
      port: port === '' ? 443 : Number(port),
      ca: [],
      rejectUnauthorized: false,
      ...(isIP(name) === 0 && { servername: name }),
    });
    const aborted = () => socket.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', aborted, { once: true });
    socket.setTimeout(timeout, () => socket.destroy(stalled(timeout)));
    socket.once('secureConnect', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (signal?.aborted) reject(signal.reason as Error);
      else resolve(!/^(?:EPROTO|ERR_SSL_|ECONNRESET)/.test(error.code ?? ''));
    });
    socket.once('close', () => {
      signal?.removeEventListener('abort', aborted);
      resolve(false);
    });
  });
}

/** Names and addresses that no network carries. RFC 6761, 6.3; RFC 1122, 3.2.1.3; RFC 4291, 2.5.3. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || (isIP(name) === 4 && name.startsWith('127.')) || name === '::1';
}

let authorities: string[] | undefined;

/** Those that come with Node, and those that this machine's owner has added. */
function authoritiesWith(more: string | undefined): string[] {
  authorities ??= [...new Set([...getCACertificates('bundled'), ...getCACertificates('system')])];
  return more === undefined ? authorities : [...authorities, more];
}

function stalled(milliseconds: number): NodeJS.ErrnoException {
  return Object.assign(new Error(`no byte for ${milliseconds / 1000} s`), { code: 'ETIMEDOUT' });
}

async function writeBody(
  request: ReturnType<typeof httpRequest>,
  body: AsyncIterable<Uint8Array> | Uint8Array | undefined,
): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    request.end(body);
    return;
  }
  // An answer before the end says no: what is left is not read.
  let answered = false;
  request.once('response', (answer: IncomingMessage) => {
    answered = true;
    answer.once('close', () => {
      if (!request.writableEnded) request.destroy();
    });
  });
  for await (const piece of body) {
    if (request.destroyed || answered) return;
    if (!request.write(piece)) await writable(request);
  }
  request.end();
}

/** Waits until the request takes more, is answered, or has ended. */
function writable(request: ReturnType<typeof httpRequest>): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      for (const event of ['drain', 'close', 'response']) request.off(event, go);
      resolve();
    };
    for (const event of ['drain', 'close', 'response']) request.on(event, go);
  });
}

/** Tries at one request, the first included. */
export const maximumTries = 5;
/** Milliseconds: the first pause, doubled each time, the longest one, and the longest that a registry may ask for. */
const defaultFirstPause = 200;
const longestPause = 20_000;
const longestAsked = 120_000;

/** Waits before the next try: longer each time, and never for all clients at the same moment. */
export async function backOff(
  { firstPause }: Pick<Connection, 'firstPause'>,
  attempt: number,
  signal: AbortSignal | undefined,
  asked?: number,
): Promise<void> {
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
  'ECONNABORTED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_STREAM_PREMATURE_CLOSE',
  // What is no HTTP: an answer that was cut or damaged on its way.
  'HPE_INVALID_CONSTANT',
  'HPE_INVALID_EOF_STATE',
  'HPE_INVALID_CHUNK_SIZE',
]);

/** Whether trying again may help. */
export function isTransient(error: unknown): boolean {
  return transient.has((error as NodeJS.ErrnoException).code ?? '');
}

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
      if (attempt >= tries || !isTransient(error)) throw unreachable(call.url.host, error);
    }
    await backOff(connection, attempt, call.signal, pause);
  }
}

export function mayPass(status: number | undefined): boolean {
  return status === 429 || status === 500 || status === 502 || status === 503 || status === 504;
}

/** RFC 9110, 10.2.3: seconds, or a date. Milliseconds. */
export function retryAfter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const pause = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(pause) ? Math.min(Math.max(pause, 0), longestAsked) : undefined;
}

export function unreachable(host: string, cause: unknown): ImageFault {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const certificate = /CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME/.test(code);
  const plain = code === 'EPROTO' && /wrong version number|packet length too long/.test(message);
  let next = 'check that the registry runs and that its name is right, and try again';
  if (certificate)
    next = `put the authority that signed the registry's certificate into /etc/docker/certs.d/${host}/ca.crt, or name it in banksman.yaml: registries: { ${JSON.stringify(host)}: { ca: FILE } }`;
  if (plain)
    next = `the registry speaks without TLS: let it use TLS, or say in banksman.yaml: registries: { ${JSON.stringify(host)}: { plain_http: true } }`;
  // Node's advice is of its own options, which whoever runs this has no use for.
  const what = message.replace(/; if the root CA is installed locally.*$/, '') || code;
  return new ImageFault('image/registry-unreachable', `the registry ${host} can't be reached: ${what}`, {
    cause,
    next,
  });
}
