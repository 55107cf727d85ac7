import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../digest.ts';
import { headImage, openBlobStore, pullImage, pushImage } from '../index.ts';
import { checkRegistry } from '../registry/check.ts';
import { startFaultProxy } from '../testing/fault-proxy.ts';
import { testFolder } from '../testing/folder.ts';
import { plain, startRegistry, testImage } from '../testing/local-registry.ts';
import { openRemoteRepository } from './registry.ts';

/** A layer of this size goes in four pieces, and a byte of it is easy to damage. */
const layerSize = 250_000;
const transport = { ...plain, chunkSize: 64 * 1024, idleTimeout: 400 };

/** Points in each direction at which a line fails; a stall takes its time to be noticed. */
const pointsOf = { cut: 12, stall: 4, damage: 12 };

describe.each(['cut', 'stall', 'damage'] as const)('a line that fails once: %s', (kind) => {
  const points = pointsOf[kind];
  test.each(['up', 'down'] as const)(
    '%s: a push and a pull end well, wherever it is',
    async (direction) => {
      const folder = await testFolder();
      const registry = await startRegistry();
      const proxy = await startFaultProxy(registry.host);
      const built = await testImage(folder, 'Q', layerSize);
      const push = (name: string) =>
        pushImage({ layout: built.layout, reference: `${proxy.host}/${name}:v1`, transport });
      const pull = async (name: string, to: string) => {
        const store = await openBlobStore(join(folder, `${to}.blobs`));
        return pullImage({ reference: `${proxy.host}/${name}:v1`, store, output: join(folder, to), transport });
      };
      await push('clean');
      const pushBytes = proxy.passed[direction];
      proxy.expect(undefined);
      await pull('clean', 'clean');
      const pullBytes = proxy.passed[direction];
      let happened = 0;
      for (let point = 0; point < points; point++) {
        proxy.expect({ direction, kind, at: Math.floor((pushBytes * (point + Math.random())) / points) });
        await push(`push${point}`);
        if (proxy.happened()) happened += 1;
        proxy.expect({ direction, kind, at: Math.floor((pullBytes * (point + Math.random())) / points) });
        expect(await pull(`push${point}`, `pull${point}`)).toMatchObject({ digest: built.digest });
        if (proxy.happened()) happened += 1;
        const direct = { reference: `${registry.host}/push${point}:v1`, transport: plain };
        expect(await headImage(direct)).toMatchObject({ digest: built.digest });
      }
      expect(happened).toBeGreaterThanOrEqual(points / 2);
      expect((await checkRegistry(registry.store, registry.root)).problems).toEqual([]);
    },
    60_000,
  );
});

test.each([500, 429, 503])('a registry that answers %i once, at each step', async (status) => {
  let count = 0;
  let failing = -1;
  const registry = await startRegistry({}, (inner) => (request, response) => {
    if (count++ !== failing) return inner(request, response);
    request.resume();
    response.writeHead(status, { 'retry-after': '0' }).end();
  });
  const folder = await testFolder();
  const built = await testImage(folder, 'steps', layerSize);
  await pushImage({ layout: built.layout, reference: `${registry.host}/clean:v1`, transport });
  const steps = count;
  expect(steps).toBeGreaterThan(10);
  for (let step = 0; step < steps; step++) {
    count = 0;
    failing = step;
    const reference = `${registry.host}/step${step}:v1`;
    await pushImage({ layout: built.layout, reference, transport });
    failing = -1;
    expect(await headImage({ reference, transport })).toMatchObject({ digest: built.digest });
  }
  expect((await checkRegistry(registry.store, registry.root)).problems).toEqual([]);
});

test('an upload goes on where the line broke: what the registry has is not sent again', async () => {
  const registry = await startRegistry();
  const proxy = await startFaultProxy(registry.host);
  const folder = await testFolder();
  const content = Buffer.alloc(2_000_000, 'content');
  await writeFile(join(folder, 'blob'), content);
  const remote = openRemoteRepository({
    registry: proxy.host,
    repository: 'a',
    action: 'pull,push',
    transport: { ...plain, chunkSize: 500_000 },
  });
  proxy.expect({ direction: 'up', kind: 'cut', at: 1_700_000 });
  const digest = digestOf(content);
  const read: number[] = [];
  await remote.putBlob(digest, content.length, (start) => {
    read.push(start);
    return createReadStream(join(folder, 'blob'), { start });
  });
  expect(proxy.happened()).toBe(true);
  // Three pieces went well; of the fourth a part came through, and only what is behind it is read and sent again.
  expect(read.slice(0, 4)).toEqual([0, 500_000, 1_000_000, 1_500_000]);
  expect(read[4]).toBeGreaterThan(1_600_000);
  expect(proxy.passed.up).toBeLessThan(2_100_000);
  remote.close();
});

test('a blob that is sent as a whole goes on as well', async () => {
  const registry = await startRegistry();
  const proxy = await startFaultProxy(registry.host);
  const content = Buffer.alloc(2_000_000, 'content');
  const remote = openRemoteRepository({ registry: proxy.host, repository: 'a', action: 'pull,push', transport: plain });
  proxy.expect({ direction: 'up', kind: 'cut', at: 1_700_000 });
  const read: number[] = [];
  await remote.putBlob(digestOf(content), content.length, async function* (start) {
    read.push(start);
    for (let at = start; at < content.length; at += 10_000) yield content.subarray(at, at + 10_000);
  });
  expect([read.length, (read[1] ?? 0) > 1_000_000]).toEqual([2, true]);
  expect(await remote.hasBlob(digestOf(content))).toBe(true);
  remote.close();
});

test('a download goes on where the line broke', async () => {
  const registry = await startRegistry();
  const proxy = await startFaultProxy(registry.host);
  const content = Buffer.alloc(2_000_000, 'content');
  const remote = openRemoteRepository({ registry: proxy.host, repository: 'a', action: 'pull,push', transport: plain });
  await remote.putBlob(digestOf(content), content.length, async function* (start) {
    yield content.subarray(start);
  });
  proxy.expect({ direction: 'down', kind: 'cut', at: 1_500_000 });
  const pieces: Uint8Array[] = [];
  for await (const piece of remote.blob(digestOf(content), content.length)) pieces.push(piece);
  expect(Buffer.concat(pieces).equals(content)).toBe(true);
  expect(proxy.happened()).toBe(true);
  expect(proxy.passed.down).toBeLessThan(2_100_000);
  remote.close();
});

test('a registry without ranges, and one that forgets uploads', async () => {
  let forgotten = false;
  const registry = await startRegistry({}, (inner) => (request, response) => {
    delete request.headers.range;
    if (request.method === 'GET' && request.url?.includes('/uploads/')) {
      forgotten = true;
      response.writeHead(404).end();
    } else inner(request, response);
  });
  const proxy = await startFaultProxy(registry.host);
  const content = Buffer.alloc(2_000_000, 'content');
  const remote = openRemoteRepository({ registry: proxy.host, repository: 'a', action: 'pull,push', transport: plain });
  proxy.expect({ direction: 'up', kind: 'cut', at: 1_500_000 });
  await remote.putBlob(digestOf(content), content.length, async function* (start) {
    for (let at = start; at < content.length; at += 10_000) yield content.subarray(at, at + 10_000);
  });
  expect(forgotten).toBe(true);
  proxy.expect({ direction: 'down', kind: 'cut', at: 1_500_000 });
  let size = 0;
  for await (const piece of remote.blob(digestOf(content), content.length)) size += piece.length;
  expect([proxy.happened(), size]).toEqual([true, content.length]);
  remote.close();
});

test('an endless body, and one that is longer than its size, end', async () => {
  const registry = await startRegistry({}, (inner) => (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes('/blobs/')) return inner(request, response);
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
    };
    response.on('drain', more);
    response.writeHead(200);
    more();
  });
  const remote = openRemoteRepository({ registry: registry.host, repository: 'a', action: 'pull', transport: plain });
  const read = async () => {
    for await (const _ of remote.blob(digestOf('x'), 1000)) {
      // Only read.
    }
  };
  await expect(read()).rejects.toMatchObject({ code: 'image/wrong-content' });
  remote.close();
});

test('a layer that is damaged on this disk is told as such, and not pushed', async () => {
  const registry = await startRegistry();
  const folder = await testFolder();
  const built = await testImage(folder, 'genuine', 1000);
  const layer = built.layers.at(-1)!;
  const path = join(built.layout, 'blobs/sha256', layer.digest.slice(7));
  const { chmod, readFile } = await import('node:fs/promises');
  await chmod(path, 0o644);
  const bytes = await readFile(path);
  bytes[600] = (bytes[600] ?? 0) ^ 1;
  await writeFile(path, bytes);
  await expect(
    pushImage({ layout: built.layout, reference: `${registry.host}/a:v1`, transport: plain }),
  ).rejects.toMatchObject({ code: 'image/wrong-content' });
  expect(await headImage({ reference: `${registry.host}/a:v1`, transport: plain })).toBeUndefined();
});
