/**
 * A server in a process of its own, to be killed: reads what it needs as JSON from its argument, and prints its address and a token.
 * Releases lie as JSON in a folder, each under its digest.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openDatabase } from '../../src/database/index.ts';
import { openClusters } from '../../src/release/index.ts';
import { startServer } from '../../src/server/index.ts';
import { testKeys } from '../../src/server/testing/server.ts';
import { startTracing } from '../../src/trace/index.ts';
import type { ServerProcessOptions } from './start-server-process.ts';

const { databaseUrl, kubeconfig, releases, environments, leaseTime } = JSON.parse(
  process.argv[2] ?? '',
) as ServerProcessOptions;

await startTracing({ service: 'banksman-server', version: '1' });
const database = await openDatabase(databaseUrl);
const server = await startServer({
  database,
  environments: new Map(environments.map((environment) => [environment.name, environment])),
  clusters: openClusters(() => ({ kubeconfigPath: kubeconfig })),
  fetchRelease: async (reference) =>
    JSON.parse(await readFile(join(releases, reference.split(':').at(-1) ?? ''), 'utf8')),
  version: '1',
  host: '127.0.0.1',
  port: 0,
  leaseTime,
  log: process.stderr,
  secretKeys: testKeys,
});
const asked = {
  name: 'ada@bank.example',
  roles: ['administrator', 'release-manager'] as const,
  services: [],
  expiresAt: Date.now() + 3_600_000,
};
const { token } = await server.tokens.create(asked, { who: 'test', source: 'test' }, Date.now());
process.stdout.write(`${JSON.stringify({ url: server.url, token })}\n`);
