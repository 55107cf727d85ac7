import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openPglite } from '../../src/database/index.ts';
import { environmentOf, openPlacementStore, readPolicies, statementsBeside } from '../../src/release/index.ts';
import { type SignedService, service, signedService } from '../../src/release/testing/signed-service.ts';
import { type RunningServer, startServer } from '../../src/server/index.ts';
import { banksman } from '../e2e/workspace.ts';

let made: SignedService;
let database: Database;
let server: RunningServer;
let token: string;
const actor = { who: 'ada', source: 'test' };
const env = () => ({ BANKSMAN_SERVER: server.url, BANKSMAN_TOKEN: token });

beforeAll(async () => {
  made = await signedService();
  database = await openPglite(undefined);
  const workspace = await made.workspace();
  const prod = environmentOf(workspace, 'dev');
  server = await startServer({
    database,
    environments: new Map([['dev', prod]]),
    fetchRelease: made.fetch,
    policies: await readPolicies(workspace),
    statementsOn: async (_, { repository, digest }, signal) =>
      statementsBeside(`registry.local/${repository}@${digest}`, digest, { registry: made.registry }, signal),
    version: '1',
    host: '127.0.0.1',
    port: 0,
  });
  const store = await openPlacementStore(database);
  const { id, order } = await store.addRelease(await made.make(true), actor);
  const request = {
    id: 'r1',
    release: { id, order },
    kind: 'promotion',
    by: 'ada',
    gates: ['none'],
    terms: { patience: 600_000, deadline: 600_000, onFailure: 'stop', returnGates: [] },
  } as const;
  await store.happen(service, 'dev', { kind: 'plan', at: Date.now(), request }, actor);
  const asked = { name: 'eve', roles: ['auditor'] as const, services: [], expiresAt: Date.now() + 600_000 };
  token = (await server.tokens.create(asked, actor, Date.now())).token;
}, 120_000);
afterAll(async () => {
  await server?.stop();
  await database?.close();
  await made?.stop();
});

it('evidence is written and sealed in a clone, verified without a server, and edits are named', async () => {
  const run = (...args: string[]) => banksman(made.root, args, env());
  const file = join(made.root, 'one.evidence.json');
  const [privateKey, publicKey] = [join(made.root, 'audit.key'), join(made.root, 'audit.pub')];
  expect(await run('audit', 'key', '--private', privateKey, '--public', publicKey)).toMatchObject({ code: 0 });
  const written = await run('evidence', service, '--env', 'dev', '--output', file, '--private', privateKey);
  expect(written).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^rollout r1 of commit [0-9a-f]{12}: /) as string,
  });
  const byCommit = await run('evidence', service, '--commit', made.commit().slice(0, 8), '--output', `${file}.2`);
  expect(byCommit).toMatchObject({ code: 0 });
  expect((await run('evidence', service, '--commit', 'abcdef', '--output', file)).code).toBe(2);

  const whole = await run('evidence', 'verify', file, '--key', publicKey);
  expect(whole).toMatchObject({ code: 0, stdout: expect.stringContaining('whole: ') as string });
  const text = await readFile(file, 'utf8');
  expect(JSON.parse(text)).toMatchObject({
    summary: {
      source: { message: 'first\n' },
      rollout: expect.arrayContaining([expect.objectContaining({ who: 'ada' })]) as [],
    },
  });
  await writeFile(file, text.replace('"who": "ada"', '"who": "eve"'));
  const edited = await run('evidence', 'verify', file, '--key', publicKey);
  expect(edited).toMatchObject({ code: 1, stderr: expect.stringContaining('summary: it does not say') as string });
  await writeFile(file, '{}');
  expect(await run('evidence', 'verify', file)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no evidence') as string,
  });
}, 240_000);
