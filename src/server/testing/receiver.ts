import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';

export interface Received {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Receiver {
  readonly url: string;
  /** In the order in which they came. */
  readonly received: readonly Received[];
  /** What is done with the next ones: 200 unless told. */
  behave(answer: (message: Received, response: ServerResponse) => void): void;
}

/** A receiver of webhooks or spans on this machine. Gone when the test has ended. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  let behaviour = (_: Received, response: ServerResponse): void => void response.writeHead(204).end();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const message = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(parts).toString() };
      received.push(message);
      behaviour(message, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    received,
    behave: (answer) => {
      behaviour = answer;
    },
  };
}
