/**
 * The figures of rollouts by the server: `node bench/releases.ts [SERVICES]`, 1,000 unless told, on a real API server without nodes and
 * PostgreSQL, both on this machine. A service is a Deployment with 0 replicas, a ServiceAccount, a Service and an Ingress. Measured:
 * - from the moment when all are asked for until all are applied, and until all are healthy, in an empty environment; at most 90 s for 1,000.
 *   Healthy waits for the controller manager, which makes 20 requests a second unless told otherwise
 * - the same objects by `kubectl apply --server-side`, which waits for nothing; at least 3 times as long as until all are applied
 * - new releases in which nothing differs, the same two
 * - one service of them all, from the call that promotes it until it is applied; at most 1 s
 * - the server's memory (it runs in this process, so with all that the bench itself holds); at most 400 MB
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Environment, Label } from '../src/graph/index.ts';
import { openClusters, openPlacementStore, type ReleaseContent } from '../src/release/index.ts';
import { startServer } from '../src/server/index.ts';
import { findEngine, startApiServer } from '../test/support/api-server.ts';
import { testDatabases } from '../test/support/databases.ts';

const services = Math.max(1, Number(process.argv[2] ?? 1000));
const engine = findEngine();
if (engine === undefined) throw new Error('build the engine first: script/up, or script/test');
const folder = mkdtempSync(join(tmpdir(), 'banksman-bench-'));
const place = { file: 'banksman.yaml' };
const base = { cluster: 'bench', registry: 'registry.local', parameters: {}, place };
const dev: Environment = { ...base, name: 'dev', namespace: 'dev', deadline: 3_600_000 };
const actor = { who: 'bench', source: 'bench' };
const labelOf = (index: number) => `//bench/service${index}:service${index}` as Label;

function manifests(index: number, revision: number): string {
  const name = `service${index}`;
  return `apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name} }
---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: ${name} }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: 0
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} }, annotations: { revision: "${revision}" } }
    spec:
      serviceAccountName: ${name}
      containers:
        - name: main
          image: registry.local/bench/${name}:1
          ports: [{ containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /ready, port: 8080 } }
          resources: { requests: { cpu: 10m, memory: 32Mi }, limits: { memory: 64Mi } }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name} }
spec:
  rules:
    - host: ${name}.bench.example
      http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: ${name}, port: { number: 80 } } } }] }
`;
}

const postgres = testDatabases.find((each) => each.engine === 'postgresql');
const running = await postgres!.start();
const api = await startApiServer(engine);
const contents = new Map<string, ReleaseContent>();
const clusters = openClusters(() => ({ kubeconfigPath: api.kubeconfig }));
const server = await startServer({
  database: running.database,
  environments: new Map([['dev', dev]]),
  clusters,
  fetchRelease: async (reference) => contents.get(reference) as ReleaseContent,
  version: '1',
  host: '127.0.0.1',
  port: 0,
});
const store = await openPlacementStore(running.database);
const asked = { name: 'bench', roles: ['release-manager'] as const, services: [], expiresAt: Date.now() + 3_600_000 };
const { token } = await server.tokens.create(asked, actor, Date.now());
const authorization = { authorization: `Bearer ${token}` };

/** Milliseconds from the moment when all were asked for. */
interface Took {
  readonly applied: number;
  readonly healthy: number;
}

/** Makes a release of each service known and asks for all of them, then waits for the end. */
async function rollOutAll(round: number, chosen: readonly number[], revision = 1): Promise<Took> {
  const releases = [];
  for (const index of chosen) {
    const service = labelOf(index);
    const id = `sha256:${round.toString(16).padStart(8, '0')}${index.toString(16).padStart(56, '0')}`;
    const reference = `registry.local/releases/bench@${id}`;
    contents.set(reference, {
      bundle: {
        format: 1,
        service,
        containers: [],
        files: [{ path: 'service.yaml', source: manifests(index, revision) }],
      },
      images: [],
      commit: String(round).repeat(40).slice(0, 40),
      authors: ['Bob <bob@bank.example>'],
      reviewers: [],
      provenance: [],
    });
    const known = { id, service, reference, commit: String(round), authors: ['Bob'], madeAt: Date.now() };
    releases.push({ service, release: await store.addRelease(known, actor) });
  }
  const began = performance.now();
  const own = process.cpuUsage();
  for (const { service, release } of releases) {
    // Through the API, as a person's command does: the server that is asked leads, and goes on at once.
    const path = `/v1/environments/dev/services/${encodeURIComponent(service)}/promotions`;
    const answer = await fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { ...authorization, 'content-type': 'application/json', 'idempotency-key': `the-round-${round}` },
      body: JSON.stringify({ release: release.id }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  }
  let applied: number | undefined;
  for (;;) {
    const [row] = await running.database.query<{ applied: number; healthy: number; failed: number }>(
      `SELECT count(*) FILTER (WHERE state IN ('progressing', 'verifying', 'healthy'))::bigint AS applied,
         count(*) FILTER (WHERE state = 'healthy')::bigint AS healthy, count(*) FILTER (WHERE state = 'failed')::bigint AS failed
       FROM rollouts WHERE id = $1`,
      [`the-round-${round}`],
    );
    if ((row?.failed ?? 0) > 0) throw new Error('a rollout has failed');
    if (row?.applied === chosen.length) applied ??= performance.now() - began;
    if (row?.healthy === chosen.length) break;
    await sleep(Math.min(100, chosen.length));
  }
  const healthy = performance.now() - began;
  const { user, system } = process.cpuUsage(own);
  console.log(`  own CPU ${((user + system) / 1e6).toFixed(2)} s`);
  return { applied: applied ?? healthy, healthy };
}

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
const tell = (what: string, { applied, healthy }: Took, bound: string) =>
  console.log(
    `${what}: applied in ${seconds(applied)}, healthy in ${seconds(healthy)} (${bound}); load ${loadavg()[0]?.toFixed(1)}`,
  );

try {
  while (!/^banksman_leader 1$/m.test(await metrics())) await sleep(100);
  const all = Array.from({ length: services }, (_, index) => index);
  const first = await rollOutAll(1, all);
  tell(`${services} services into an empty environment`, first, 'at most 90 s for 1,000');
  const file = join(folder, 'all.yaml');
  writeFileSync(file, all.map((index) => manifests(index, 1)).join('---\n'));
  const kubectl = (...words: string[]) =>
    promisify(execFile)(engine, ['kubectl', `--kubeconfig=${api.kubeconfig}`, ...words], { maxBuffer: 64e6 });
  await kubectl('create', 'namespace', 'other');
  const began = performance.now();
  await kubectl('apply', '--server-side', '--namespace=other', '-f', file);
  const theirs = performance.now() - began;
  const ratio = (theirs / first.applied).toFixed(2);
  console.log(
    `the same objects by kubectl apply --server-side: ${seconds(theirs)}, ${ratio} times as long (at least 3)`,
  );
  tell('nothing differs', await rollOutAll(2, all), 'at most 5 s for 1,000');
  tell('one service of them all', await rollOutAll(3, [0], 2), 'at most 1 s');
  console.log(`memory now ${Math.round(process.memoryUsage.rss() / 1e6)} MB (at most 400 MB)`);
} finally {
  await server.stop();
  clusters.close();
  await api.stop();
  await running.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function metrics(): Promise<string> {
  const answer = await fetch(`${server.url}/metrics`, { headers: authorization });
  return await answer.text();
}
