import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Cluster, connect, createObject, getObject, listObjects, watchObjects } from './index.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let folder: string;
let tls: { key: Buffer; cert: Buffer };
let server: Server;
let cluster: Cluster;
let answers: Answer[];
let asked: string[];

const status = (code: number, body: object, headers: Record<string, string> = {}): Answer => {
  return (_, response) => {
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, ...body }));
  };
};
const json =
  (body: unknown): Answer =>
  (_, response) =>
    void response.end(JSON.stringify(body));
const resources = json({
  kind: 'APIResourceList',
  resources: [{ name: 'configmaps', kind: 'ConfigMap', namespaced: true }],
});
const name = { apiVersion: 'v1', kind: 'ConfigMap', name: 'c', namespace: 'dev' };
const found = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-connect-'));
  const key = join(folder, 'key.pem');
  const cert = join(folder, 'cert.pem');
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
    ],
    { stdio: 'ignore' },
  );
  tls = { key: await readFile(key), cert: await readFile(cert) };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const kubeconfig = async (port: number, user: object = { token: 'secret-token' }, clusterMore: object = {}) => {
  const path = join(folder, 'kubeconfig');
  const text = JSON.stringify({
    'current-context': 'test',
    clusters: [
      {
        name: 'test',
        cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority': 'cert.pem', ...clusterMore },
      },
    ],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  });
  await writeFile(path, text);
  return path;
};

beforeEach(async () => {
  answers = [];
  asked = [];
  server = createServer(tls, (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (request.url === '/api/v1') return resources(request, response);
    (answers.shift() ?? status(500, { message: 'no answer is prepared' }))(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cluster = await connect({ kubeconfig: await kubeconfig((server.address() as AddressInfo).port) });
});
afterEach(async () => {
  cluster.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('requests', () => {
  it('are tried again as the server asks where it is overloaded or away', async () => {
    answers = [
      status(429, { reason: 'TooManyRequests' }, { 'retry-after': '0' }),
      status(503, { message: 'starting' }, { 'retry-after': '0' }),
      (request) => void request.socket.destroy(),
      json(found),
    ];
    expect(await getObject(cluster, name)).toEqual(found);
  });

  it('that create are not tried again when they may have arrived', async () => {
    answers = [(request) => void request.socket.destroy(), json(found)];
    await expect(createObject(cluster, { ...found, metadata: { name: 'c', namespace: 'dev' } })).rejects.toMatchObject({
      code: 'kube/unreachable',
    });
    expect(answers).toHaveLength(1);
  });

  it('fail at once on an internal error, and in the end on overload', async () => {
    answers = [status(500, { message: 'etcdserver: out of order' })];
    await expect(getObject(cluster, name)).rejects.toMatchObject({
      code: 'kube/server-error',
      message: expect.stringContaining('out of order'),
    });
    answers = Array.from({ length: 9 }, () => status(429, {}, { 'retry-after': '0' }));
    await expect(getObject(cluster, name)).rejects.toMatchObject({ code: 'kube/throttled' });
    expect(answers).toHaveLength(4);
  });

  it('end where the server takes them and says nothing, or stops in the middle', async () => {
    answers = [() => {}];
    await expect(cluster.request({ path: '/x', timeout: 200 })).rejects.toMatchObject({ code: 'kube/timed-out' });
    answers = [(_, response) => void response.write('{"a":')];
    await expect(cluster.request({ path: '/x', timeout: 200 })).rejects.toMatchObject({ code: 'kube/timed-out' });
  });

  it('end with the signal', async () => {
    answers = [() => {}];
    const signal = AbortSignal.timeout(100);
    await expect(cluster.request({ path: '/x', signal })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it.each([
    [401, {}, 'kube/unauthorized'],
    [403, { message: 'no' }, 'kube/forbidden'],
    [409, { reason: 'Conflict', message: 'changed' }, 'kube/changed'],
    [409, { reason: 'AlreadyExists' }, 'kube/already-exists'],
    [410, {}, 'kube/gone'],
    [422, { message: 'bad' }, 'kube/invalid'],
  ])('answered with %i %o are %s', async (code, body, fault) => {
    answers = [status(code, body)];
    await expect(cluster.request({ path: '/x' })).rejects.toMatchObject({ code: fault });
  });

  it('refuse an answer that is no object', async () => {
    answers = [(_, response) => void response.end('<html>proxy</html>')];
    await expect(getObject(cluster, name)).rejects.toMatchObject({ code: 'kube/bad-answer' });
    answers = [json([])];
    await expect(getObject(cluster, name)).rejects.toMatchObject({ code: 'kube/bad-answer' });
  });

  it('never show the token in an error', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const error = await getObject(cluster, name).catch((fault: unknown) => fault);
    expect(error).toMatchObject({ code: 'kube/unreachable' });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('secret-token');
  });
});

describe('lists and watches', () => {
  const item = (n: number) => ({ metadata: { name: `c${n}`, uid: `u${n}`, resourceVersion: String(n) } });

  it('read lists in pages', async () => {
    answers = [
      json({ items: [item(1)], metadata: { continue: 'next', resourceVersion: '9' } }),
      json({ items: [item(2)], metadata: { resourceVersion: '9' } }),
    ];
    const { items, resourceVersion } = await listObjects(cluster, name, { namespace: 'dev' });
    expect(items.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(['ConfigMap c1', 'ConfigMap c2']);
    expect(resourceVersion).toBe('9');
    expect(asked.at(-1)).toContain('continue=next');
  });

  it('go on from the last change when the connection breaks, and begin anew after 410', async () => {
    const event = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
    answers = [
      json({ items: [item(1)], metadata: { resourceVersion: '5' } }),
      (request, response) => {
        response.write(event('ADDED', { ...item(6) }) + event('BOOKMARK', { metadata: { resourceVersion: '8' } }));
        setTimeout(() => request.socket.destroy(), 50);
      },
      (_, response) => void response.end(event('ERROR', { kind: 'Status', code: 410, reason: 'Expired' })),
      json({ items: [item(2)], metadata: { resourceVersion: '20' } }),
      (_, response) => void response.write(event('DELETED', item(2)).slice(0, 20)),
    ];
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const told of watchObjects(cluster, name, { namespace: 'dev', signal: stop.signal })) {
      seen.push(told.type === 'all' ? `all ${told.objects.length}` : `${told.type} ${told.object.metadata.name}`);
      if (seen.length === 3) stop.abort();
    }
    expect(seen).toEqual(['all 1', 'added c6', 'all 1']);
    const from = asked
      .filter((line) => line.includes('watch=true'))
      .map((line) => /resourceVersion=(\d+)/.exec(line)?.[1]);
    expect(from.slice(0, 2)).toEqual(['5', '8']);
  });
});

describe('kubeconfigs', () => {
  it('name the contexts there are where one is unknown', async () => {
    const path = await kubeconfig(1);
    await expect(connect({ kubeconfig: path, context: 'tset' })).rejects.toMatchObject({
      code: 'kube/unknown-context',
      next: 'did you mean test?',
    });
    await expect(connect({ kubeconfig: join(folder, 'none') })).rejects.toMatchObject({ code: 'kube/no-kubeconfig' });
    await writeFile(path, '{"a": [');
    await expect(connect({ kubeconfig: path })).rejects.toMatchObject({ code: 'kube/bad-kubeconfig' });
    await writeFile(path, 'contexts: [{name: a, context: {cluster: gone}}]\ncurrent-context: a\n');
    await expect(connect({ kubeconfig: path })).rejects.toMatchObject({ code: 'kube/bad-kubeconfig' });
  });

  it('refuse a server that their authority does not know', async () => {
    const { port } = server.address() as AddressInfo;
    const stranger = await connect({ kubeconfig: await kubeconfig(port, {}, { 'certificate-authority': undefined }) });
    await expect(getObject(stranger, name)).rejects.toMatchObject({ code: 'kube/untrusted' });
    stranger.close();
  });

  it('sign in by a token file that is read again, and by a credential program', async () => {
    const { port } = server.address() as AddressInfo;
    const seen: (string | undefined)[] = [];
    const note: Answer = (request, response) => {
      seen.push(request.headers.authorization);
      json({})(request, response);
    };
    await writeFile(join(folder, 'token'), 'one\n');
    const byFile = await connect({ kubeconfig: await kubeconfig(port, { tokenFile: 'token' }) });
    answers = [note, note, note];
    await byFile.request({ path: '/x' });
    await writeFile(join(folder, 'token'), 'two\n');
    await byFile.request({ path: '/x' });
    byFile.close();
    const credential = JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'made' },
    });
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'echo',
      args: [credential],
      interactiveMode: 'Never',
    };
    const byProgram = await connect({ kubeconfig: await kubeconfig(port, { exec }) });
    await byProgram.request({ path: '/x' });
    byProgram.close();
    expect(seen).toEqual(['Bearer one', 'Bearer two', 'Bearer made']);
  });

  it('reach a server without TLS, as kubectl proxy gives', async () => {
    const plain = createPlainServer((_, response) => void response.end('{"ok":true}'));
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as AddressInfo;
    const path = await kubeconfig(port, {}, { server: `http://127.0.0.1:${port}/prefix/` });
    const proxied = await connect({ kubeconfig: path });
    expect(await proxied.request({ path: '/x' })).toEqual({ ok: true });
    proxied.close();
    plain.close();
  });
});
