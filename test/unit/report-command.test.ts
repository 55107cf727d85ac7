import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openPglite } from '../../src/database/index.ts';
import type { Environment, Label } from '../../src/graph/index.ts';
import { openPlacementStore, type PlacementStore } from '../../src/release/index.ts';
import { type RunningServer, startServer } from '../../src/server/index.ts';
import { banksman, makeWorkspace } from '../e2e/workspace.ts';

const place = { file: 'banksman.yaml' };
const smoke = '//e2e:smoke' as Label;
const gates = [{ kind: 'tests', name: 'tests', targets: [smoke], place }] as const;
const prod: Environment = { name: 'prod', cluster: 'c', namespace: 'p', registry: 'r', parameters: {}, gates, place };
const service = '//bank/ledger:ledger' as Label;
const id = `sha256:${'ab'.repeat(32)}`;
const actor = { who: 'test', source: 'test' };

let root: string;
let cache: string;
let database: Database;
let server: RunningServer;
let store: PlacementStore;
let token: string;
const removals: (() => Promise<void>)[] = [];
const git = (...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@b', ...args], {
    cwd: root,
    encoding: 'utf8',
  }).trim();
const env = () => ({ BANKSMAN_CACHE: cache, BANKSMAN_SERVER: server.url, BANKSMAN_TOKEN: token });

beforeAll(async () => {
  const made = await makeWorkspace({
    'banksman.yaml': 'name: x\n',
    '.gitignore': '/banksman-out/\n',
    'e2e/BUILD': 'gentest(name = "smoke", test_cmd = "true", no_test_output = True)\n',
    'other/BUILD': 'gentest(name = "test", test_cmd = "true", no_test_output = True)\n',
    'bank/ledger/BUILD': 'gentest(name = "test", test_cmd = "exit 1", no_test_output = True)\n',
  });
  root = made.root;
  cache = await mkdtemp(join(tmpdir(), 'banksman-cache-'));
  removals.push(made.remove, () => rm(cache, { recursive: true }));
  git('init', '--quiet');
  git('add', '-A');
  git('commit', '--quiet', '-m', 'first');
  database = await openPglite(undefined);
  server = await startServer({
    database,
    environments: new Map([['prod', prod]]),
    fetchRelease: async () => Promise.reject(new Error('not asked here')),
    version: '1',
    host: '127.0.0.1',
    port: 0,
  });
  store = await openPlacementStore(database);
  const asked = { name: 'ci', roles: ['engineer'] as const, services: [service], expiresAt: Date.now() + 600_000 };
  token = (await server.tokens.create(asked, actor, Date.now())).token;
}, 60_000);
afterAll(async () => {
  await server?.stop();
  await database?.close();
  for (const remove of removals) await remove();
});

it('test --report tells what was found on exactly this commit, for releases of it', async () => {
  const commit = git('rev-parse', 'HEAD');
  const early = await banksman(root, ['test', '//e2e/...', '--report'], env());
  expect(early).toMatchObject({ code: 1, stderr: expect.stringContaining('error[cli/no-release]') as string });
  await store.addRelease({ id, service, reference: `r@${id}`, commit, authors: ['ada'], madeAt: 0 }, actor);

  const outcome = await banksman(root, ['test', '//...', '--report'], env());
  expect(outcome.stderr).toContain(`reported for ${service}`);
  // The failed one makes it fail, and is reported all the same.
  expect(outcome.code).toBe(1);
  expect(await store.testReports(id)).toMatchObject([
    {
      commit,
      by: 'ci',
      // What a gate asks for and the service's own; nothing of others.
      tests: [
        { target: '//bank/ledger:test', passed: false },
        { target: smoke, passed: true },
      ],
    },
  ]);
  const { stdout } = await banksman(root, ['why', service, '--env', 'prod'], env());
  expect(stdout).toMatch(/holds\s+tests/);
}, 120_000);

it('test --report refuses files that differ from the commit', async () => {
  await writeFile(join(root, 'edit.txt'), 'x');
  const outcome = await banksman(root, ['test', '//e2e/...', '--report'], env());
  expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining('files differ from the commit') as string });
  expect(await store.testReports(id)).toHaveLength(1);
}, 120_000);

it('review-emergency lists emergencies, and takes the word of a second person', async () => {
  const at = Date.now();
  const request = {
    id: 'e1',
    release: { id, order: 1 },
    kind: 'promotion',
    by: 'ada',
    emergency: 'payments fail',
    gates: ['emergency'],
    terms: { patience: 600_000, deadline: 600_000, onFailure: 'stop', returnGates: [] },
  } as const;
  expect((await banksman(root, ['review-emergency', service, '--env', 'prod'], env())).stdout).toBe(
    'there was no emergency\n',
  );
  await store.happen(service, 'prod', { kind: 'plan', at, request }, actor);
  const answers = [{ gate: 'emergency', holds: true, reason: 'payments fail' }];
  await store.happen(service, 'prod', { kind: 'gates', at, rollout: 'e1', answers }, actor);
  const why = ['--why', 'the fix alone'];
  expect(await banksman(root, ['review-emergency', service, '--env', 'prod', ...why], env())).toMatchObject({
    code: 0,
    stdout: 'reviewed: e1\n',
  });
  const { stdout } = await banksman(root, ['review-emergency', service, '--env', 'prod'], env());
  expect(stdout).toMatch(/^e1 {2}\S+ {2}ada: payments fail {2}\(reviewed by ci at \S+: the fix alone\)\n$/);
  const again = await banksman(root, ['review-emergency', service, '--env', 'prod', ...why], env());
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('no emergency waits') as string });
}, 120_000);
