import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyLog } from '../../src/audit/index.ts';
import { openPglite } from '../../src/database/index.ts';
import { createRegistryHandler, openBlobStore } from '../../src/image/index.ts';
import { type Cluster, connect, getObject } from '../../src/kube/index.ts';
import { banksman, makeWorkspace, type Outcome } from '../e2e/workspace.ts';
import { type ApiServer, findEngine, startApiServer } from '../support/api-server.ts';

const engine = findEngine();
const service = '//rates:rates';

// The API server, the registry and the database are real.
describe.skipIf(engine === undefined)('a command alone (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let root: string;
  let folder: string;
  let env: Record<string, string>;
  const ends: (() => unknown)[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'banksman-alone-'));
    ends.push(() => rm(folder, { recursive: true, force: true }));
    api = await startApiServer(engine as string);
    ends.push(() => api.stop());
    cluster = await connect({ kubeconfig: api.kubeconfig });
    ends.push(() => cluster.close());
    const blobs = await openBlobStore(join(folder, 'blobs'));
    const registry = createServer(createRegistryHandler(blobs, { root: join(folder, 'registry') }) as RequestListener);
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
    ends.push(
      () => registry.closeAllConnections(),
      () => registry.close(),
    );
    const { port } = registry.address() as { port: number };
    const at = `cluster: c, context: test, registry: "127.0.0.1:${port}"`;
    const made = await makeWorkspace({
      'banksman.yaml': `name: x
environments:
  dev: {${at}, namespace: dev}
  prod: {${at}, namespace: prod, after: dev, gates: {approvals: {count: 1}}}
`,
      '.gitignore': '/banksman-out/\n',
      'rates/BUILD': 'k8s_config(name = "rates", srcs = ["rates.yaml"])\n',
      'rates/rates.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rates}\ndata: {percent: "2"}\n',
    });
    root = made.root;
    ends.push(made.remove);
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@bank.example', ...args], { cwd: root });
    git('init', '--quiet');
    git('add', '-A');
    git('commit', '--quiet', '-m', 'first');
    env = {
      BANKSMAN_CACHE: join(folder, 'cache'),
      BANKSMAN_DATABASE: join(folder, 'database'),
      BANKSMAN_SERVER: 'alone',
      BANKSMAN_TOKEN: '',
      KUBECONFIG: api.kubeconfig,
    };
  }, 120_000);
  afterAll(async () => {
    for (const end of ends.reverse()) await end();
  }, 60_000);

  const run = (...args: string[]): Promise<Outcome> => banksman(root, args, env);

  it('goes through gates, rollouts and the record of a server, without one', async () => {
    const made = await run('release', service, '--env', 'dev', '--promote', '--context', 'test');
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/✓ \/\/rates:rates {2}healthy/) as string });
    const rates = (namespace: string) =>
      getObject(cluster, { apiVersion: 'v1', kind: 'ConfigMap', name: 'rates', namespace });
    expect(await rates('dev')).toMatchObject({ data: { percent: '2' } });

    const [release] = /[0-9a-f]{12}(?=[0-9a-f]{52}$)/m.exec(made.stdout) ?? [];
    const asked = await run('promote', service, '--env', 'prod', '--release', String(release), '--why', 'new rates');
    expect(asked).toMatchObject({ code: 0, stdout: expect.stringContaining('is planned') as string });
    expect(asked.stderr).toContain('1 rollout waiting for a gate');
    // Another command finds it where that one left it.
    expect((await run('why', service, '--env', 'prod')).stdout).toMatch(/shut {3}approvals {2}0 of 1 approvals/);
    expect((await run('rollouts')).stdout).toContain(`${service} in prod`);
    expect(await rates('prod')).toBeUndefined();

    const wrong = await run('why', service, '--env', 'nowhere');
    expect(wrong).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('error[server/unknown-environment]') as string,
    });
    const hasty = await run(
      'promote',
      service,
      '--env',
      'prod',
      '--release',
      String(release),
      '--emergency',
      'they are wrong',
    );
    expect(hasty.code).toBe(0);
    // The command has ended when the rollout has: nobody else would bring it on.
    expect(await rates('prod')).toMatchObject({ data: { percent: '2' } });
    expect((await run('history', service, '--env', 'prod')).stdout).toMatch(/healthy .*\n(?:.*\n)*.*superseded/);

    const database = await openPglite(env.BANKSMAN_DATABASE);
    try {
      expect(await verifyLog(database)).toMatchObject({ findings: [] });
    } finally {
      await database.close();
    }
  }, 180_000);

  it('says who has the database', async () => {
    const database = await openPglite(env.BANKSMAN_DATABASE);
    try {
      expect(await run('rollouts')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('error[database/in-use]') as string,
      });
    } finally {
      await database.close();
    }
  }, 60_000);
});
