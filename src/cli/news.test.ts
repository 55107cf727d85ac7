import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { expect, it, onTestFinished, vi } from 'vitest';
import { type Api, apiAt } from './api.ts';
import { follow } from './follow.ts';
import { eventsIn, followNews } from './news.ts';
import type { Terminal } from './terminal.ts';

const soon = { timeout: 25_000, interval: 5 };
const subject = '//bank/ledger:ledger in prod';
const event = (id: number, about = subject) =>
  `id: ${id}\nevent: rollout.applying\ndata: ${JSON.stringify({ subject: about })}\n\n`;

/** A server of which a test says how each stream goes on. */
async function streams(answer: (request: IncomingMessage, response: ServerResponse, time: number) => void) {
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    if (request.url !== '/v1/events') return answer(request, response, -1);
    asked.push(request.headers['last-event-id'] as string | undefined);
    answer(request, response, asked.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = new AbortController();
  onTestFinished(() => {
    stop.abort(new Error('the test has ended'));
    server.closeAllConnections();
    server.close();
  });
  const base = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  return { api: apiAt({ base, token: 'x' }, stop.signal), asked, signal: stop.signal };
}

/** Counts how often a waiter was woken. */
function count(next: () => Promise<void>): { readonly times: number } {
  const counted = { times: 0 };
  const run = async () => {
    for (;;) {
      await next();
      counted.times++;
    }
  };
  run().catch(() => {});
  return counted;
}

it('events come out of a stream however it is cut into pieces', async () => {
  const text = `retry: 2000\n\n: still here\n\n${event(7)}${event(8, '//a:a in dev').replaceAll('\n', '\r\n')}id: 9\ndata: {\n\n`;
  for (const length of [1, 3, 1_000]) {
    const pieces = text.match(new RegExp(`[^]{1,${length}}`, 'g')) ?? [];
    const found = [];
    for await (const each of eventsIn(ReadableStream.from(pieces.map((piece) => Buffer.from(piece))))) found.push(each);
    expect(found).toEqual([
      undefined,
      undefined,
      { id: '7', subject },
      { id: '8', subject: '//a:a in dev' },
      undefined,
    ]);
  }
});

it('whoever waits is woken by what he means alone, and hears of what came between', async () => {
  let write = (_: string) => {};
  const { api, signal } = await streams((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    write = (text) => void response.write(text);
    write('retry: 2000\n\n');
  });
  const news = followNews(api, signal);
  await news.ready();
  const next = news.heed((about) => about === subject);
  const other = count(news.heed((about) => about === 'somebody else'));
  // Nobody waits at this moment.
  write(event(1));
  await vi.waitFor(() => next(), soon);
  const ours = count(next);
  write(event(2));
  await vi.waitFor(() => expect(ours.times).toBe(1), soon);
  expect(other.times).toBe(0);
  news.stop();
});

it('a stream that is cut goes on behind what was seen, and everybody looks again', async () => {
  const { api, asked, signal } = await streams((_, response, time) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (time === 1) response.end(`retry: 2000\n\n${event(41)}`);
    else response.write(event(42));
  });
  const news = followNews(api, signal);
  await news.ready();
  const looks = count(news.heed(() => false));
  await vi.waitFor(() => expect(asked.slice(0, 2)).toEqual([undefined, '41']), soon);
  await vi.waitFor(() => expect(looks.times).toBeGreaterThan(0), soon);
  news.stop();
});

it.each<[string, (response: ServerResponse) => void]>([
  ['knows no stream', (response) => void response.writeHead(404).end('{}')],
  ['lets nobody read it', (response) => void response.writeHead(403).end('{}')],
  ['breaks it at once', (response) => void response.destroy()],
  ['holds it back', (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()],
])('where something between %s, waiting goes on by looking', async (_, behave) => {
  const { api, signal } = await streams((__, response) => behave(response));
  const news = followNews(api, signal);
  await news.ready();
  const looks = count(news.heed(() => true));
  await vi.waitFor(() => expect(looks.times).toBeGreaterThan(1), soon);
  news.stop();
});

it('a rollout is followed with as many questions as there is news, and told in lines where nothing can be drawn', async () => {
  let write = (_: string) => {};
  let asks = 0;
  let state = 'gated';
  const at = '2026-01-01T00:00:00.000Z';
  const view = () => ({
    id: 'r1',
    release: { id: `sha256:${'ab'.repeat(32)}`, order: 1 },
    state,
    due: at,
    steps: [
      { state: 'planned', at },
      { state, at: '2026-01-01T00:00:09.000Z' },
    ],
  });
  const { api, signal } = await streams((request, response) => {
    if (request.url === '/v1/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      write = (text) => void response.write(text);
      return write('retry: 2000\n\n');
    }
    asks++;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ rollouts: [view()] }));
  });
  const printed: string[] = [];
  const said: string[] = [];
  const plain = (text: string) => text;
  const terminal = {
    live: false,
    print: (line: string) => printed.push(line),
    paint: { good: plain, bad: plain, warn: plain, faint: plain, strong: plain },
  } as unknown as Terminal;
  const progress = {
    begin: () => ({ update() {}, done() {}, fail() {} }),
    say: (line: string) => void said.push(line),
  };
  const wanted = [{ service: '//bank/ledger:ledger', environment: 'prod', rollout: 'r1' }];
  const following = follow(api as Api, wanted, { terminal, progress, signal } as never);
  await vi.waitFor(() => expect(asks).toBe(1), soon);
  for (const [index, next] of ['applying', 'progressing', 'healthy'].entries()) {
    state = next;
    write(event(index + 1));
    await vi.waitFor(() => expect(asks).toBe(index + 2), soon);
  }
  expect(await following).toMatchObject([{ state: 'healthy' }]);
  expect(asks).toBe(4);
  expect(said).toEqual(['gated', 'applying', 'progressing'].map((each) => `  //bank/ledger:ledger  ${each}`));
  expect(printed).toEqual(['✓ //bank/ledger:ledger  healthy  release abababababab  9.0 s']);
});
