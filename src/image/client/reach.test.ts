import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createAccess, headImage, listRepositoryTags, openBlobStore, pullImage, pushImage } from '../index.ts';
import { createRegistryHandler } from '../registry/handler.ts';
import { newToken } from '../registry/password.ts';
import { testCertificates } from '../testing/certificates.ts';
import { testFolder } from '../testing/folder.ts';
import { listenLocally, plain, startRegistry, testImage, withEnvironment } from '../testing/local-registry.ts';
import { certificatesOf } from './certificates.ts';
import { storedCredentials } from './credentials.ts';
import { askHelper } from './helper.ts';
import { openRemoteRepository } from './registry.ts';
import { endpointsOf } from './settings.ts';
import { connect, isLoopback, sendWithRetries } from './transport.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** A home folder of its own, without any of this machine's variables. */
async function emptyHome(): Promise<string> {
  const home = await testFolder();
  withEnvironment({
    HOME: home,
    DOCKER_CONFIG: undefined,
    REGISTRY_AUTH_FILE: undefined,
    XDG_RUNTIME_DIR: undefined,
    XDG_CONFIG_HOME: undefined,
    PATH: `${home}/bin:${process.env.PATH}`,
  });
  await mkdir(join(home, 'bin'));
  return home;
}

/** A credential helper that does what the script says. */
async function helper(home: string, name: string, script: string): Promise<void> {
  const path = join(home, 'bin', `docker-credential-${name}`);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

async function write(path: string, json: object): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, JSON.stringify(json));
}

describe('stored credentials', () => {
  test('from the files of Docker and Podman, the first that knows the registry', async () => {
    const home = await emptyHome();
    expect(await storedCredentials('one.example')).toBeUndefined();
    await write(join(home, '.config/containers/auth.json'), {
      auths: {
        'one.example': { auth: base64('podman:p') },
        'two.example': { auth: base64('all:x') },
        'two.example/bank': { auth: base64('bank:y:z') },
        'two.example/bank/ledger': { auth: base64('ledger:z') },
      },
    });
    expect(await storedCredentials('one.example')).toEqual({ username: 'podman', password: 'p' });
    expect(await storedCredentials('two.example', 'bank/ledger')).toEqual({ username: 'ledger', password: 'z' });
    expect(await storedCredentials('two.example', 'bank/other')).toEqual({ username: 'bank', password: 'y:z' });
    expect(await storedCredentials('two.example', 'banking')).toEqual({ username: 'all', password: 'x' });
    await write(join(home, '.docker/config.json'), {
      auths: {
        'https://one.example/v2/': { auth: base64('docker:d') },
        'https://index.docker.io/v1/': { identitytoken: 't' },
      },
    });
    expect(await storedCredentials('one.example')).toEqual({ username: 'docker', password: 'd' });
    expect(await storedCredentials('docker.io')).toEqual({ identityToken: 't' });
    await write(join(home, 'own/config.json'), { auths: { 'one.example': { username: 'u', password: 'own' } } });
    withEnvironment({ DOCKER_CONFIG: join(home, 'own') });
    expect(await storedCredentials('one.example')).toEqual({ username: 'u', password: 'own' });
    await write(join(home, 'only.json'), { auths: {} });
    withEnvironment({ REGISTRY_AUTH_FILE: join(home, 'only.json') });
    expect(await storedCredentials('one.example')).toBeUndefined();
  });

  test('a file that is not what it should be is told of, without what is in it', async () => {
    const home = await emptyHome();
    for (const text of [
      '{"auths": hunter2',
      '[]',
      '{"auths": []}',
      '{"auths":{"a.example":{"auth":"aHVudGVyMg=="}}}',
    ]) {
      await mkdir(join(home, '.docker'), { recursive: true });
      await writeFile(join(home, '.docker/config.json'), text);
      const failed = storedCredentials('a.example');
      await expect(failed).rejects.toMatchObject({ code: 'image/registry-unauthorized' });
      await expect(failed).rejects.not.toThrow(/hunter2/);
    }
  });
});

describe('credential helpers', () => {
  test("a registry's own, then the store for all, then the file", async () => {
    const home = await emptyHome();
    await helper(home, 'own', `read server; printf '{"Username":"for %s","Secret":"s"}' "$server"`);
    await helper(
      home,
      'store',
      `read server; [ "$server" = stored.example ] && printf '{"Username":"<token>","Secret":"t"}' || { echo "credentials not found in native keychain"; exit 1; }`,
    );
    await write(join(home, '.docker/config.json'), {
      credHelpers: { 'own.example': 'own' },
      credsStore: 'store',
      auths: { 'file.example': { auth: base64('file:f') } },
    });
    expect(await storedCredentials('own.example')).toEqual({ username: 'for own.example', password: 's' });
    expect(await storedCredentials('stored.example')).toEqual({ identityToken: 't' });
    expect(await storedCredentials('file.example')).toEqual({ username: 'file', password: 'f' });
    expect(await storedCredentials('unknown.example')).toBeUndefined();
  });

  test.each([
    ['fails', 'echo hunter2; echo hunter2 >&2; exit 3', 'failed with exit code 3'],
    ['speaks nonsense', 'echo hunter2', 'not JSON'],
    ['has no secret', `echo '{"Username":"u","note":"hunter2"}'`, 'no secret'],
    ['hangs', 'echo hunter2; sleep 60', 'no answer'],
    ['speaks without end', 'yes hunter2', 'failed'],
  ])('that %s is told of, without a word of what it said', async (_, script, message) => {
    const home = await emptyHome();
    await helper(home, 'bad', script);
    // One that hangs is not waited for; any other has its time, on a machine that is busy too.
    const patience = message === 'no answer' ? 500 : 25_000;
    const failed = await askHelper('bad', 'a.example', 'a.example', patience).catch((error) => error);
    expect(failed).toMatchObject({ code: 'image/registry-unauthorized' });
    expect(failed.message).toContain(message);
    expect(`${failed.message} ${failed.stack} ${JSON.stringify(failed)} ${failed.notes}`).not.toContain('hunter2');
  });

  test('that is not installed, and a name that would lead elsewhere', async () => {
    await emptyHome();
    await expect(askHelper('absent', 'a', 'a')).rejects.toMatchObject({ next: expect.stringContaining('install') });
    await expect(askHelper('../../bin/sh', 'a', 'a')).rejects.toThrow('name of a credential helper');
  });

  test('whose secret the registry takes', async () => {
    const home = await emptyHome();
    const robot = newToken();
    const registry = await startRegistry(
      createAccess(() => ({
        users: { ci: { tokens: [robot.hash] } },
        rules: [{ repositories: '**', push: ['ci'] }],
      })),
    );
    await helper(home, 'ci', `printf '{"Username":"ci","Secret":"${robot.token}"}'`);
    await write(join(home, '.docker/config.json'), { credHelpers: { [registry.host]: 'ci' } });
    const built = await testImage(home, 'by helper');
    const reference = `${registry.host}/a:v1`;
    // Nothing is said of TLS either: a registry on the loopback is asked both ways.
    expect(await pushImage({ layout: built.layout, reference })).toMatchObject({ digest: built.digest });
  });
});

test('an identity token is given to the token service for a token of the repository, and to nobody else', async () => {
  const home = await emptyHome();
  const asked: string[] = [];
  const seen: (string | undefined)[] = [];
  const giveToken: RequestListener = async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const form = Object.fromEntries(new URLSearchParams(Buffer.concat(parts).toString()));
    asked.push(`${request.method} ${request.headers['content-type']} ${request.headers.authorization}`);
    const good = form.grant_type === 'refresh_token' && form.refresh_token === 'identity' && form.service === 'bank';
    response.writeHead(good ? 200 : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(good ? { access_token: `for_${form.scope}` } : {}));
  };
  const registry = await startRegistry({}, (inner) => (request, response) => {
    if (request.url === '/token') return giveToken(request, response);
    const { authorization, host } = request.headers;
    seen.push(authorization);
    if (authorization === 'Bearer for_repository:a:pull,push') return inner(request, response);
    const challenge = `Bearer realm="http://${host}/token",service="bank",scope="repository:a:pull,push"`;
    response.writeHead(401, { 'www-authenticate': challenge }).end();
  });
  const docker = (identitytoken: string) =>
    write(join(home, '.docker/config.json'), { auths: { [registry.host]: { identitytoken } } });
  const built = await testImage(home, 'by identity');
  const push = () =>
    pushImage({
      layout: built.layout,
      reference: `${registry.host}/a:v1`,
      registries: { [registry.host]: { plainHttp: true } },
    });
  await docker('identity');
  expect(await push()).toMatchObject({ digest: built.digest });
  expect(asked).toEqual(['POST application/x-www-form-urlencoded undefined']);
  expect(seen.filter((each) => each?.includes('identity'))).toEqual([]);
  await docker('revoked');
  const refused = await push().catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'image/registry-unauthorized' });
  expect(String((refused as Error).message)).not.toContain('revoked');
});

test.each([
  ['localhost:5000', true],
  ['127.1.2.3', true],
  ['[::1]:80', true],
  ['127.0.0.1.example', false],
  ['localhost.example:5000', false],
  ['10.0.0.1', false],
])('%s is the loopback: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

test('without TLS only where it was said, or on the loopback', async () => {
  const connection = connect('registry.example', {});
  expect(await connection.base()).toBe('https://registry.example');
  await expect(connection.send({ method: 'GET', url: new URL('http://registry.example/v2/') })).rejects.toMatchObject({
    code: 'image/registry-refused',
  });
  expect(await connect('registry.example', { plainHttp: true }).base()).toBe('http://registry.example');
});

describe('certs.d', () => {
  test('authorities and a certificate of one for a registry', async () => {
    const folder = await testFolder();
    const { ca, server: own, client } = await testCertificates(folder);
    const store = await openBlobStore(join(folder, 'blobs'));
    const server = createTlsServer(
      { ...own, ca, requestCert: true, rejectUnauthorized: true },
      createRegistryHandler(store, { root: join(folder, 'registry') }),
    );
    const host = await listenLocally(server as never);
    const place = join(folder, '.config/containers/certs.d', host);
    await mkdir(place, { recursive: true });
    await writeFile(join(place, 'ca.crt'), ca);
    await writeFile(join(place, 'client.cert'), client.cert);
    await expect(certificatesOf(host, [join(folder, '.config/containers/certs.d')])).rejects.toThrow('no client.key');
    await writeFile(join(place, 'client.key'), client.key);
    withEnvironment({ HOME: folder, XDG_CONFIG_HOME: undefined });
    const built = await testImage(folder, 'with certificates');
    expect(await pushImage({ layout: built.layout, reference: `${host}/a:v1` })).toMatchObject({
      digest: built.digest,
    });
    // The same by the workspace's settings alone.
    withEnvironment({ HOME: join(folder, 'nowhere') });
    const registries = { [host]: { ca, ...client } };
    expect(await headImage({ reference: `${host}/a:v1`, registries })).toMatchObject({ digest: built.digest });
    await expect(headImage({ reference: `${host}/a:v1` })).rejects.toMatchObject({
      code: 'image/registry-unreachable',
      next: expect.stringContaining('authority'),
    });
  });
});

describe('mirrors', () => {
  test.each([
    ['hub.example', 'library/debian', { 'hub.example': { mirrors: ['m.example'] } }, 'm.example/library/debian'],
    [
      'hub.example',
      'library/debian',
      { 'hub.example': { mirrors: ['m.example/hub'] } },
      'm.example/hub/library/debian',
    ],
    [
      'hub.example',
      'library/debian',
      { 'hub.example/library': { mirrors: ['m.example/base'] } },
      'm.example/base/debian',
    ],
    ['hub.example', 'libraryx/debian', { 'hub.example/library': { mirrors: ['m.example/base'] } }, undefined],
    [
      'hub.example',
      'a/b',
      { 'hub.example': { mirrors: ['x.example'] }, 'hub.example/a': { mirrors: ['y.example'] } },
      'y.example/a/b',
    ],
  ])('%s/%s', async (registry, repository, settings, expected) => {
    const endpoints = await endpointsOf({ registry, repository }, settings, undefined);
    expect(endpoints.map((each) => `${each.registry}/${each.repository}`)).toEqual(
      [expected, `${registry}/${repository}`].filter((each) => each !== undefined),
    );
  });

  test('are asked first and fallen through, whatever is wrong with them', async () => {
    const folder = await testFolder();
    const origin = await startRegistry();
    const mirror = await startRegistry();
    const built = await testImage(folder, 'mirrored');
    const forged = await startRegistry({}, (inner) => (request, response) => {
      if (request.method === 'GET' && request.url?.includes('/blobs/')) response.end(Buffer.alloc(100_000, 'forged'));
      else inner(request, response);
    });
    const broken = await startRegistry({}, () => (request, response) => {
      request.resume();
      response.writeHead(500, { 'retry-after': '0' }).end();
    });
    const push = (host: string, repository: string) =>
      pushImage({ layout: built.layout, reference: `${host}/${repository}:v1`, transport: plain });
    await push(origin.host, 'bank/ledger');
    let round = 0;
    const pull = async (...mirrors: string[]) => {
      round += 1;
      const store = await openBlobStore(join(folder, `store${round}`));
      const reference = `${origin.host}/bank/ledger:v1`;
      const registries = { [origin.host]: { mirrors } };
      return pullImage({ reference, store, output: join(folder, `pulled${round}`), registries });
    };
    // The mirror has nothing yet.
    expect(await pull(`${mirror.host}/proxy`)).toMatchObject({ digest: built.digest });
    expect(mirror.seen.some((line) => line.includes('/v2/proxy/bank/ledger/manifests/'))).toBe(true);
    await push(mirror.host, 'proxy/bank/ledger');
    const before = origin.seen.length;
    expect(await pull(`${mirror.host}/proxy`)).toMatchObject({ digest: built.digest });
    expect(origin.seen.length).toBe(before);
    await push(forged.host, 'bank/ledger');
    expect(await pull(forged.host, broken.host)).toMatchObject({ digest: built.digest });
    // Pushes go to the registry itself.
    const registries = { [origin.host]: { mirrors: [`${mirror.host}/proxy`] } };
    const pushed = await pushImage({ layout: built.layout, reference: `${origin.host}/new:v1`, registries });
    expect(pushed.sentBlobs).toBe(3);
  });
});

describe('redirects', () => {
  test('that leave TLS are not followed', async () => {
    const seen: (string | undefined)[] = [];
    const storage = await listenLocally(
      createServer((request, response) => {
        seen.push(request.headers.authorization);
        response.end('moved');
      }),
    );
    const registry = await startRegistry({}, (inner) => (request, response) => {
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      else if (request.url?.includes('/blobs/')) response.writeHead(307, { location: `http://${storage}/x` }).end();
      else inner(request, response);
    });
    const options = { registry: registry.host, repository: 'a', action: 'pull' } as const;
    const transport = { plainHttp: true, credentials: { username: 'u', password: 'secret' }, firstPause: 1 } as const;
    const remote = openRemoteRepository({ ...options, transport });
    // Another host without TLS: refused.
    await expect(remote.hasBlob(`sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({ code: 'image/registry-refused' });
    remote.close();
    expect(seen).toEqual([]);
  });

  test('are followed without our name, and who asks for it there does not get it', async () => {
    const folder = await testFolder();
    const { ca, server: tls } = await testCertificates(folder);
    const seen: string[] = [];
    const storage = await listenLocally(
      createTlsServer(tls, (request, response) => {
        seen.push(`${request.url} ${request.headers.authorization}`);
        if (request.url === '/asks') response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        else response.end('moved');
      }) as never,
    );
    let target = '/plain';
    const registry = await listenLocally(
      createTlsServer(tls, (request, response) => {
        if (request.headers.authorization === undefined)
          response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        else response.writeHead(307, { location: `https://${storage}${target}` }).end();
      }) as never,
    );
    const digest = `sha256:${'0'.repeat(64)}` as const;
    const credentials = { username: 'u', password: 'secret' };
    const open = (authority: object) =>
      openRemoteRepository({
        registry,
        repository: 'a',
        action: 'pull',
        transport: { ...authority, credentials, firstPause: 1 },
      });
    const remote = open({ moreCa: ca });
    expect(await remote.hasBlob(digest)).toBe(true);
    target = '/asks';
    await expect(remote.hasBlob(digest)).rejects.toMatchObject({ code: 'image/registry-unauthorized' });
    remote.close();
    expect(seen).toEqual(['/plain undefined', '/asks undefined']);
    // An authority that stands in place of the system's is for the registry alone.
    const alone = open({ ca });
    await expect(alone.hasBlob(digest)).rejects.toMatchObject({ code: 'image/registry-unreachable' });
    alone.close();
    // What lies in certs.d for the storage is.
    const place = join(folder, '.config/containers/certs.d', storage);
    await mkdir(place, { recursive: true });
    await writeFile(join(place, 'ca.crt'), ca);
    withEnvironment({ HOME: folder, XDG_CONFIG_HOME: undefined });
    const [endpoint] = await endpointsOf({ registry, repository: 'a' }, { [registry]: {} }, undefined);
    target = '/plain';
    const led = open({ ...endpoint?.transport, ca });
    expect(await led.hasBlob(digest)).toBe(true);
    led.close();
  });
});

test('tags come page by page, to the end', async () => {
  const folder = await testFolder();
  const registry = await startRegistry({}, (inner) => (request, response) => {
    // A registry with small pages of its own.
    request.url = request.url?.replace('n=1000', 'n=2');
    inner(request, response);
  });
  const built = await testImage(folder, 'tags');
  const tags = ['v1', 'v2', 'v3', 'v4', 'v5'];
  for (const tag of tags)
    await pushImage({ layout: built.layout, reference: `${registry.host}/a:${tag}`, transport: plain });
  expect(await listRepositoryTags({ reference: `${registry.host}/a`, transport: plain })).toEqual(tags);
});

test('a registry that asks for patience gets it', async () => {
  const times: number[] = [];
  const host = await listenLocally(
    createServer((_, response) => {
      times.push(Date.now());
      if (times.length === 1) response.writeHead(429, { 'retry-after': '1' }).end();
      else response.end('{}');
    }),
  );
  const connection = connect(host, plain);
  await sendWithRetries(connection, { method: 'GET', url: new URL(`${await connection.base()}/v2/`) });
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990);
  connection.close();
});
