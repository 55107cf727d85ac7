import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createConnection, createServer as createTcpServer, type Socket } from 'node:net';

/** What becomes of a request to the API server. `hang`: no answer, until the proxy is mended; `drop`: the connection breaks. */
export type Fate = 'pass' | 'hang' | 'drop' | 'drop-after' | { readonly status: number; readonly retryAfter?: number };

export interface ApiCall {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** What a PATCH writes. */
  readonly body?: string;
}

/** An API server as it is seen through something that makes it fail. */
export interface FaultProxy {
  readonly kubeconfig: string;
  /** Every request, in the order in which they came. */
  readonly calls: readonly ApiCall[];
  /** What becomes of requests from now on; those that hang go on. */
  set(fate: (call: ApiCall) => Fate): void;
  stop(): void;
}

/** Whether a request changes something in the cluster. */
export function writes({ method, url }: ApiCall): boolean {
  return method !== 'GET' && !url.includes('dryRun=All');
}

/** @param kubeconfig of the real API server; the proxy's is written beside it */
export async function startFaultProxy(kubeconfig: string, name: string): Promise<FaultProxy> {
  const config = JSON.parse(await readFile(kubeconfig, 'utf8'));
  const { server: target, 'certificate-authority': caPath } = config.clusters[0].cluster;
  const calls: ApiCall[] = [];
  let fateOf: (call: ApiCall) => Fate = () => 'pass';
  let waiting: (() => void)[] = [];
  const proxy = createServer(async (incoming, outgoing) => {
    const { method = 'GET', url = '' } = incoming;
    const body = method === 'GET' ? undefined : await bodyOf(incoming);
    const call = { method, url, at: Date.now(), ...(body !== undefined && { body: body.toString('utf8') }) };
    calls.push(call);
    let fate = fateOf(call);
    while (fate === 'hang') {
      await new Promise<void>((resolve) => waiting.push(resolve));
      if (outgoing.destroyed) return;
      fate = fateOf(call);
    }
    if (fate === 'drop') return void incoming.socket.destroy();
    if (typeof fate === 'object') {
      incoming.resume();
      const headers = fate.retryAfter === undefined ? {} : { 'retry-after': String(fate.retryAfter) };
      outgoing.writeHead(fate.status, { 'content-type': 'application/json', ...headers });
      outgoing.end(JSON.stringify({ kind: 'Status', status: 'Failure', message: 'made to fail', code: fate.status }));
      return;
    }
    const dropped = fate === 'drop-after';
    const { host: _, ...headers } = incoming.headers;
    const forward = httpsRequest(
      new URL(call.url, target),
      { method: call.method, headers, ca: await readFile(caPath) },
      (answer: IncomingMessage) => {
        // It was done, and nobody learns of it.
        if (dropped) return void incoming.socket.destroy();
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
        answer.on('error', () => outgoing.destroy());
      },
    );
    forward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forward.destroy());
    forward.end(body);
  });
  proxy.on('clientError', (_, socket) => socket.destroy());
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as { port: number };
  config.clusters[0].cluster = { server: `http://127.0.0.1:${port}` };
  const path = `${kubeconfig}.${name}`;
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return {
    kubeconfig: path,
    calls,
    set(fate) {
      fateOf = fate;
      const now = waiting;
      waiting = [];
      for (const go of now) go();
    },
    stop() {
      fateOf = () => 'drop';
      for (const go of waiting) go();
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** A database's address through something that can be cut. */
export interface CutLine {
  readonly url: string;
  cut(): void;
  /** Swallows everything, and tells nobody: connections that are open stay so for ever, silent. New ones are as good once it is mended. */
  stall(): void;
  mend(): void;
  stop(): void;
}

export async function startCutLine(url: string): Promise<CutLine> {
  const { hostname, port } = new URL(url);
  const open = new Set<Socket>();
  let isCut = false;
  let isStalled = false;
  const line = createTcpServer((near) => {
    if (isCut) return void near.destroy();
    if (isStalled) {
      open.add(near);
      near.on('error', () => {});
      near.on('close', () => open.delete(near));
      return void near.pause();
    }
    const far = createConnection(Number(port), hostname);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  const own = new URL(url);
  own.port = String((line.address() as { port: number }).port);
  const end = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: own.href,
    cut() {
      isCut = true;
      end();
    },
    stall() {
      isStalled = true;
      for (const socket of open) {
        socket.unpipe();
        socket.pause();
      }
    },
    mend() {
      isCut = false;
      isStalled = false;
    },
    stop() {
      isCut = true;
      end();
      line.close();
    },
  };
}
