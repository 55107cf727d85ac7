/**
 * The server of `bench/releases.ts`, in a process of its own, so that its memory and processor time are its own. It reads how to reach what
 * it needs as JSON from its argument, and answers each message with its figures so far.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import { openDatabase } from '../src/database/index.ts';
import { openClusters } from '../src/release/index.ts';
import { startServer } from '../src/server/index.ts';
import { contentOf, counted, environmentsOf, type Figures, type Started } from './releases-services.ts';

const { databaseUrl, kubeconfig, environments } = JSON.parse(process.argv[2] ?? '') as {
  readonly databaseUrl: string;
  readonly kubeconfig: string;
  readonly environments: readonly string[];
};
const requests: Record<string, number> = {};
const count = (what: string) => {
  requests[what] = (requests[what] ?? 0) + 1;
};
subscribe('http.client.request.start', (message) => {
  const { request } = message as { request: ClientRequest };
  const url = new URL(request.path, 'https://api');
  const [kind = 'discovery', name] = url.pathname.split('/').slice(url.pathname.startsWith('/api/') ? 5 : 6);
  const verb = url.searchParams.has('watch')
    ? 'watch'
    : request.method === 'GET' && name === undefined
      ? 'list'
      : request.method;
  count(`${verb} ${kind}${url.searchParams.has('dryRun') ? ' (dry run)' : ''}`);
});
const statements = { count: 0, transactions: 0 };
const clusters = openClusters(() => ({ kubeconfigPath: kubeconfig }));
const server = await startServer({
  database: counted(await openDatabase(databaseUrl), statements),
  environments: environmentsOf(environments),
  clusters,
  fetchRelease: async (reference) => contentOf(reference),
  version: '1',
  host: '127.0.0.1',
  port: 0,
});
const { token } = await server.tokens.create(
  { name: 'bench', roles: ['release-manager'], services: [], expiresAt: Date.now() + 3_600_000 },
  { who: 'bench', source: 'bench' },
  Date.now(),
);
process.send?.({ url: server.url, token } satisfies Started);
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  const memory = process.memoryUsage.rss();
  const figures: Figures = { requests, statements: { ...statements }, cpu: (user + system) / 1000, memory };
  process.send?.(figures);
});
process.on('SIGTERM', async () => {
  await server.stop();
  clusters.close();
  process.exit(0);
});
