import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { askDns, formatQuery, parseAddress } from './dns.ts';

let folder: string | undefined;
let server: Server | undefined;
afterEach(async () => {
  server?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** A server that answers each question as told; the question is repeated, as servers do. */
async function serve(code: number, answer?: number[]): Promise<string> {
  folder = await mkdtemp(join(tmpdir(), 'banksman-dns-'));
  const path = join(folder, 'dns.sock');
  server = createServer((socket) =>
    socket.once('data', (query) => {
      const question = query.subarray(14);
      const header = Buffer.from([0x62, 0x6d, 0x81, 0x80 | code, 0, 1, 0, answer ? 1 : 0, 0, 0, 0, 0]);
      const record = answer ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, ...answer]) : Buffer.alloc(0);
      const message = Buffer.concat([header, question, record]);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      // In two pieces, as a stream may.
      socket.write(Buffer.concat([length, message.subarray(0, 5)]));
      setTimeout(() => socket.write(message.subarray(5)), 10);
    }),
  );
  await new Promise<void>((resolve) => server!.listen(path, resolve));
  return path;
}

test('ready is the right address and nothing else', async () => {
  expect(await askDns(await serve(0, [10, 96, 0, 1]))).toBe('ready');
});

test('another address is told', async () => {
  expect(await askDns(await serve(0, [10, 0, 0, 9]))).toEqual({
    reason: 'kubernetes.default.svc.cluster.local is 10.0.0.9',
  });
});

test('an unknown name is told by its code', async () => {
  expect(await askDns(await serve(3))).toEqual({ reason: 'response code 3' });
});

test('nobody there, and silence, end in a reason', async () => {
  expect(await askDns('/nonexistent/dns.sock')).toMatchObject({ reason: expect.stringContaining('ENOENT') });
  folder = await mkdtemp(join(tmpdir(), 'banksman-dns-'));
  const path = join(folder, 'dns.sock');
  server = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => server!.listen(path, resolve));
  expect(await askDns(path, 50)).toMatchObject({ reason: expect.stringContaining('no answer') });
});

test('a message that ends too early is no answer', () => {
  const whole = formatQuery('a.b').subarray(2);
  for (let length = 0; length < whole.length; length++)
    expect(typeof parseAddress(whole.subarray(0, length))).toBe('number');
});
