import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../digest.ts';
import { mediaTypes } from '../manifest.ts';
import { testFolder } from '../testing/folder.ts';
import { listenLocally, startRegistry, type TestRegistry } from '../testing/local-registry.ts';
import { checkRegistry } from './check.ts';
import { collectGarbage } from './collect.ts';
import { listRegistry, removeFromRegistry } from './list.ts';
import { createRegistryServer } from './serve.ts';
import { openUploads } from './upload-folder.ts';

/** What happens soon, on a machine that may have other things to do. */
const patient = { timeout: 25_000 };

async function putBlob(
  { base }: TestRegistry,
  repository: string,
  content: string | Buffer,
  digest = digestOf(content),
) {
  return fetch(`${base}/v2/${repository}/blobs/uploads/?digest=${digest}`, { method: 'POST', body: content as string });
}

/** A manifest of one layer. @returns status, digests of the manifest and of the layer */
async function putImage(
  registry: TestRegistry,
  repository: string,
  reference: string,
  text: string,
  more: object = {},
) {
  await putBlob(registry, repository, '{}');
  await putBlob(registry, repository, text);
  const layer = digestOf(text);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 },
    layers: [{ mediaType: 'text/plain', digest: layer, size: text.length }],
    ...more,
  });
  const digest = digestOf(manifest);
  const { status } = await fetch(
    `${registry.base}/v2/${repository}/manifests/${reference === 'digest' ? digest : reference}`,
    { method: 'PUT', body: manifest, headers: { 'content-type': mediaTypes.manifest } },
  );
  return { status, digest, layer, size: manifest.length };
}

async function has({ base }: TestRegistry, repository: string, path: string): Promise<boolean> {
  return (await fetch(`${base}/v2/${repository}/${path}`)).status === 200;
}

async function code(answer: Response): Promise<string | undefined> {
  return ((await answer.json()) as { errors: { code: string }[] }).errors[0]?.code;
}

describe('SHA-512', () => {
  test('names blobs, manifests and referrers as well', async () => {
    const registry = await startRegistry();
    const sum = (text: string) => `sha512:${createHash('sha512').update(text).digest('hex')}`;
    expect((await putBlob(registry, 'a', 'content', sum('content') as never)).status).toBe(201);
    expect(await has(registry, 'a', `blobs/${sum('content')}`)).toBe(true);
    expect(await has(registry, 'a', `blobs/${digestOf('content')}`)).toBe(false);
    expect((await putBlob(registry, 'a', 'other', sum('content') as never)).status).toBe(400);
    await putBlob(registry, 'a', '{}', sum('{}') as never);
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: 'text/plain', digest: sum('{}'), size: 2 },
      layers: [{ mediaType: 'text/plain', digest: sum('content'), size: 7 }],
      subject: { mediaType: mediaTypes.manifest, digest: sum('subject'), size: 7 },
    });
    const put = await fetch(`${registry.base}/v2/a/manifests/${sum(manifest)}?tag=v1&tag=v2`, {
      method: 'PUT',
      body: manifest,
      headers: { 'content-type': mediaTypes.manifest },
    });
    expect([put.status, put.headers.get('oci-tag')]).toEqual([201, 'v1, v2']);
    const got = await fetch(`${registry.base}/v2/a/manifests/v2`);
    expect([got.headers.get('docker-content-digest'), await got.text()]).toEqual([sum(manifest), manifest]);
    const referrers = await fetch(`${registry.base}/v2/a/referrers/${sum('subject')}`);
    expect(await referrers.json()).toMatchObject({ manifests: [{ digest: sum(manifest) }] });
    expect((await checkRegistry(registry.store, registry.root)).problems).toEqual([]);
  });
});

describe('quotas', () => {
  test('of a part and of all; what is removed makes room', async () => {
    const registry = await startRegistry({
      quotas: [
        { prefix: 'bank', bytes: 1000 },
        { prefix: '', bytes: 2000 },
      ],
    });
    const [x, y] = [randomBytes(900), randomBytes(900)];
    expect((await putBlob(registry, 'bank/ledger', x)).status).toBe(201);
    const refused = await putBlob(registry, 'bank/gateway', y);
    expect([refused.status, await code(refused)]).toEqual([413, 'DENIED']);
    expect((await putBlob(registry, 'banking', y)).status).toBe(201);
    expect((await putBlob(registry, 'other', randomBytes(900))).status).toBe(413);
    const mount = `${registry.base}/v2/bank/gateway/blobs/uploads/?from=banking&mount=${digestOf(y)}`;
    expect((await fetch(mount, { method: 'POST' })).status).toBe(413);
    await fetch(`${registry.base}/v2/bank/ledger/blobs/${digestOf(x)}`, { method: 'DELETE' });
    expect((await fetch(mount, { method: 'POST' })).status).toBe(201);
    // Nothing of what was refused is left behind.
    expect(await readdir(join(registry.root, 'uploads'))).toEqual([]);
  });

  test('a body without a length is cut where the quota ends', async () => {
    const registry = await startRegistry({ quotas: [{ prefix: '', bytes: 100_000 }] });
    const begun = await fetch(`${registry.base}/v2/a/blobs/uploads/`, { method: 'POST' });
    const sent = httpRequest(new URL(begun.headers.get('location') ?? '', registry.base), { method: 'PATCH' });
    sent.on('error', () => {});
    const answered = new Promise<number>((resolve) => sent.on('response', (answer) => resolve(answer.statusCode ?? 0)));
    for (let sentBytes = 0; sentBytes < 400_000; sentBytes += 10_000) sent.write(randomBytes(10_000));
    expect(await answered).toBe(413);
    sent.destroy();
    const [name = ''] = await readdir(join(registry.root, 'uploads'));
    expect((await stat(join(registry.root, 'uploads', name))).size).toBeLessThanOrEqual(100_000);
  });
});

describe('clients that hold on', () => {
  test('a blob above the bound is refused', async () => {
    const registry = await startRegistry({ maximumBlob: 1000 });
    expect((await putBlob(registry, 'a', randomBytes(1001))).status).toBe(413);
    expect((await putBlob(registry, 'a', randomBytes(1000))).status).toBe(201);
  });

  test('a body that trickles is cut, and what came stays for another try', async () => {
    const registry = await startRegistry({ pace: { window: 200, bytes: 100 } });
    const begun = await fetch(`${registry.base}/v2/a/blobs/uploads/`, { method: 'POST' });
    const url = new URL(begun.headers.get('location') ?? '', registry.base);
    const slow = httpRequest(url, { method: 'PATCH', headers: { 'content-length': 1000 } });
    const ended = new Promise((resolve) => slow.on('error', resolve));
    slow.write('x'.repeat(300));
    const drip = setInterval(() => slow.write('x'), 50);
    await ended;
    clearInterval(drip);
    await expect.poll(async () => (await fetch(url)).headers.get('range'), patient).toMatch(/^0-(?:299|3\d\d)$/);
  });

  test('a head that trickles in is cut', async () => {
    const server = createRegistryServer((_, response) => response.end(), undefined, 400);
    const [host = '', port] = (await listenLocally(server)).split(':');
    const socket = connectSocket(Number(port), host);
    socket.on('error', () => {});
    socket.write('GET /v2/ HTTP/1.1\r\n');
    const drip = setInterval(() => socket.write('x: y\r\n'), 50);
    socket.resume();
    await once(socket, 'close');
    clearInterval(drip);
  });

  test('a body that nobody asked for ends some time', async () => {
    const registry = await startRegistry();
    const [host = '', port] = registry.host.split(':');
    const socket = connectSocket(Number(port), host);
    socket.on('error', () => {});
    socket.write('POST /v2/a/blobs/uploads/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(0x100000), Buffer.from('\r\n')]);
    let sent = 0;
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    const more = () => {
      while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
    };
    socket.on('drain', more);
    more();
    await closed;
    expect(sent).toBeLessThan(200 * 1024 * 1024);
  });

  test('uploads that nobody goes on with expire when another one begins', async () => {
    const root = await testFolder();
    const hour = 3600 * 1000;
    const first = await openUploads(root, hour).create('a');
    const young = await openUploads(root, hour).create('a');
    const past = new Date(Date.now() - 2 * hour);
    await utimes(first.path, past, past);
    const uploads = openUploads(root, hour);
    const last = await uploads.create('a');
    expect(await uploads.find('a', first.id)).toBeUndefined();
    for (const { id } of [young, last]) expect(await uploads.find('a', id)).toMatchObject({ size: 0 });
  });
});

test('a long list of referrers comes page by page', async () => {
  const registry = await startRegistry();
  const { digest, size } = await putImage(registry, 'a', 'v1', 'subject');
  const subject = { mediaType: mediaTypes.manifest, digest, size };
  for (const each of ['a', 'b', 'c', 'd'])
    await putImage(registry, 'a', 'digest', each, { subject, annotations: { long: each.repeat(900_000) } });
  let url: string | undefined = `/v2/a/referrers/${digest}`;
  const found = new Set<string>();
  let pages = 0;
  while (url !== undefined) {
    const answer: Response = await fetch(new URL(url, registry.base));
    for (const each of ((await answer.json()) as { manifests: { digest: string }[] }).manifests) found.add(each.digest);
    url = /<(.*)>/.exec(answer.headers.get('link') ?? '')?.[1];
    pages += 1;
  }
  expect([found.size, pages]).toEqual([4, 2]);
});

describe('garbage collection', () => {
  const collect = (registry: TestRegistry, more: object = {}) =>
    collectGarbage({ store: registry.store, root: registry.root, sweepStore: true, grace: 0, ...more });

  test('removes what nothing leads to, and only says so in a dry run', async () => {
    const registry = await startRegistry();
    const kept = await putImage(registry, 'bank/ledger', 'v1', 'kept');
    const gone = await putImage(registry, 'bank/ledger', 'v2', 'gone and more');
    await putBlob(registry, 'bank/ledger', 'never used');
    await removeFromRegistry(registry.store, registry.root, `bank/ledger@${gone.digest}`);
    const dry = await collect(registry, { dryRun: true });
    expect(dry.blobs.map(({ digest }) => digest).sort()).toEqual([gone.layer, digestOf('never used')].sort());
    expect(dry.freed).toBe('gone and more'.length + 'never used'.length);
    expect(await has(registry, 'bank/ledger', `blobs/${gone.layer}`)).toBe(true);
    const real = await collect(registry);
    expect({ ...real }).toEqual({ ...dry });
    expect(await has(registry, 'bank/ledger', `blobs/${gone.layer}`)).toBe(false);
    expect(await has(registry, 'bank/ledger', `blobs/${kept.layer}`)).toBe(true);
    expect(await registry.store.size(gone.layer)).toBeUndefined();
    expect(await registry.store.size(kept.layer)).toBe(4);
    expect(await collect(registry)).toMatchObject({ blobs: [], freed: 0 });
    expect((await checkRegistry(registry.store, registry.root)).problems).toEqual([]);
  });

  test('what two repositories share comes back when the last of them lets go', async () => {
    const registry = await startRegistry();
    const { digest, layer } = await putImage(registry, 'one', 'v1', 'shared');
    await putImage(registry, 'two', 'v1', 'shared');
    await removeFromRegistry(registry.store, registry.root, `one@${digest}`);
    expect(await collect(registry)).toMatchObject({ blobs: [{ repository: 'one' }, { repository: 'one' }], freed: 0 });
    expect(await has(registry, 'two', `blobs/${layer}`)).toBe(true);
    await removeFromRegistry(registry.store, registry.root, `two@${digest}`);
    expect((await collect(registry)).freed).toBe('shared'.length + 2);
  });

  test('follows indexes down and subjects up; with --untagged all else goes', async () => {
    const registry = await startRegistry();
    const part = await putImage(registry, 'a', 'digest', 'a part of an index');
    const descriptor = { mediaType: mediaTypes.manifest, digest: part.digest, size: part.size };
    const index = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [descriptor] });
    const put = await fetch(`${registry.base}/v2/a/manifests/v1`, {
      method: 'PUT',
      body: index,
      headers: { 'content-type': mediaTypes.index },
    });
    expect(put.status).toBe(201);
    const signature = await putImage(registry, 'a', 'digest', 'a signature', { subject: descriptor });
    const loose = await putImage(registry, 'a', 'digest', 'loose');
    expect(await collect(registry)).toMatchObject({ manifests: [], blobs: [] });
    const found = await collect(registry, { untagged: true });
    expect(found.manifests).toEqual([{ repository: 'a', digest: loose.digest }]);
    expect(found.blobs.map(({ digest }) => digest)).toEqual([loose.layer]);
    for (const each of [part, signature]) expect(await has(registry, 'a', `blobs/${each.layer}`)).toBe(true);
    expect((await checkRegistry(registry.store, registry.root)).problems).toEqual([]);
    expect(await listRegistry(registry.store, registry.root)).toMatchObject([
      { repository: 'a', tags: [{ tag: 'v1', digest: digestOf(index) }], manifests: 3, blobs: 3 },
    ]);
  });

  test('leaves alone what is young, and what a client was told of', async () => {
    const registry = await startRegistry();
    await putBlob(registry, 'a', 'just pushed');
    expect(await collect(registry, { grace: 60_000 })).toMatchObject({ blobs: [], uploads: 0 });
    const { headers } = await fetch(`${registry.base}/v2/a/blobs/uploads/`, { method: 'POST' });
    expect(await collect(registry, { grace: 60_000 })).toMatchObject({ uploads: 0 });
    expect((await fetch(new URL(headers.get('location') ?? '', registry.base))).status).toBe(204);
  });

  test('beside pushes: each image that was pushed is whole', async () => {
    const registry = await startRegistry();
    let stop = false;
    const collecting = (async () => {
      while (!stop) await collect(registry, { grace: 2000, untagged: true });
    })();
    const pushed = await Promise.all(
      Array.from({ length: 4 }, async (_, worker) => {
        for (let round = 0; round < 15; round++) {
          const { status, digest } = await putImage(registry, 'a', `t${worker}`, `round ${round} of ${worker}`);
          expect(status).toBe(201);
          expect(await has(registry, 'a', `manifests/${digest}`)).toBe(true);
        }
        return `t${worker}`;
      }),
    );
    stop = true;
    await collecting;
    for (const tag of pushed) expect(await has(registry, 'a', `manifests/${tag}`)).toBe(true);
    expect((await checkRegistry(registry.store, registry.root)).problems).toEqual([]);
  });
});

test('check finds damage', async () => {
  const registry = await startRegistry();
  const { layer, digest } = await putImage(registry, 'a', 'v1', 'sound');
  const path = join(registry.root, 'repositories/a/_blobs', layer.slice(7));
  await writeFile(path, 'wrong');
  await fetch(`${registry.base}/v2/a/blobs/${digestOf('{}')}`, { method: 'DELETE' });
  const { problems } = await checkRegistry(registry.store, registry.root);
  expect(problems).toEqual([
    `a: the blob ${layer} is damaged: its bytes have another sum`,
    `a: the manifest ${digest} refers to ${digestOf('{}')}, which is gone`,
  ]);
});

test.each<[string, string | Buffer, number]>([
  ['a key twice', `{"schemaVersion":2,"schemaVersion":2,"config":{},"layers":[]}`, 400],
  ['a key twice, once in disguise', `{"schemaVersion":2,"schema\\u0056ersion":2,"config":{},"layers":[]}`, 400],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400],
  ['a mark of byte order', `\ufeff{"schemaVersion":2}`, 400],
  ['endless depth', `{"schemaVersion":2,"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 400],
  ['20,000 layers', JSON.stringify({ schemaVersion: 2, config: {}, layers: Array(20_000).fill({}) }), 400],
  ['nothing', '', 400],
  ['a list', '[]', 400],
  ['another type', JSON.stringify({ schemaVersion: 2, mediaType: 'text/html', config: {}, layers: [] }), 400],
])('a manifest with %s is refused, and nothing of it stays', async (_, body, status) => {
  const registry = await startRegistry();
  const answer = await fetch(`${registry.base}/v2/a/manifests/v1`, {
    method: 'PUT',
    body: body as string,
    headers: { 'content-type': mediaTypes.manifest },
  });
  expect([answer.status, await code(answer)]).toEqual([status, 'MANIFEST_INVALID']);
  expect(await readdir(registry.root).catch(() => [])).toEqual([]);
});

test('an index can not refer to itself, since it would have to know its own sum', async () => {
  const registry = await startRegistry();
  const { digest, size } = await putImage(registry, 'a', 'v1', 'x');
  let below = { mediaType: mediaTypes.manifest as string, digest: digest as string, size };
  for (let level = 0; level < 20; level++) {
    const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [below] });
    const put = await fetch(`${registry.base}/v2/a/manifests/${digestOf(body)}`, {
      method: 'PUT',
      body,
      headers: { 'content-type': mediaTypes.index },
    });
    expect(put.status).toBe(201);
    below = { mediaType: mediaTypes.index, digest: digestOf(body), size: body.length };
  }
  const loose = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: [{ mediaType: mediaTypes.index, digest: digestOf('not there'), size: 9 }],
  });
  const refused = await fetch(`${registry.base}/v2/a/manifests/loop`, {
    method: 'PUT',
    body: loose,
    headers: { 'content-type': mediaTypes.index },
  });
  expect([refused.status, await code(refused)]).toEqual([404, 'MANIFEST_BLOB_UNKNOWN']);
});

test('a request that has fallen silent gives way to the next one for the same upload', async () => {
  const registry = await startRegistry({ silence: 1 });
  const { headers } = await fetch(`${registry.base}/v2/a/blobs/uploads/`, { method: 'POST' });
  const url = new URL(headers.get('location') ?? '', registry.base);
  const silent = httpRequest(url, { method: 'PATCH', headers: { 'content-length': 100 } });
  silent.on('error', () => {});
  silent.write('first');
  await expect.poll(async () => (await fetch(url)).headers.get('range'), patient).toBe('0-4');
  const next = () => fetch(url, { method: 'PATCH', body: ' second', headers: { 'content-range': '5-11' } });
  await expect.poll(async () => (await next()).status, patient).toBe(202);
});
