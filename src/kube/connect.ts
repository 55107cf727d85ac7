import type { Agent, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { hide } from '../fault/index.ts';
import { HttpAgent, httpRequest } from '../process/index.ts';
import { faultOfAnswer, faultOfConnection } from './answer.ts';
import { createDiscovery } from './discover.ts';
import { isKubeFault, KubeFault } from './fault.ts';
import { readServiceAccount } from './in-cluster.ts';
import { type Credentials, readKubeconfig } from './kubeconfig.ts';
import { traced } from './traced.ts';
import type { ApiRequest, Cluster } from './types.ts';

export interface ConnectOptions {
  /** Path; `$KUBECONFIG` or `~/.kube/config` unless told. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  /** The cluster that this program itself runs in, by its service account, in place of a kubeconfig. */
  readonly inCluster?: boolean | undefined;
}

/** Bytes of an answer that is held in memory. Lists come in pages far below this. */
const maximumAnswer = 128 * 1024 * 1024;
/** Tries of one request: about three seconds of an API server that restarts. */
const attempts = 5;

/**
 * Reads the kubeconfig. The cluster itself is first asked by the first request.
 *
 * A client of its own over node:https, since loading @kubernetes/client-node takes 0.4 s on a small machine and a command
 * that finds nothing changed has two seconds in all; the library is loaded where a kubeconfig needs its ways of signing in.
 *
 * @throws KubeFault kube/no-kubeconfig, kube/bad-kubeconfig, kube/unknown-context
 */
export async function connect(options: ConnectOptions = {}): Promise<Cluster> {
  const credentials = options.inCluster
    ? await readServiceAccount()
    : await readKubeconfig(options.kubeconfig, options.context);
  const secure = credentials.server.protocol === 'https:';
  const agent = secure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  const send = async (request: ApiRequest): Promise<unknown> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await answerOf(request, await open(credentials, agent, request), request.timeout ?? 30_000);
      } catch (error) {
        const wait = attempt < attempts ? pause(error, request, attempt) : undefined;
        if (wait === undefined) throw error;
        await sleep(wait, undefined, { ...(request.signal && { signal: request.signal }) });
      }
    }
  };
  const discovery = createDiscovery(send);
  return traced({
    context: credentials.context,
    server: credentials.server.href.replace(/\/$/, ''),
    namespace: credentials.namespace,
    request: send,
    async answer(request) {
      const response = await open(credentials, agent, request);
      const text = await bodyOf(request, response, request.timeout ?? 30_000);
      return { status: response.statusCode ?? 0, text: text.slice(0, 4096) };
    },
    async stream(request) {
      const response = await open(credentials, agent, request);
      if ((response.statusCode ?? 0) >= 300) throw await refusal(request, response);
      return response;
    },
    resource: discovery.resource,
    forgetResources: discovery.forget,
    close: () => agent.destroy(),
  });
}

/** Milliseconds to wait before the next try; undefined where a further try could repeat an effect or is of no use. */
function pause(error: unknown, request: ApiRequest, attempt: number): number | undefined {
  // A POST creates: once it may have arrived, only an answer says whether it did.
  const repeatable = request.method !== 'POST';
  const backoff = 100 * 2 ** attempt;
  if (isKubeFault(error, 'kube/throttled')) return Math.min(10, error.retryAfter ?? 1) * 1000;
  if (isKubeFault(error, 'kube/server-error') && repeatable && error.retryAfter !== undefined) {
    return Math.min(10, error.retryAfter) * 1000;
  }
  if (isKubeFault(error, 'kube/unreachable')) {
    const refused = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED';
    return repeatable || refused ? backoff : undefined;
  }
  return undefined;
}

async function open(
  credentials: Credentials,
  agent: Agent | HttpsAgent,
  request: ApiRequest,
): Promise<IncomingMessage> {
  const { server } = credentials;
  const url = new URL(server.pathname.replace(/\/$/, '') + request.path, server);
  for (const [key, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) url.searchParams.set(key, String(value));
  }
  const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
  const signing = await credentials.options();
  hideCredentials(signing.headers as Record<string, unknown> | undefined);
  const options: RequestOptions = {
    agent,
    ...signing,
    method: request.method ?? 'GET',
    headers: {
      accept: request.accept ?? 'application/json',
      'user-agent': 'banksman',
      ...(body && { 'content-type': request.contentType ?? 'application/json', 'content-length': body.length }),
      ...(signing.headers as Record<string, string> | undefined),
    },
    ...(request.signal && { signal: request.signal }),
  };
  return await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options);
    // Until the answer begins. A server that takes connections and says nothing must not hold a command for ever.
    const limit = request.timeout ?? 30_000;
    const timer = setTimeout(() => {
      outgoing.destroy(
        new KubeFault('kube/timed-out', `${server.host} has not answered for ${limit / 1000} s`, {
          notes: [`${request.method ?? 'GET'} ${request.path}`],
          next: 'see whether the API server is well: kubectl get --raw /readyz?verbose',
        }),
      );
    }, limit);
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(error instanceof KubeFault ? error : faultOfConnection(error, server, request));
    });
    outgoing.on('response', (response) => {
      clearTimeout(timer);
      resolve(response);
    });
    outgoing.end(body);
  });
}

/** Whoever answers may send back what we sent, and an error would tell it. */
function hideCredentials(headers: Readonly<Record<string, unknown>> = {}): void {
  const { authorization = headers.Authorization } = headers;
  if (typeof authorization === 'string') hide(authorization.replace(/^(?:Bearer|Basic) +/i, ''));
}

async function answerOf(request: ApiRequest, response: IncomingMessage, timeout: number): Promise<unknown> {
  const status = response.statusCode ?? 0;
  if (status >= 300) throw await refusal(request, response, timeout);
  const text = await bodyOf(request, response, timeout);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KubeFault('kube/bad-answer', `${request.path} was answered with something that is not JSON`, {
      notes: [text.slice(0, 200)],
      next: 'see whether the address in the kubeconfig is that of an API server',
      cause,
    });
  }
}

async function refusal(request: ApiRequest, response: IncomingMessage, timeout = 30_000): Promise<KubeFault> {
  const text = await bodyOf(request, response, timeout);
  return faultOfAnswer(request, response.statusCode ?? 0, response.headers, text);
}

async function bodyOf(request: ApiRequest, response: IncomingMessage, timeout: number): Promise<string> {
  const timer = setTimeout(() => {
    const text = `the answer to ${request.path} took longer than ${timeout / 1000} s`;
    response.destroy(new KubeFault('kube/timed-out', text));
  }, timeout);
  try {
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > maximumAnswer) {
        throw new KubeFault('kube/bad-answer', `the answer to ${request.path} is larger than ${maximumAnswer} bytes`);
      }
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString('utf8');
  } catch (error) {
    request.signal?.throwIfAborted();
    if (error instanceof KubeFault) throw error;
    throw new KubeFault('kube/unreachable', `the connection broke in the answer to ${request.path}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
