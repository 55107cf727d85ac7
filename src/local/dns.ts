import { createConnection } from 'node:net';
import { addresses } from './addresses.ts';

/**
 * Asks the cluster's DNS for the address of the API's Service, over TCP (RFC 1035, 4.2.2), through a socket of the portal.
 *
 * @returns `ready`, or why not; never throws
 */
export function askDns(socketPath: string, timeout = 2_000): Promise<'ready' | { reason: string }> {
  return new Promise((resolve) => {
    const name = `kubernetes.default.svc.${addresses.domain}`;
    const socket = createConnection({ path: socketPath });
    const finish = (answer: 'ready' | { reason: string }) => {
      socket.destroy();
      resolve(answer);
    };
    let received = Buffer.alloc(0);
    socket.setTimeout(timeout, () => finish({ reason: `no answer in ${timeout / 1000} s` }));
    socket.on('error', (error) => finish({ reason: error.message }));
    socket.on('end', () => finish({ reason: 'the connection was closed without an answer' }));
    socket.on('connect', () => socket.write(formatQuery(name)));
    socket.on('data', (piece) => {
      received = Buffer.concat([received, piece]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const found = parseAddress(received.subarray(2));
      if (found === addresses.kubernetes) finish('ready');
      else finish({ reason: typeof found === 'string' ? `${name} is ${found}` : `response code ${found}` });
    });
  });
}

/** A question for the IPv4 address of a name, with the length before it. */
export function formatQuery(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label, 'latin1')]));
  const body = Buffer.concat([
    Buffer.from([0x62, 0x6d, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]), // identity, recursion desired, one question
    ...labels,
    Buffer.from([0, 0, 1, 0, 1]), // root label, type A, class IN
  ]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(body.length);
  return Buffer.concat([length, body]);
}

/** The first IPv4 address among the answers, or the response code where there is none. */
export function parseAddress(message: Buffer): string | number {
  try {
    const code = message.readUInt8(3) & 0x0f;
    let at = 12;
    for (let left = message.readUInt16BE(4); left > 0; left--) at = skipName(message, at) + 4;
    for (let left = message.readUInt16BE(6); left > 0; left--) {
      at = skipName(message, at);
      const type = message.readUInt16BE(at);
      const length = message.readUInt16BE(at + 8);
      at += 10;
      if (type === 1 && length === 4) return [...message.subarray(at, at + 4)].join('.');
      at += length;
    }
    return code;
  } catch {
    return 1; // format error: it ended too early
  }
}

/** Position after a name. A pointer (RFC 1035, 4.1.4) ends it. */
function skipName(message: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const length = message.readUInt8(at);
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
  }
}
