import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What happens once, when so many bytes have passed in a direction. */
export interface LineFault {
  /** To the registry, or from it. */
  readonly direction: 'up' | 'down';
  readonly at: number;
  /**
   * The line breaks after that byte; nothing passes any more on a line that stays open; or the next byte that is a `Q` among
   * others, so that it belongs to content, becomes another.
   */
  readonly kind: 'cut' | 'stall' | 'damage';
}

export interface FaultProxy {
  readonly host: string;
  /** Bytes that have passed so far. */
  readonly passed: { up: number; down: number };
  /** Arms the fault anew. */
  expect(fault: LineFault | undefined): void;
  /** Whether it has happened. */
  happened(): boolean;
}

/** A line to a registry that fails at a byte. */
export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const [name = '', port] = upstream.split(':');
  const passed = { up: 0, down: 0 };
  const sockets = new Set<Socket>();
  let fault: LineFault | undefined;
  let done = false;
  const server = createServer((client) => {
    const inner = connect(Number(port), name);
    for (const socket of [client, inner]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        inner.destroy();
      });
    }
    let stalled = false;
    const pass = (direction: 'up' | 'down', to: Socket) => (piece: Buffer) => {
      if (stalled) return;
      const before = passed[direction];
      passed[direction] += piece.length;
      if (done || fault?.direction !== direction || passed[direction] <= fault.at) {
        to.write(piece);
        return;
      }
      if (fault.kind === 'damage') {
        const run = piece.indexOf('QQQQQQQQ');
        if (run >= 0) {
          done = true;
          piece[run + 4] = 'X'.charCodeAt(0);
        }
        to.write(piece);
        return;
      }
      done = true;
      to.write(piece.subarray(0, Math.max(0, fault.at - before)), () => {
        if (fault?.kind !== 'cut') return;
        client.resetAndDestroy();
        inner.destroy();
      });
      stalled = true;
    };
    client.on('data', pass('up', inner));
    inner.on('data', pass('down', client));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    host: `127.0.0.1:${(server.address() as { port: number }).port}`,
    passed,
    expect(next) {
      fault = next;
      done = false;
      passed.up = 0;
      passed.down = 0;
    },
    happened: () => done,
  };
}
