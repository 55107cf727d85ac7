import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Label } from '../../src/graph/index.ts';
import { digestOf } from '../../src/image/index.ts';
import { packRelease } from '../../src/release/index.ts';
import { newSealKey } from '../../src/server/index.ts';
import { startReceiver } from '../../src/server/testing/receiver.ts';
import { type RunningDatabase, testDatabases } from '../support/databases.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp.ts';
import { configMap } from '../support/rollouts.ts';

const program = fileURLToPath(new URL('../../bin/banksman', import.meta.url));
const service = '//bank/ledger:ledger' as Label;
const soon = { timeout: 60_000, interval: 50 };

/** One for each entrance: nothing else looks like them. */
const secret = {
  databasePassword: 'entrance-database-4c1f',
  clusterToken: 'entrance-cluster-77ab',
  registryPassword: 'entrance-registry-90de',
  receiverHeader: 'entrance-otlp-51c3',
  keyPassword: 'entrance-cosign-0b6e',
  addressOfHook: 'entrance-hook-address-e8d2',
  wrongToken: 'entrance-wrong-token-a917',
} as const;

/** Whoever is asked sends everything back that it was asked with, as some proxies do in their errors. */
function echo(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  form: (text: string) => object,
): void {
  const text = `you said ${JSON.stringify(request.headers)}`;
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(form(text)));
}

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, host: `127.0.0.1:${(server.address() as { port: number }).port}` };
}

let folder: string;
let running: RunningDatabase;
let receiver: OtlpReceiver;
const servers: Server[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-entrances-'));
  [running, receiver] = await Promise.all([
    testDatabases.find(({ engine }) => engine === 'postgresql')!.start(),
    startOtlpReceiver(),
  ]);
}, 60_000);
afterAll(async () => {
  receiver?.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await running?.stop();
  await rm(folder, { recursive: true, force: true });
});

it('what comes in at any entrance as a secret goes out at none', async () => {
  const { digest, manifest, blobs } = packRelease({
    bundle: { format: 1, service, containers: [], files: [{ path: 'x.yaml', source: configMap('rates') }] },
    images: [],
    commit: 'c'.repeat(40),
    authors: [],
    reviewers: [],
    provenance: [],
  });
  let asked = { registry: 0, cluster: 0 };
  const registry = await listen((request, response) => {
    const { authorization } = request.headers;
    if (authorization === undefined)
      return void response.writeHead(401, { 'www-authenticate': 'Basic realm="bank"' }).end();
    asked = { ...asked, registry: asked.registry + 1 };
    const name = request.url?.split('/').at(-1);
    const found = name === digest ? manifest : blobs.find((blob) => digestOf(blob) === name);
    if (found !== undefined) return void response.writeHead(200, { 'content-length': found.length }).end(found);
    echo(request, response, name === 'v2' || name === '' ? 200 : 400, (message) => ({
      errors: [{ code: 'X', message }],
    }));
  });
  const cluster = await listen((request, response) => {
    asked = { ...asked, cluster: asked.cluster + 1 };
    echo(request, response, 403, (message) => ({ kind: 'Status', apiVersion: 'v1', reason: 'Forbidden', message }));
  });
  servers.push(registry.server, cluster.server);

  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: `http://${cluster.host}` } }],
      users: [{ name: 'u', user: { token: secret.clusterToken } }],
      contexts: [{ name: 'bank', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'bank',
    }),
  );
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify({
      auths: { [registry.host]: { auth: Buffer.from(`ada:${secret.registryPassword}`).toString('base64') } },
    }),
  );
  const workspace = join(folder, 'workspace');
  await mkdir(workspace);
  await writeFile(
    join(workspace, 'banksman.yaml'),
    `name: bank
registry: ${registry.host}
registries:
  ${registry.host}: { plain_http: true }
environments:
  prod: { cluster: bank, context: bank, namespace: prod, deadline: 20m }
`,
  );
  execFileSync('git', ['init', '-q'], { cwd: workspace });
  const keys = newSealKey(new Date());
  const databaseUrl = new URL(running.url as string);
  databaseUrl.password = secret.databasePassword;
  const env = {
    ...process.env,
    KUBECONFIG: kubeconfig,
    DOCKER_CONFIG: folder,
    BANKSMAN_DATABASE: databaseUrl.href,
    BANKSMAN_SECRET_KEYS: keys,
    COSIGN_PASSWORD: secret.keyPassword,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=${secret.receiverHeader}`,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    XDG_STATE_HOME: join(folder, 'state'),
  };
  const run = (...args: string[]) =>
    new Promise<string>((resolve, reject) => {
      execFile(program, args, { cwd: workspace, env }, (error, stdout, stderr) =>
        error === null ? resolve(stdout.trim()) : reject(new Error(`${stdout}${stderr}`)),
      );
    });
  const token = await run('server', 'token', '--name', 'ada', '--role', 'administrator', '--role', 'release-manager');

  const child = spawn(program, ['server', '--port', '0'], { cwd: workspace, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (out += part.toString()));
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const answers: string[] = [];
  const processes: string[] = [];
  let hookSecret = '';
  try {
    const url = await vi.waitFor(() => {
      const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(out) ?? [];
      return found ?? expect.fail(`it does not listen: ${out}`);
    }, soon);
    const call = async (method: string, path: string, body?: object, bearer = token) => {
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${bearer}`, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      // A secret is shown once, to whoever made it.
      if (path !== '/v1/webhooks' || method !== 'POST') answers.push(JSON.stringify([...answer.headers]), text);
      return { status: answer.status, text, id: JSON.parse(text || '{}') as { id?: string; secret?: string } };
    };
    const place = `/v1/environments/prod/services/${encodeURIComponent(service)}`;
    const releases = `/v1/services/${encodeURIComponent(service)}/releases`;
    const hook = await startReceiver();
    hook.behave((_, response) => void response.writeHead(500).end());
    const made = await call('POST', '/v1/webhooks', { url: `${hook.url}/x?key=${secret.addressOfHook}` });
    expect(made.status).toBe(201);
    hookSecret = made.id.secret!.slice('whsec_'.length);
    await call('POST', `/v1/webhooks/${made.id.id}/test`);
    await call('GET', '/v1/webhooks');
    // Callers, right and wrong, with a token in the wrong place too.
    expect((await call('GET', '/v1/services', undefined, secret.wrongToken)).status).toBe(401);
    expect((await call('GET', `/v1/services?token=${secret.wrongToken}`)).status).toBe(400);
    expect((await call('GET', `/none?access_token=${secret.wrongToken}`)).status).toBe(404);
    // The registry, which tells what it was asked with; then the cluster, which does the same.
    const missing = `sha256:${'0'.repeat(64)}`;
    const gone = await call('POST', releases, { reference: `${registry.host}/releases/bank/ledger@${missing}` });
    expect(gone.status).toBeGreaterThanOrEqual(400);
    const known = await call('POST', releases, { reference: `${registry.host}/releases/bank/ledger@${digest}` });
    expect(known.status, known.text).toBe(201);
    const promoted = await call('POST', `${place}/promotions`, { release: known.id.id, why: 'try' });
    expect(promoted.status, promoted.text).toBe(202);
    await call('GET', `${place}/preview?release=${known.id.id}`);
    await vi.waitFor(async () => expect((await call('GET', place)).text).toMatch(/\[hidden\]/), soon);
    expect(asked.registry).toBeGreaterThan(1);
    expect(asked.cluster).toBeGreaterThan(1);
    for (const path of ['/metrics', '/openapi.json', '/v1/audit', `${place}/why`, '/v1/tokens']) {
      const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
      answers.push(await answer.text());
    }
    processes.push(...(await processLists()));
    // The database goes: everything that asks it says so in the log.
    await vi.waitFor(() => expect(receiver.spans.length).toBeGreaterThan(5), soon);
    const start = await running.crash!();
    const lost = await fetch(`${url}/v1/services`, { headers: { authorization: `Bearer ${token}` } });
    expect(lost.status).toBe(503);
    answers.push(await lost.text());
    await vi.waitFor(() => expect(out).toContain('database/lost'), soon);
    await start();
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
  const tables = await running.database.query<{ name: string }>(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'",
  );
  const rows = await Promise.all(tables.map(({ name }) => running.database.query(`SELECT * FROM ${name}`)));
  const places = {
    'the log': out,
    'an answer': answers.join('\n'),
    'a trace': receiver.text(),
    'the database': JSON.stringify(rows),
    'a list of processes': processes.join('\n'),
  };
  // What was looked at is what was meant.
  expect(places['the log']).toMatch(/"service":"\/\/bank\/ledger:ledger","environment":"prod","rollout":"[^"]+"/);
  expect(places['the log']).toContain('[hidden]');
  expect(places['a list of processes']).toContain('main.ts\0server\0--port\x000\0');
  expect(places['a trace']).toContain(service);
  expect(places['the database']).toContain('webhook.create');
  const forms = Object.entries({
    ...secret,
    token: token.split('_').at(-1) ?? token,
    registryHeader: Buffer.from(`ada:${secret.registryPassword}`).toString('base64'),
    hookSecret,
    sealKey: keys.split(' ')[1]!,
  });
  for (const [name, text] of Object.entries(places)) {
    for (const [which, form] of forms) expect(text.includes(form), `${which} stands in ${name}`).toBe(false);
  }
}, 240_000);

/** What everybody on the machine can see of processes: their words, with a zero byte behind each. */
async function processLists(): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
}
