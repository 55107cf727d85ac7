import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { headImage, openBlobStore, pushImage } from '../index.ts';
import { testFolder } from '../testing/folder.ts';
import { listenLocally, plain, startRegistry, testImage } from '../testing/local-registry.ts';
import { type AccessSettings, createAccess, fits } from './access.ts';
import { createRegistryHandler } from './handler.ts';
import { hashPassword, newToken } from './password.ts';
import { parseRegistrySettings } from './settings.ts';

const robot = newToken();

async function settings(challenge: 'basic' | 'token'): Promise<AccessSettings> {
  return {
    challenge,
    users: {
      anna: { password: await hashPassword('correct horse') },
      ci: { tokens: [robot.hash] },
    },
    rules: [
      { repositories: 'public/**', pull: ['anonymous'] },
      { repositories: 'bank/**', pull: ['*'], push: ['ci'], delete: ['ci'] },
    ],
  };
}

describe.each(['basic', 'token'] as const)('access by %s', (challenge) => {
  test('each user does what the rules say, with the real client', async () => {
    const granted = await settings(challenge);
    const registry = await startRegistry(createAccess(() => granted));
    const built = await testImage(await testFolder(), 'private');
    const as = (username: string, password: string) => ({ ...plain, credentials: { username, password } });
    const ci = as('ci', robot.token);
    const anna = as('anna', 'correct horse');
    const push = (repository: string, transport: object) =>
      pushImage({ layout: built.layout, reference: `${registry.host}/${repository}:1`, transport });
    const head = (repository: string, transport: object) =>
      headImage({ reference: `${registry.host}/${repository}:1`, transport });
    const unauthorized = { code: 'image/registry-unauthorized' };
    await push('bank/ledger', ci);
    expect(await head('bank/ledger', anna)).toMatchObject({ digest: built.digest });
    // Whoever is known to the registry need not sign in once more.
    await expect(push('bank/gateway', anna)).rejects.toMatchObject({
      ...unauthorized,
      next: expect.stringContaining('ask whoever keeps the registry for the right'),
    });
    await expect(push('other', ci)).rejects.toMatchObject(unauthorized);
    await expect(head('bank/ledger', plain)).rejects.toMatchObject({
      ...unauthorized,
      next: expect.stringMatching(/^run: docker login/),
    });
    await expect(head('bank/ledger', as('anna', 'wrong'))).rejects.toMatchObject(unauthorized);
    await expect(head('bank/ledger', as('constructor', 'x'))).rejects.toMatchObject(unauthorized);
    await expect(head('bank/ledger', as('ci', 'x'))).rejects.toMatchObject(unauthorized);
    expect(await head('public/x', plain)).toBeUndefined();
    await expect(push('public/x', plain)).rejects.toMatchObject(unauthorized);
    // A mount from where one may not pull is an upload like any other.
    const from = pushImage({
      layout: built.layout,
      reference: `${registry.host}/bank/copy:1`,
      mountFrom: 'secret',
      transport: ci,
    });
    expect((await from).sentBlobs).toBe(3);
    const mounted = pushImage({
      layout: built.layout,
      reference: `${registry.host}/bank/second:1`,
      mountFrom: 'bank/ledger',
      transport: ci,
    });
    expect((await mounted).sentBlobs).toBe(0);
  });
});

describe('tokens', () => {
  test('are for what was asked and no more, and nobody else can make them', async () => {
    const granted = await settings('token');
    const { base } = await startRegistry(createAccess(() => granted));
    const basic = { authorization: `Basic ${Buffer.from(`ci:${robot.token}`).toString('base64')}` };
    const answer = await fetch(
      `${base}/token?service=x&scope=repository:bank/a:pull&scope=repository:other:pull,push`,
      {
        headers: basic,
      },
    );
    const { token } = (await answer.json()) as { token: string };
    const status = async (path: string, method: string, authorization: string) =>
      (await fetch(`${base}/v2/${path}`, { method, headers: { authorization } })).status;
    expect(await status('bank/a/tags/list', 'GET', `Bearer ${token}`)).toBe(404);
    expect(await status('bank/b/tags/list', 'GET', `Bearer ${token}`)).toBe(401);
    expect(await status('bank/a/blobs/uploads/', 'POST', `Bearer ${token}`)).toBe(401);
    expect(await status('bank/a/blobs/uploads/', 'POST', `Bearer ${robot.token}`)).toBe(202);
    // No other token would do, and the client hears what it may not.
    const denied = await fetch(`${base}/v2/other/blobs/uploads/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    expect([denied.status, await denied.text()]).toEqual([403, expect.stringContaining('may not push other')]);
    const [body = '', signature] = token.split('.');
    const forged = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
    forged.grants[0].actions.push('push');
    const text = `${Buffer.from(JSON.stringify(forged)).toString('base64url')}.${signature}`;
    expect(await status('bank/a/tags/list', 'GET', `Bearer ${text}`)).toBe(401);
    const wrong = await fetch(`${base}/token`, { headers: { authorization: `Basic ${btoa('ci:no')}` } });
    expect(wrong.status).toBe(401);
    // A name of a host can't write into the challenge.
    const challenge = await fetch(`${base}/v2/`);
    expect(challenge.headers.get('www-authenticate')).toMatch(/^Bearer realm="http:\/\/127\.0\.0\.1:\d+\/token",/);
  });

  test('end when a user is removed', async () => {
    let granted = await settings('basic');
    const { base } = await startRegistry(createAccess(() => granted));
    const headers = { authorization: `Bearer ${robot.token}` };
    expect((await fetch(`${base}/v2/`, { headers })).status).toBe(200);
    granted = { ...granted, users: {} };
    expect((await fetch(`${base}/v2/`, { headers })).status).toBe(401);
  });
});

test('the catalog shows what the client may pull', async () => {
  const granted = await settings('basic');
  const folder = await testFolder();
  const root = join(folder, 'registry');
  const store = await openBlobStore(join(folder, 'blobs'));
  const open = await listenLocally(createServer(createRegistryHandler(store, { root })));
  for (const repository of ['bank/a', 'public/b', 'secret'])
    await fetch(
      `http://${open}/v2/${repository}/blobs/uploads/?digest=sha256:${'44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'}`,
      {
        method: 'POST',
        body: '{}',
      },
    );
  const closed = await listenLocally(
    createServer(createRegistryHandler(store, { root, ...createAccess(() => granted) })),
  );
  const list = async (host: string, path: string, headers = {}) =>
    (await (await fetch(`http://${host}/v2/${path}`, { headers })).json()) as { repositories: string[] };
  expect((await list(open, '_catalog')).repositories).toEqual(['bank/a', 'public/b', 'secret']);
  expect((await list(open, '_catalog?n=1&last=bank/a')).repositories).toEqual(['public/b']);
  const headers = { authorization: `Basic ${btoa('anna:correct horse')}` };
  expect((await list(closed, '_catalog', headers)).repositories).toEqual(['bank/a', 'public/b']);
});

test.each([
  ['bank/ledger', 'bank/ledger', true],
  ['bank/ledger', 'bank/ledger/x', false],
  ['bank/*', 'bank/ledger', true],
  ['bank/*', 'bank/a/b', false],
  ['bank/**', 'bank/a/b', true],
  ['bank/**', 'bank', true],
  ['bank/**', 'banking', false],
  ['**/test', 'a/b/test', true],
  ['**', 'x', true],
])('the pattern %s and %s: %s', (pattern, repository, expected) => {
  expect(fits(pattern, repository)).toBe(expected);
});

describe('the settings of a registry', () => {
  test('in full', async () => {
    const password = await hashPassword('a long password');
    const text = `
listen: 127.0.0.1:5000
tls: { cert: server.crt, key: server.key }
challenge: token
users:
  ci: { tokens: ["${robot.hash}"] }
  anna: { password: "${password}" }
access:
  - { repositories: "bank/**", pull: ["*"], push: [ci] }
quotas: { total: 50GiB, bank/: 500MB }
maximum_blob: 4g
uploads_expire: 12h
`;
    expect(parseRegistrySettings(text, '/etc/registry.yaml')).toMatchObject({
      listen: '127.0.0.1:5000',
      tls: { cert: '/etc/server.crt', key: '/etc/server.key' },
      challenge: 'token',
      users: { anna: { password }, ci: { tokens: [robot.hash] } },
      rules: [{ repositories: 'bank/**', pull: ['*'], push: ['ci'], delete: [] }],
      quotas: [
        { prefix: '', bytes: 50 * 1024 ** 3 },
        { prefix: 'bank', bytes: 500_000_000 },
      ],
      maximumBlob: 4 * 1024 ** 3,
      uploadsExpireAfter: 12 * 3600 * 1000,
    });
  });

  test.each([
    ['user: {}', 'user: there is no such key', 1],
    ['users:\n  ci: { password: hunter2 }', 'users.ci.password: is not the sum of a password', 2],
    ['users:\n  ci: { tokens: [hunter2] }', 'users.ci.tokens[0]: is not the sum of a token', 2],
    ['users:\n  ci: hunter2', 'users.ci: must be a mapping of keys to values, not a text', 2],
    ['users:\n  ci: { pasword: hunter2 }', 'users.ci.pasword: there is no such key', 2],
    ['users:\n  ci: { password: hunter2', 'is not valid YAML', 2],
    ['users:\n  ../x: {}', '"../x" can\'t be the name of a user', 2],
    ['users:\n  ci:\n', 'users.ci: must be a mapping of keys to values, not nothing', 2],
    ['tls: { cert: a }', 'tls: needs cert and key', 1],
    ['challenge: none', 'challenge: "none" is not basic or token', 1],
    ['maximum_blob: -1', 'maximum_blob: must be a size such as 10GiB', 1],
    ['- a', 'registry.yaml: must be a mapping', 1],
    ['users:\n  ci: {}', 'users.ci: has neither a password nor tokens', 2],
    ['access:\n  - { repositories: "**", pull: [nobody] }', 'there is no user nobody', 2],
    ['access:\n  - { pull: ["*"] }', 'access[0]: repositories is missing', 2],
    ['quotas: { total: lots }', 'quotas.total: "lots" is not a size such as 10GiB', 1],
    ['users: [', '', 1],
  ])('%j is told with its place', (text, message, line) => {
    let found: unknown;
    try {
      parseRegistrySettings(text, 'registry.yaml');
    } catch (error) {
      found = error;
    }
    expect(found).toMatchObject({ code: 'image/bad-registry-settings', place: { file: 'registry.yaml', line } });
    expect((found as Error).message).toContain(message);
    expect(JSON.stringify(found) + (found as Error).message).not.toContain('hunter2');
  });
});
