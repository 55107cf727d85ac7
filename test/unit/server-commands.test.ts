import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEntries } from '../../src/audit/index.ts';
import { apiAt } from '../../src/cli/api.ts';
import { tellSighting } from '../../src/cli/sighting.ts';
import { type Database, openPglite } from '../../src/database/index.ts';
import type { Environment, Label } from '../../src/graph/index.ts';
import { openPlacementStore } from '../../src/release/index.ts';
import { type RunningServer, startServer } from '../../src/server/index.ts';

const program = fileURLToPath(new URL('../../bin/banksman', import.meta.url));
const place = { file: 'banksman.yaml' };
const gates = [{ kind: 'approvals', name: 'approvals', count: 1, place }] as const;
const prod: Environment = { name: 'prod', cluster: 'c', namespace: 'p', registry: 'r', parameters: {}, gates, place };
const service = '//bank/ledger:ledger' as Label;
const id = `sha256:${'ab'.repeat(32)}`;

describe('the commands that speak to a server', () => {
  let database: Database;
  let server: RunningServer;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    database = await openPglite(undefined);
    server = await startServer({
      database,
      environments: new Map([['prod', prod]]),
      fetchRelease: async () => Promise.reject(new Error('not asked here')),
      version: '1',
      host: '127.0.0.1',
      port: 0,
    });
    const actor = { who: 'test', source: 'test' };
    const store = await openPlacementStore(database);
    await store.addRelease({ id, service, reference: `r@${id}`, commit: 'c', authors: ['ada'], madeAt: 0 }, actor);
    const later = `sha256:${'cd'.repeat(32)}`;
    await store.addRelease(
      { id: later, service, reference: `r@${later}`, commit: 'd', authors: ['bob'], madeAt: 1 },
      actor,
    );
    const asked = { name: 'bob', roles: ['release-manager'] as const, services: [], expiresAt: Date.now() + 60_000 };
    const { token } = await server.tokens.create(asked, actor, Date.now());
    env = { ...process.env, NO_COLOR: '1', BANKSMAN_SERVER: server.url, BANKSMAN_TOKEN: token };
  }, 60_000);
  afterAll(async () => {
    await server?.stop();
    await database?.close();
  });

  const banksman = (args: string[], own: NodeJS.ProcessEnv = {}) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      execFile(program, args, { cwd: '/', env: { ...env, ...own } }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });

  it('ask for a release, say why it is not there, approve it and hold', async () => {
    const at = [service, '--env', 'prod'];
    const asked = await banksman(['promote', ...at, '--release', 'abababab', '--why', 'rates']);
    expect(asked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^rollout \S+ is planned\n$/) as string });
    const before = await banksman(['why', ...at]);
    expect(before.stdout).toMatch(
      /shut {3}approvals {2}0 of 1 approvals\n\s+opens by: 1 more approval, not of the author/,
    );
    expect(await banksman(['approve', ...at, '--release', 'abababab'])).toMatchObject({
      code: 0,
      stdout: 'approved\n',
    });
    // Who asked does not count alone.
    expect((await banksman(['why', ...at])).stdout).toContain('none of another than who asked for it');
    const held = await banksman(['hold', ...at, '--why', 'looking']);
    const hold = /held: (\S+)/.exec(held.stdout)?.[1] as string;
    expect((await banksman(['why', ...at])).stdout).toContain('by bob');
    expect(await banksman(['hold', ...at, '--why', 'seen', '--lift', hold])).toMatchObject({
      code: 0,
      stdout: 'lifted\n',
    });
    const history = await banksman(['history', ...at]);
    expect(history.stdout).toMatch(
      /^promotion of release abababababab \(1\) {2}\w+ {2}asked for by bob {2}commit c by ada/,
    );
    expect(history.stdout).toMatch(/^ {2}\S+Z {2}planned {6}rates$/m);
    expect(JSON.parse((await banksman(['history', ...at, '--json'])).stdout)).toMatchObject({
      rollouts: [{ by: 'bob', why: 'rates', release: { order: 1 } }],
    });
    expect((await banksman(['history', ...at, '--context', 'x'])).code).toBe(2);
    expect((await banksman(['status', '--env', 'prod'])).stdout).toMatch(
      /^\/\/bank\/ledger:ledger {2}absent\s+\w+ {2}promotion of release abababababab \(1\)/,
    );
    expect((await banksman(['rollouts'])).stdout).toContain(`${service} in prod`);
    const paused = await banksman(['hold', ...at, '--why', 'again']);
    expect((await banksman(['holds'])).stdout).toMatch(/in prod {2}held {2}all releases, by bob since \S+: again/);
    const lifted = await banksman(['lift', ...at, '--why', 'done']);
    expect(lifted.stdout).toBe(paused.stdout.replace('held', 'lifted'));
    expect((await banksman(['lift', ...at, '--why', 'done'])).stderr).toContain('nothing holds //bank/ledger:ledger');
    expect((await banksman(['holds', '--env', 'prod'])).stdout).toBe('nothing is held\n');
    expect((await banksman(['rollback', ...at])).stderr).toContain('a rollback through the server needs --why');
    const back = await banksman(['rollback', ...at, '--why', 'x']);
    expect(back).toMatchObject({ code: 1, stderr: expect.stringContaining('has no earlier release') as string });
    expect((await banksman(['environments'])).stdout).toContain('prod  p of c  gates: approvals');
    expect((await banksman(['train', '--env', 'prod', '--preview'])).stderr).toContain(
      'takes its releases from no other',
    );
    expect((await banksman(['train', '--env', 'prod'])).stderr).toContain('a train needs --why');
    const bisected = await banksman(['bisect', ...at, '--good', 'abababab', '--bad', 'cdcdcdcd']);
    expect(bisected.stdout).toMatch(/^the first bad release:\n {2}cdcdcdcdcdcd \(2\) {2}commit d {2}bob\n$/);
    expect((await banksman(['bisect', ...at, '--good', 'cdcdcdcd', '--bad', 'abababab'])).code).toBe(2);
    expect((await banksman(['diff', service, 'abababab'])).stderr).toContain('has two sides, not 1');
    expect((await banksman(['promote', ...at, '--release', '00000000', '--preview'])).stderr).toContain(
      'unknown-release',
    );
    const { answers } = JSON.parse((await banksman(['why', ...at, '--json'])).stdout) as { answers: object[] };
    expect(answers).toHaveLength(2);
    expect((await banksman(['cancel', ...at, '--why', 'enough'])).stdout).toMatch(/^rollout \S+ is cancelled\n$/);
    expect(await banksman(['cancel', ...at, '--why', 'enough'])).toMatchObject({ code: 2 });
  }, 120_000);

  it('tell what the workspace has no more, since which commit, and delete nothing', async () => {
    const root = await mkdtemp(join(tmpdir(), 'banksman-gone-'));
    const git = (date: string, ...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@bank.example', ...args], {
        cwd: root,
        env: { ...process.env, GIT_COMMITTER_DATE: date, GIT_AUTHOR_DATE: date },
      }).toString();
    const commit = (date: string) => {
      git(date, 'commit', '--quiet', '--allow-empty', '--message', 'x');
      return git(date, 'rev-parse', 'HEAD').trim();
    };
    const token = env.BANKSMAN_TOKEN as string;
    const call = apiAt({ base: server.url, token, ca: undefined }, AbortSignal.timeout(60_000));
    try {
      git('2026-01-01T00:00:00Z', 'init', '--quiet');
      const first = commit('2026-01-01T00:00:00Z');
      expect(await tellSighting(call, root, ['//bank/...'], new Set())).toEqual([service]);
      commit('2026-01-02T00:00:00Z');
      expect(await tellSighting(call, root, ['//...'], new Set())).toEqual([]);
      const gone = `not in the workspace since commit ${first.slice(0, 10)}`;
      expect((await banksman(['status', '--env', 'prod'])).stdout).toContain(gone);
      const listed = (await call('GET', '/v1/services')) as { items: { gone?: object }[] };
      expect(listed.items[0]?.gone).toEqual({ commit: first, at: '2026-01-01T00:00:00.000Z' });
      // What is told late of an earlier commit counts no more.
      commit('2025-01-01T00:00:00Z');
      await tellSighting(call, root, ['//...'], new Set([service]));
      expect((await banksman(['status', '--env', 'prod'])).stdout).toContain(gone);
      commit('2026-01-03T00:00:00Z');
      await tellSighting(call, root, ['//...'], new Set([service]));
      expect((await banksman(['status', '--env', 'prod'])).stdout).not.toContain('not in the workspace');
      const told = await readEntries(database, { subject: service });
      expect(told.map(({ event }) => event.action).slice(-2)).toEqual(['service.gone', 'service.back']);
      const asked = { name: 'eve', roles: ['engineer'] as const, services: [], expiresAt: Date.now() + 60_000 };
      const eve = await server.tokens.create(asked, { who: 'test', source: 'test' }, Date.now());
      const other = apiAt({ base: server.url, token: eve.token, ca: undefined }, AbortSignal.timeout(60_000));
      const refused = tellSighting(other, root, ['//...'], new Set());
      await expect(refused).rejects.toMatchObject({ code: 'server/not-allowed' });
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  }, 120_000);

  it('tell what the server says, and send a token to nobody in the clear', async () => {
    const unknown = await banksman(['why', service, '--env', 'prd']);
    expect(unknown.stderr).toContain('error[server/unknown-environment]');
    expect(unknown.stderr).toContain('did you mean prod?');
    const away = await banksman(['why', service, '--server', 'http://127.0.0.1:1']);
    expect(away).toMatchObject({ code: 1, stderr: expect.stringContaining('error[cli/no-server]') as string });
    const clear = await banksman(['why', service, '--server', 'http://bank.example']);
    expect(clear).toMatchObject({ code: 2, stderr: expect.stringContaining('in the clear') as string });
    const none = await banksman(['why', service], { BANKSMAN_TOKEN: '' });
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('BANKSMAN_TOKEN') as string });
  }, 120_000);
});
