/**
 * The figures of rollouts by the server: `node bench/releases.ts [SERVICES] [--memory]`, 1,000 unless told, on a real API server without
 * nodes and PostgreSQL, both on this machine. A service is a Deployment with 0 replicas, a ServiceAccount, a Service and an Ingress. Measured:
 * - from the moment when all are asked for until all are applied, and until all are healthy, in an empty environment; at most 90 s for 1,000.
 *   Healthy waits for the controller manager, which makes 20 requests a second unless told otherwise
 * - the same objects by `kubectl apply --server-side`, which waits for nothing; at least 3 times as long as until all are applied
 * - new releases in which nothing differs, the same two
 * - one service of them all, from the call that promotes it until it is applied; at most 1 s
 * Beside each stand the server's own processor time, its requests to the API server and its statements to the database, for each service.
 * With `--memory` instead: the services in 4 environments, then a server that begins with them: what it asks until it has looked at all of
 * them, and its memory while it watches; at most 400 MB. The controller manager is told to make 500 requests a second there.
 */
import { execFile, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openPlacementStore } from '../src/release/index.ts';
import { findEngine, startApiServer } from '../test/support/api-server.ts';
import { testDatabases } from '../test/support/databases.ts';
import { type Figures, labelOf, manifests, releaseOf, type Started } from './releases-services.ts';

const memoryToo = process.argv.includes('--memory');
const services = Math.max(1, Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 1000));
const engine = findEngine();
if (engine === undefined) throw new Error('build the engine first: script/up, or script/test');
const folder = mkdtempSync(join(tmpdir(), 'banksman-bench-'));
const environments = memoryToo ? ['dev', 'test', 'staging', 'prod'] : ['dev'];
const actor = { who: 'bench', source: 'bench' };
/** Calls that are under way at one time while all is asked for. */
const askedAtOnce = 16;

const postgres = testDatabases.find((each) => each.engine === 'postgresql');
const running = await postgres!.start();
const api = await startApiServer(engine, memoryToo ? ['--kube-api-qps=500', '--kube-api-burst=1000'] : []);
const store = await openPlacementStore(running.database);
let server = await startServer();

interface Server extends Started {
  figures(): Promise<Figures>;
  stop(): Promise<void>;
}

async function startServer(): Promise<Server> {
  const options = JSON.stringify({ databaseUrl: running.url, kubeconfig: api.kubeconfig, environments });
  const script = fileURLToPath(new URL('./releases-server.ts', import.meta.url));
  const child = fork(script, [options], { execArgv: ['--disable-warning=ExperimentalWarning'] });
  const message = <Told>() => {
    return new Promise<Told>((resolve, reject) => {
      const ended = () => reject(new Error('the server has ended'));
      child.once('exit', ended);
      child.once('message', (told) => {
        child.off('exit', ended);
        resolve(told as Told);
      });
    });
  };
  const started = await message<Started>();
  return {
    ...started,
    figures() {
      const told = message<Figures>();
      child.send('figures');
      return told;
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    },
  };
}

interface Took {
  /** Milliseconds from the moment when all were asked for. */
  readonly applied: number;
  readonly healthy: number;
  readonly services: number;
  /** Of the server alone, until all were applied, and until all were healthy. */
  readonly whenApplied: Figures;
  readonly whenHealthy: Figures;
}

/** Makes a release of each service known and asks for all of them, then waits for the end. */
async function rollOutAll(
  round: number,
  chosen: readonly number[],
  { revision = 1, environment = 'dev' }: { revision?: number; environment?: string } = {},
): Promise<Took> {
  const asked: { readonly path: string; readonly release: string }[] = [];
  for (const index of chosen) {
    const service = labelOf(index);
    const { id, reference } = releaseOf(index, round, revision);
    await store.addRelease(
      { id, service, reference, commit: String(round), authors: ['Bob'], madeAt: Date.now() },
      actor,
    );
    asked.push({
      path: `/v1/environments/${environment}/services/${encodeURIComponent(service)}/promotions`,
      release: id,
    });
  }
  const rollout = `the-round-${round}-${environment}`;
  const before = await server.figures();
  const began = performance.now();
  // Through the API, as people's commands do: the server that is asked leads, and goes on at once.
  const callers = Array.from({ length: askedAtOnce }, async () => {
    for (let next = asked.pop(); next !== undefined; next = asked.pop())
      await promote(next.path, next.release, rollout);
  });
  await Promise.all(callers);
  let applied: { readonly after: number; readonly figures: Figures } | undefined;
  for (;;) {
    const [row] = await running.database.query<{ applied: number; healthy: number; failed: number }>(
      `SELECT count(*) FILTER (WHERE state IN ('progressing', 'verifying', 'healthy'))::bigint AS applied,
         count(*) FILTER (WHERE state = 'healthy')::bigint AS healthy, count(*) FILTER (WHERE state = 'failed')::bigint AS failed
       FROM rollouts WHERE id = $1`,
      [rollout],
    );
    if ((row?.failed ?? 0) > 0) throw new Error('a rollout has failed');
    const after = performance.now() - began;
    if (row?.applied === chosen.length) applied ??= { after, figures: difference(await server.figures(), before) };
    if (row?.healthy === chosen.length && applied !== undefined) {
      const whenHealthy = difference(await server.figures(), before);
      return {
        applied: applied.after,
        healthy: after,
        services: chosen.length,
        whenApplied: applied.figures,
        whenHealthy,
      };
    }
    await sleep(Math.min(100, chosen.length));
  }
}

async function promote(path: string, release: string, key: string): Promise<void> {
  const answer = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ release }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

function difference(now: Figures, before: Figures): Figures {
  const requests = Object.entries(now.requests).map(([what, count]): [string, number] => [
    what,
    count - (before.requests[what] ?? 0),
  ]);
  return {
    requests: Object.fromEntries(requests.filter(([, count]) => count > 0)),
    statements: {
      count: now.statements.count - before.statements.count,
      transactions: now.statements.transactions - before.statements.transactions,
    },
    cpu: now.cpu - before.cpu,
    memory: now.memory,
  };
}

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

function tell(what: string, took: Took, bound: string): void {
  const { applied, healthy } = took;
  console.log(
    `${what}: applied in ${seconds(applied)}, healthy in ${seconds(healthy)} (${bound}); load ${loadavg()[0]?.toFixed(1)}`,
  );
  tellFigures('until applied', took.whenApplied, took.services);
  tellFigures('until healthy', took.whenHealthy, took.services);
}

/** For each service. */
function tellFigures(when: string, { cpu, requests, statements, memory }: Figures, among: number): void {
  const each = (value: number) => (value / among).toFixed(2);
  const all = Object.values(requests).reduce((sum, count) => sum + count, 0);
  const most = Object.entries(requests)
    .sort(([, a], [, b]) => b - a)
    .filter(([, count]) => count >= among / 10)
    .map(([what, count]) => `${each(count)} ${what}`);
  console.log(
    `  ${when}, for each service: ${each(cpu)} ms of own CPU, ${each(all)} requests, ${each(statements.count)} statements in ${each(statements.transactions)} transactions; memory ${megabytes(memory)}`,
  );
  if (most.length > 0) console.log(`    ${most.join(', ')}`);
}

async function untilItLeads(): Promise<void> {
  for (;;) {
    const answer = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${server.token}` } });
    if (/^banksman_leader 1$/m.test(await answer.text())) return;
    await sleep(100);
  }
}

/** Until the server asks the API server nothing new any more. */
async function untilQuiet(): Promise<Figures> {
  for (let before = await server.figures(); ; ) {
    await sleep(5_000);
    const now = await server.figures();
    const { requests } = difference(now, before);
    if (Object.keys(requests).every((what) => what.startsWith('watch'))) return now;
    before = now;
  }
}

async function timings(all: readonly number[]): Promise<void> {
  const first = await rollOutAll(1, all);
  tell(`${services} services into an empty environment`, first, 'at most 90 s for 1,000');
  const file = join(folder, 'all.yaml');
  writeFileSync(file, all.map((index) => manifests(index, 1)).join('---\n'));
  const kubectl = (...words: string[]) =>
    promisify(execFile)(engine as string, ['kubectl', `--kubeconfig=${api.kubeconfig}`, ...words], { maxBuffer: 64e6 });
  await kubectl('create', 'namespace', 'other');
  const began = performance.now();
  await kubectl('apply', '--server-side', '--namespace=other', '-f', file);
  const theirs = performance.now() - began;
  const ratio = (theirs / first.applied).toFixed(2);
  console.log(
    `the same objects by kubectl apply --server-side: ${seconds(theirs)}, ${ratio} times as long (at least 3); load ${loadavg()[0]?.toFixed(1)}`,
  );
  tell('nothing differs', await rollOutAll(2, all), 'at most 5 s for 1,000');
  tell('one service of them all', await rollOutAll(3, [0], { revision: 2 }), 'at most 1 s');
}

async function memory(all: readonly number[]): Promise<void> {
  for (const environment of environments) {
    tell(`${services} services into ${environment}`, await rollOutAll(1, all, { environment }), 'not bounded');
  }
  console.log(`memory of the server that did it: ${megabytes((await untilQuiet()).memory)}`);
  await server.stop();
  server = await startServer();
  await untilItLeads();
  const began = performance.now();
  const figures = await untilQuiet();
  console.log(`a new server has looked at all of it after ${seconds(performance.now() - began)}`);
  tellFigures('until then', figures, services * environments.length);
  console.log(`memory of the new server, watching: ${megabytes(figures.memory)} (at most 400 MB)`);
}

try {
  await untilItLeads();
  const all = Array.from({ length: services }, (_, index) => index);
  await (memoryToo ? memory(all) : timings(all));
} finally {
  await server.stop();
  await api.stop();
  await running.stop();
  rmSync(folder, { recursive: true, force: true });
}
