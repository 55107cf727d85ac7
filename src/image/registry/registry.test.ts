import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { pullImage } from '../client/pull.ts';
import { headImage, pushImage } from '../client/push.ts';
import { digestOf } from '../digest.ts';
import { layoutBlob, readImageLayout } from '../layout.ts';
import { makeImage } from '../make.ts';
import { type BlobStore, hashFile, openBlobStore } from '../store.ts';
import { testCertificates } from '../testing/certificates.ts';
import { testFolder } from '../testing/folder.ts';
import { createRegistryHandler, type RegistryOptions } from './handler.ts';
import { createRegistryServer } from './serve.ts';

async function listen(server: Server, path?: string): Promise<number> {
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

interface Started {
  readonly base: string;
  readonly host: string;
  readonly root: string;
  readonly store: BlobStore;
}

async function start(options: Partial<RegistryOptions> = {}, storeFolder?: string): Promise<Started> {
  const folder = await testFolder();
  const store = await openBlobStore(storeFolder ?? join(folder, 'blobs'));
  const root = join(folder, 'registry');
  const errors: unknown[] = [];
  const port = await listen(
    createServer(createRegistryHandler(store, { root, onError: (error) => errors.push(error), ...options })),
  );
  onTestFinished(() => expect(errors).toEqual([]));
  return { base: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, root, store };
}

async function image(folder: string, text: string, store?: BlobStore) {
  return makeImage({
    store: store ?? (await openBlobStore(join(folder, 'source'))),
    output: join(folder, `${text.slice(0, 10)}.oci`),
    packages: [],
    files: [{ destination: '/text', content: text }],
    config: {},
  });
}

/** What registries answer, as far as these tests look at it. */
interface Answer {
  readonly name?: string;
  readonly tags: string[];
  readonly errors: { readonly code: string }[];
  readonly manifests: { readonly digest: string; readonly artifactType: string }[];
}

async function json(answer: Response): Promise<Answer> {
  return (await answer.json()) as Answer;
}

const plain = { plainHttp: true, credentials: 'anonymous' } as const;

async function pushBlob(base: string, repository: string, text: string): Promise<string> {
  const digest = digestOf(text);
  const answer = await fetch(`${base}/v2/${repository}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: text,
  });
  expect(answer.status).toBe(201);
  return digest;
}

async function pushManifest(base: string, repository: string, reference: string, more: object = {}) {
  const config = await pushBlob(base, repository, '{}');
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: config, size: 2 },
    layers: [],
    ...more,
  });
  const answer = await fetch(`${base}/v2/${repository}/manifests/${reference}`, {
    method: 'PUT',
    body: manifest,
    headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
  });
  return { status: answer.status, digest: digestOf(manifest), answer };
}

describe('an image goes there and back', () => {
  test('over TLS with a client certificate, and not without one', async () => {
    const folder = await testFolder();
    const { ca, server: own, client } = await testCertificates(folder);
    const store = await openBlobStore(join(folder, 'blobs'));
    const handler = createRegistryHandler(store, { root: join(folder, 'registry') });
    const server = createRegistryServer(handler, { ...own, clientAuthorities: ca });
    const port = await listen(server);
    const built = await image(folder, 'over TLS');
    const reference = `127.0.0.1:${port}/bank/ledger:${built.tag}`;
    const transport = { ca, ...client };
    const pushed = await pushImage({ layout: built.layout, reference, transport });
    expect(pushed).toMatchObject({ digest: built.digest, sentBlobs: 3 });
    const other = await openBlobStore(join(folder, 'other'));
    const pulled = await pullImage({ reference, store: other, output: join(folder, 'pulled.oci'), transport });
    expect(pulled).toMatchObject({ digest: built.digest, tag: built.tag, layers: built.layers });
    await expect(pushImage({ layout: built.layout, reference, transport: { ca } })).rejects.toMatchObject({
      code: 'image/registry-unreachable',
    });
    await expect(headImage({ reference, transport: client })).rejects.toMatchObject({
      code: 'image/registry-unreachable',
      next: expect.stringContaining('authority'),
    });
  });

  test('over a Unix socket', async () => {
    const folder = await testFolder();
    const socketPath = join(folder, 'registry.sock');
    const handler = createRegistryHandler(await openBlobStore(join(folder, 'blobs')), {
      root: join(folder, 'registry'),
    });
    await listen(createServer(handler), socketPath);
    const built = await image(folder, 'over a socket');
    const request = {
      layout: built.layout,
      reference: 'registry.local/bank/ledger:v1',
      transport: { ...plain, socketPath },
    };
    expect(await pushImage(request)).toMatchObject({ sentBlobs: 3 });
    expect(await pushImage(request)).toEqual({ digest: built.digest, sentBlobs: 0, sentBytes: 0 });
    expect(await headImage(request)).toMatchObject({ digest: built.digest });
    expect(await headImage({ ...request, reference: 'registry.local/bank/ledger:v2' })).toBeUndefined();
  });

  test('a second image sends only what is new, and with a shared store nothing at all', async () => {
    const folder = await testFolder();
    const { host, store } = await start();
    const [one, two] = [await image(folder, 'one'), await image(folder, 'two')];
    await pushImage({ layout: one.layout, reference: `${host}/a:1`, transport: plain });
    // The layer of accounts is there: the files and the configuration are sent.
    expect(await pushImage({ layout: two.layout, reference: `${host}/a:2`, transport: plain })).toMatchObject({
      sentBlobs: 2,
    });
    const shared = await start({ discover: true }, store.folder);
    expect(await pushImage({ layout: two.layout, reference: `${shared.host}/b:2`, transport: plain })).toMatchObject({
      sentBlobs: 0,
    });
    const other = await openBlobStore(join(folder, 'other'));
    expect(
      await pullImage({
        reference: `${shared.host}/b:2`,
        store: other,
        output: join(folder, 'x.oci'),
        transport: plain,
      }),
    ).toMatchObject({ digest: two.digest });
  });

  test('many clients push the same and other images at once', async () => {
    const folder = await testFolder();
    const { host } = await start();
    const built = await Promise.all(['a', 'b', 'c', 'd'].map((text) => image(folder, text)));
    await Promise.all(
      built.flatMap(({ layout, tag }) =>
        Array.from({ length: 4 }, () => pushImage({ layout, reference: `${host}/same:${tag}`, transport: plain })),
      ),
    );
    for (const { digest, tag } of built)
      expect(await headImage({ reference: `${host}/same:${tag}`, transport: plain })).toMatchObject({ digest });
  });

  test('what was pushed outlives the store that it lay in', async () => {
    const folder = await testFolder();
    const { host, store } = await start();
    const built = await image(folder, 'kept');
    await pushImage({ layout: built.layout, reference: `${host}/a:1`, transport: plain });
    await rm(join(store.folder, 'sha256'), { recursive: true });
    const other = await openBlobStore(join(folder, 'other'));
    expect(
      await pullImage({ reference: `${host}/a:1`, store: other, output: join(folder, 'x.oci'), transport: plain }),
    ).toMatchObject({ digest: built.digest });
  });
});

describe('the specification', () => {
  test('a blob in chunks: each goes on where the last ended', async () => {
    const { base } = await start();
    const begun = await fetch(`${base}/v2/a/blobs/uploads/`, { method: 'POST' });
    expect(begun.status).toBe(202);
    const url = new URL(begun.headers.get('location') ?? '', base);
    const patch = (text: string, range: string) =>
      fetch(url, { method: 'PATCH', body: text, headers: { 'content-range': range } });
    expect((await patch('hello', '0-4')).headers.get('range')).toBe('0-4');
    expect((await patch('xxx', '9-11')).status).toBe(416);
    const status = await fetch(url);
    expect([status.status, status.headers.get('range')]).toEqual([204, '0-4']);
    expect((await patch(' world', '5-10')).status).toBe(202);
    const wrong = await fetch(
      `${base}/v2/a/blobs/uploads/00000000-0000-0000-0000-000000000000?digest=${digestOf('x')}`,
      { method: 'PUT' },
    );
    expect(wrong.status).toBe(404);
    const other = await fetch(new URL(url.pathname.replace('/v2/a/', '/v2/b/'), base), { method: 'PATCH', body: 'x' });
    expect(other.status).toBe(404);
    const put = await fetch(`${url}?digest=${digestOf('hello world!')}`, { method: 'PUT', body: '!' });
    expect(put.status).toBe(201);
    expect(put.headers.get('location')).toBe(`/v2/a/blobs/${digestOf('hello world!')}`);
    const blob = `${base}/v2/a/blobs/${digestOf('hello world!')}`;
    expect(await (await fetch(blob)).text()).toBe('hello world!');
    const part = await fetch(blob, { headers: { range: 'bytes=6-10' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
      206,
      'bytes 6-10/12',
      'world',
    ]);
    expect(await (await fetch(blob, { headers: { range: 'bytes=-1' } })).text()).toBe('!');
    expect((await fetch(blob, { headers: { range: 'bytes=12-' } })).status).toBe(416);
    const head = await fetch(blob, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '12']);
    expect((await fetch(url)).status).toBe(404);
  });

  test('content with another sum than its digest is refused, in one piece and in chunks', async () => {
    const { base, store, root } = await start();
    const wrong = digestOf('right');
    expect((await fetch(`${base}/v2/a/blobs/uploads/?digest=${wrong}`, { method: 'POST', body: 'wrong' })).status).toBe(
      400,
    );
    for (const chunks of [['wrong'], ['wro', 'ng']]) {
      const { headers } = await fetch(`${base}/v2/a/blobs/uploads/`, { method: 'POST' });
      const url = new URL(headers.get('location') ?? '', base);
      for (const chunk of chunks.slice(0, -1)) await fetch(url, { method: 'PATCH', body: chunk });
      const put = await fetch(`${url}?digest=${wrong}`, { method: 'PUT', body: chunks.at(-1) ?? '' });
      expect([put.status, (await json(put)).errors[0]?.code]).toEqual([400, 'DIGEST_INVALID']);
    }
    expect(await store.size(wrong)).toBeUndefined();
    await expect(access(join(root, 'repositories/a/_blobs'))).rejects.toThrow();
  });

  test('a repository serves what was pushed to it and nothing of its neighbours, unless it is mounted', async () => {
    const { base } = await start();
    const digest = await pushBlob(base, 'one', 'secret');
    expect((await fetch(`${base}/v2/two/blobs/${digest}`)).status).toBe(404);
    const guess = await fetch(`${base}/v2/two/blobs/uploads/?mount=${digest}`, { method: 'POST' });
    expect(guess.status).toBe(202);
    const mounted = await fetch(`${base}/v2/two/blobs/uploads/?mount=${digest}&from=one`, { method: 'POST' });
    expect(mounted.status).toBe(201);
    expect(await (await fetch(`${base}/v2/two/blobs/${digest}`)).text()).toBe('secret');
    const nowhere = await fetch(`${base}/v2/two/blobs/uploads/?mount=${digestOf('x')}&from=one`, { method: 'POST' });
    expect(nowhere.status).toBe(202);
  });

  test('who may not pull from a repository may not mount from it', async () => {
    const { base } = await start({
      authorize: (request, _, repository) => repository !== 'private' || request.headers.authorization === 'let me',
    });
    const digest = digestOf('secret');
    const pushed = await fetch(`${base}/v2/private/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      body: 'secret',
      headers: { authorization: 'let me' },
    });
    expect(pushed.status).toBe(201);
    expect((await fetch(`${base}/v2/private/blobs/${digest}`)).status).toBe(403);
    expect(
      (await fetch(`${base}/v2/public/blobs/uploads/?mount=${digest}&from=private`, { method: 'POST' })).status,
    ).toBe(202);
  });

  test('manifests by tag and digest, with their own type', async () => {
    const { base } = await start();
    const { status, digest } = await pushManifest(base, 'a/b', 'v1');
    expect(status).toBe(201);
    for (const reference of ['v1', digest]) {
      const answer = await fetch(`${base}/v2/a/b/manifests/${reference}`);
      expect(answer.headers.get('content-type')).toBe('application/vnd.oci.image.manifest.v1+json');
      expect(answer.headers.get('docker-content-digest')).toBe(digest);
      expect(digestOf(await answer.text())).toBe(digest);
    }
    expect((await fetch(`${base}/v2/a/b/manifests/v2`)).status).toBe(404);
    expect((await json(await fetch(`${base}/v2/x/manifests/v1`))).errors[0]?.code).toBe('NAME_UNKNOWN');
    expect((await pushManifest(base, 'a/b', digestOf('other'))).status).toBe(400);
  });

  test.each<[string, object, number]>([
    ['a layer that is not there', { layers: [{ mediaType: 'x', digest: digestOf('x'), size: 1 }] }, 404],
    ['a digest that is none', { layers: [{ mediaType: 'x', digest: 'sha256:../../x', size: 1 }] }, 400],
    ['a negative size', { layers: [{ mediaType: 'x', digest: digestOf('x'), size: -1 }] }, 400],
    ['another size than the blob has', { layers: [{ mediaType: 'x', digest: digestOf('{}'), size: 3 }] }, 400],
    ['an index inside of a manifest', { manifests: [] }, 400],
    ['another version', { schemaVersion: 1 }, 400],
    ['another type than it came as', { mediaType: 'application/vnd.oci.image.index.v1+json' }, 400],
    ['4 MiB and more', { annotations: { a: 'x'.repeat(4 * 1024 * 1024) } }, 413],
  ])('a manifest with %s is refused', async (_, more, expected) => {
    const { base } = await start();
    expect((await pushManifest(base, 'a', 'v1', more)).status).toBe(expected);
    expect((await fetch(`${base}/v2/a/manifests/v1`)).status).toBe(404);
  });

  test('tags page by page', async () => {
    const { base } = await start();
    for (const tag of ['b', 'a', 'C', 'd']) await pushManifest(base, 'a', tag);
    expect(await (await fetch(`${base}/v2/a/tags/list`)).json()).toEqual({ name: 'a', tags: ['C', 'a', 'b', 'd'] });
    const page = await fetch(`${base}/v2/a/tags/list?n=3`);
    expect((await json(page)).tags).toEqual(['C', 'a', 'b']);
    const [, next = ''] = /<(.*)>; rel="next"/.exec(page.headers.get('link') ?? '') ?? [];
    const second = await fetch(new URL(next, base));
    expect([(await json(second)).tags, second.headers.get('link')]).toEqual([['d'], null]);
    expect((await fetch(`${base}/v2/nothing/tags/list`)).status).toBe(404);
  });

  test('referrers, by their type too', async () => {
    const { base } = await start();
    const { digest } = await pushManifest(base, 'a', 'v1');
    const subject = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 };
    const sbom = await pushManifest(base, 'a', 'sbom', {
      subject,
      artifactType: 'application/sbom',
      annotations: { k: 'v' },
    });
    expect(sbom.answer.headers.get('oci-subject')).toBe(digest);
    await pushManifest(base, 'a', 'sign', { subject, artifactType: 'application/signature' });
    const all = await json(await fetch(`${base}/v2/a/referrers/${digest}`));
    expect(all.manifests.map((entry) => entry.artifactType).sort()).toEqual([
      'application/sbom',
      'application/signature',
    ]);
    const filtered = await fetch(`${base}/v2/a/referrers/${digest}?artifactType=application/sbom`);
    expect(filtered.headers.get('oci-filters-applied')).toBe('artifactType');
    expect((await json(filtered)).manifests).toMatchObject([{ digest: sbom.digest, annotations: { k: 'v' } }]);
    await fetch(`${base}/v2/a/manifests/${sbom.digest}`, { method: 'DELETE' });
    expect((await json(await fetch(`${base}/v2/a/referrers/${digest}`))).manifests).toHaveLength(1);
    expect((await json(await fetch(`${base}/v2/a/referrers/${digestOf('x')}`))).manifests).toEqual([]);
  });

  test('deletion of tags, manifests and blobs', async () => {
    const { base } = await start();
    const { digest } = await pushManifest(base, 'a', 'v1');
    await pushManifest(base, 'a', 'v2');
    const remove = async (path: string) => (await fetch(`${base}/v2/a/${path}`, { method: 'DELETE' })).status;
    expect(await remove('manifests/v1')).toBe(202);
    expect(await remove('manifests/v1')).toBe(404);
    expect((await fetch(`${base}/v2/a/manifests/${digest}`)).status).toBe(200);
    expect(await remove(`manifests/${digest}`)).toBe(202);
    expect((await fetch(`${base}/v2/a/manifests/v2`)).status).toBe(404);
    expect((await json(await fetch(`${base}/v2/a/tags/list`))).tags).toEqual([]);
    expect(await remove(`blobs/${digestOf('{}')}`)).toBe(202);
    expect(await remove(`blobs/${digestOf('{}')}`)).toBe(404);
  });
});

describe('hostile requests', () => {
  /** fetch() would clean the path up. */
  function rawStatus(base: string, method: string, path: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(base, { method, path }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      request.on('error', reject).end();
    });
  }

  test.each([
    ['GET', '/v2/../../etc/passwd'],
    ['GET', '/v2/..%2f..%2fetc/manifests/v1'],
    ['GET', '/v2/a/../../b/manifests/v1'],
    ['GET', '/v2/a/_blobs/manifests/v1'],
    ['GET', '/v2/A/manifests/v1'],
    ['GET', '/v2/a//b/manifests/v1'],
    ['GET', '/v2/a%00b/manifests/v1'],
    ['GET', '/v2/a/manifests/..'],
    ['GET', '/v2/a/manifests/%2e%2e%2f%2e%2e%2fx'],
    ['GET', `/v2/a/manifests/sha256:${'..%2f'.repeat(12)}`],
    ['GET', '/v2/a/blobs/sha256:abc'],
    ['GET', '/v2/%E0%A4%A/manifests/v1'],
    ['POST', `/v2/${'a/'.repeat(200)}a/blobs/uploads/`],
    ['PATCH', '/v2/a/blobs/uploads/..%2f..%2fx'],
    ['PUT', '/v2/a/blobs/uploads/..'],
    ['GET', '/etc/passwd'],
    ['POST', '/v2/'],
    ['PUT', `/v2/a/blobs/${digestOf('x')}`],
  ])('%s %s is refused', async (method, path) => {
    const { base, root } = await start();
    expect([400, 404, 405]).toContain(await rawStatus(base, method, path));
    expect(await readdir(root).catch(() => [])).toEqual([]);
  });

  test('two requests that write to one upload do not mix', async () => {
    const { base } = await start({ silence: 3_600_000 });
    const { headers } = await fetch(`${base}/v2/a/blobs/uploads/`, { method: 'POST' });
    const url = new URL(headers.get('location') ?? '', base);
    const slow = httpRequest(url, { method: 'PATCH' });
    slow.on('error', () => {});
    slow.write('first');
    await expect.poll(async () => (await fetch(url)).headers.get('range'), { timeout: 25_000 }).toBe('0-4');
    expect((await fetch(url, { method: 'PATCH', body: 'second' })).status).toBe(409);
    const ended = new Promise((resolve) => slow.on('response', resolve));
    slow.end();
    await ended;
    expect((await fetch(`${url}?digest=${digestOf('first')}`, { method: 'PUT' })).status).toBe(201);
  });
});

test('kill -9 in the middle of an upload: nothing half is served, and the upload goes on where it broke', async () => {
  const folder = await testFolder();
  const program = `
    import { createServer } from 'node:http';
    import { openBlobStore } from ${JSON.stringify(new URL('../store.ts', import.meta.url).href)};
    import { createRegistryHandler } from ${JSON.stringify(new URL('./handler.ts', import.meta.url).href)};
    const store = await openBlobStore(${JSON.stringify(join(folder, 'blobs'))});
    const server = createServer(createRegistryHandler(store, { root: ${JSON.stringify(join(folder, 'registry'))} }));
    server.listen(0, '127.0.0.1', () => process.stdout.write(String(server.address().port)));
  `;
  const serve = async () => {
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [port] = await once(child.stdout!, 'data');
    onTestFinished(() => void child.kill('SIGKILL'));
    return { child, base: `http://127.0.0.1:${port}` };
  };
  const first = await serve();
  const begun = await fetch(`${first.base}/v2/a/blobs/uploads/`, { method: 'POST' });
  const { pathname } = new URL(begun.headers.get('location') ?? '', first.base);
  const content = Buffer.alloc(3_000_000, 'abcdefg');
  const patch = httpRequest(new URL(pathname, first.base), { method: 'PATCH' });
  const broken = new Promise((resolve) => patch.on('error', resolve));
  patch.write(content.subarray(0, 1_000_000));
  const uploads = join(folder, 'registry/uploads');
  const [name = ''] = await readdir(uploads);
  await expect.poll(async () => (await readFile(join(uploads, name))).length, { timeout: 25_000 }).toBe(1_000_000);
  first.child.kill('SIGKILL');
  await broken;
  const second = await serve();
  const digest = digestOf(content);
  expect((await fetch(`${second.base}/v2/a/blobs/${digest}`)).status).toBe(404);
  const status = await fetch(`${second.base}${pathname}`);
  expect(status.headers.get('range')).toBe('0-999999');
  const rest = content.subarray(1_000_000);
  const headers = { 'content-range': `1000000-${content.length - 1}` };
  expect(
    (await fetch(`${second.base}${pathname}?digest=${digest}`, { method: 'PUT', body: rest, headers })).status,
  ).toBe(201);
  const whole = Buffer.from(await (await fetch(`${second.base}/v2/a/blobs/${digest}`)).arrayBuffer());
  expect(digestOf(whole)).toBe(digest);
});

describe('a client before difficult registries', () => {
  async function before(handler: RequestListener): Promise<string> {
    return `127.0.0.1:${await listen(createServer(handler))}`;
  }

  /** The real registry, with something between. */
  async function between(difficulty: (inner: RequestListener) => RequestListener): Promise<string> {
    const folder = await testFolder();
    const inner = createRegistryHandler(await openBlobStore(join(folder, 'blobs')), { root: join(folder, 'registry') });
    return before(difficulty(inner));
  }

  test('429, 503 and broken connections pass', async () => {
    let count = 0;
    const host = await between((inner) => (request, response) => {
      count += 1;
      if (count % 3 === 1) {
        request.resume();
        response.writeHead(count % 2 === 0 ? 429 : 503, { 'retry-after': '0' }).end();
      } else if (count % 7 === 0) request.socket.destroy();
      else inner(request, response);
    });
    const folder = await testFolder();
    const built = await image(folder, 'stubborn');
    await pushImage({ layout: built.layout, reference: `${host}/a:1`, transport: plain });
    const store = await openBlobStore(join(folder, 'other'));
    expect(
      await pullImage({ reference: `${host}/a:1`, store, output: join(folder, 'x.oci'), transport: plain }),
    ).toMatchObject({ digest: built.digest });
  });

  test('a registry that only fails is told of, with what it said', async () => {
    const host = await before((request, response) => {
      request.resume();
      response
        .writeHead(500, { 'retry-after': '0' })
        .end(JSON.stringify({ errors: [{ code: 'UNKNOWN', message: 'disk on fire' }] }));
    });
    const built = await image(await testFolder(), 'x');
    await expect(pushImage({ layout: built.layout, reference: `${host}/a:1`, transport: plain })).rejects.toMatchObject(
      { code: 'image/registry-refused' },
    );
    const store = await openBlobStore(await testFolder());
    await expect(
      pullImage({ reference: `${host}/a:1`, store, output: '/nonexistent', transport: plain }),
    ).rejects.toMatchObject({
      code: 'image/registry-refused',
      notes: ['UNKNOWN: disk on fire'],
    });
  });

  test('nobody there', async () => {
    const server = createServer();
    const port = await listen(server);
    server.close();
    await expect(headImage({ reference: `127.0.0.1:${port}/a:1`, transport: plain })).rejects.toMatchObject({
      code: 'image/registry-unreachable',
    });
  });

  test('bytes with another sum are not kept', async () => {
    const folder = await testFolder();
    const built = await image(folder, 'genuine');
    const layer = built.layers.at(-1)!;
    const host = await between((inner) => (request, response) => {
      if (request.method === 'GET' && request.url?.endsWith(layer.digest))
        response.end(Buffer.alloc(layer.size, 'forged'));
      else inner(request, response);
    });
    await pushImage({ layout: built.layout, reference: `${host}/a:1`, transport: plain });
    const store = await openBlobStore(join(folder, 'other'));
    const pulled = pullImage({ reference: `${host}/a:1`, store, output: join(folder, 'x.oci'), transport: plain });
    await expect(pulled).rejects.toMatchObject({ code: 'image/wrong-content' });
    expect(await store.size(layer.digest)).toBeUndefined();
    await expect(access(join(folder, 'x.oci'))).rejects.toThrow();
  });

  test('a manifest with another sum than asked for is refused', async () => {
    const host = await before((_, response) => response.end('{}'));
    const store = await openBlobStore(await testFolder());
    const pulled = pullImage({
      reference: `${host}/a@${digestOf('x')}`,
      store,
      output: '/nonexistent',
      transport: plain,
    });
    await expect(pulled).rejects.toMatchObject({ code: 'image/wrong-content' });
  });

  test('a name and password: given, wrong, and not to others', async () => {
    const seen: (string | undefined)[] = [];
    const host = await between((inner) => (request, response) => {
      seen.push(request.headers.authorization);
      if (request.headers.authorization === `Basic ${Buffer.from('anna:secret').toString('base64')}`)
        inner(request, response);
      else {
        request.resume();
        response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' }).end();
      }
    });
    const folder = await testFolder();
    const built = await image(folder, 'private');
    const reference = `${host}/a:1`;
    const push = (credentials: { username: string; password: string } | 'anonymous') =>
      pushImage({ layout: built.layout, reference, transport: { plainHttp: true, credentials } });
    await expect(push('anonymous')).rejects.toMatchObject({ code: 'image/registry-unauthorized' });
    await expect(push({ username: 'anna', password: 'wrong' })).rejects.toMatchObject({
      code: 'image/registry-unauthorized',
    });
    await push({ username: 'anna', password: 'secret' });
    expect(seen[0]).toBeUndefined();
    // As `docker login` leaves it.
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify({ auths: { [host]: { auth: Buffer.from('anna:secret').toString('base64') } } }),
    );
    const former = process.env.DOCKER_CONFIG;
    process.env.DOCKER_CONFIG = folder;
    onTestFinished(() => {
      if (former === undefined) delete process.env.DOCKER_CONFIG;
      else process.env.DOCKER_CONFIG = former;
    });
    expect(await headImage({ reference, transport: { plainHttp: true } })).toMatchObject({ digest: built.digest });
  });

  test('a token of the service that the registry names', async () => {
    const asked: string[] = [];
    let host = '';
    host = await between((inner) => (request, response) => {
      const url = new URL(request.url ?? '', `http://${host}`);
      if (url.pathname === '/token') {
        asked.push(
          `${url.searchParams.get('service')} ${url.searchParams.get('scope')} ${request.headers.authorization}`,
        );
        response.end(JSON.stringify({ token: 'abc' }));
      } else if (request.headers.authorization === 'Bearer abc') inner(request, response);
      else {
        request.resume();
        response
          .writeHead(401, {
            'www-authenticate': `Bearer realm="http://${host}/token",service="reg",scope="repository:a:pull,push"`,
          })
          .end();
      }
    });
    const built = await image(await testFolder(), 'token');
    await pushImage({
      layout: built.layout,
      reference: `${host}/a:1`,
      transport: { plainHttp: true, credentials: { username: 'u', password: 'p' } },
    });
    expect(asked).toEqual([`reg repository:a:pull,push Basic ${Buffer.from('u:p').toString('base64')}`]);
  });
});

test('a large layer is pushed and pulled in constant memory', async () => {
  const folder = await testFolder();
  const size = 300 * 1024 * 1024;
  const store = await openBlobStore(join(folder, 'source'));
  const program = (body: string) => `
    import { createServer } from 'node:http';
    const { openBlobStore, makeImage, pushImage, pullImage, createRegistryHandler } = await import(${JSON.stringify(new URL('../index.ts', import.meta.url).href)});
    const folder = ${JSON.stringify(folder)};
    ${body}
    console.log(process.resourceUsage().maxRSS);
  `;
  execFileSync('truncate', ['-s', String(size), join(folder, 'big')]);
  await makeImage({
    store,
    output: join(folder, 'big.oci'),
    packages: [],
    files: [{ destination: '/big', source: join(folder, 'big') }],
    config: {},
  });
  const peak = execFileSync(
    process.execPath,
    [
      '--input-type=module-typescript',
      '-e',
      program(`
      const server = createServer(createRegistryHandler(await openBlobStore(folder + '/blobs'), { root: folder + '/registry' }));
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      const reference = '127.0.0.1:' + server.address().port + '/big:1';
      const transport = { plainHttp: true, credentials: 'anonymous' };
      await pushImage({ layout: folder + '/big.oci', reference, transport });
      await pullImage({ reference, store: await openBlobStore(folder + '/other'), output: folder + '/pulled.oci', transport });
      server.close();
    `),
    ],
    { encoding: 'utf8' },
  );
  // Kilobytes; client and server together, in one process.
  expect(Number(peak)).toBeLessThan(150 * 1024);
  const pulled = await readImageLayout(join(folder, 'pulled.oci'));
  for (const layer of pulled.layers)
    expect(await hashFile(layoutBlob(pulled.layout, layer.digest))).toMatchObject({
      digest: layer.digest,
      size: layer.size,
    });
});
