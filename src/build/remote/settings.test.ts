import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RemoteCacheForm } from '../../graph/index.ts';
import { remoteCacheSettings } from './settings.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'banksman-settings-'));
});
afterAll(() => rm(root, { recursive: true }));

const form = (more: Partial<RemoteCacheForm> = {}) => ({
  root,
  remoteCache: {
    url: 'grpcs://cache.example.com:9092',
    instance: '',
    upload: true,
    place: { file: 'banksman.yaml' },
    ...more,
  },
});

describe('settings of a remote cache', () => {
  it('come from the workspace, and from the environment over it', async () => {
    expect(await remoteCacheSettings({ root }, {})).toBeUndefined();
    expect(await remoteCacheSettings(form({ instance: 'main' }), {})).toMatchObject({
      authority: 'cache.example.com:9092',
      tls: { ca: undefined },
      authorization: undefined,
      instance: 'main',
      upload: true,
      warnings: [],
    });
    expect(await remoteCacheSettings(form(), { BANKSMAN_REMOTE_CACHE: 'off' })).toBeUndefined();
    const other = { BANKSMAN_REMOTE_CACHE: 'grpc://[::1]' };
    expect(await remoteCacheSettings(form(), other)).toMatchObject({ authority: '[::1]:80', tls: undefined });
    expect(await remoteCacheSettings({ root }, { BANKSMAN_REMOTE_CACHE: 'grpcs://c' })).toMatchObject({
      authority: 'c:443',
    });
  });

  it('take the token from a variable, or from a file, and the certificates from a file', async () => {
    await writeFile(join(root, 'token'), 'from-file\n');
    await writeFile(join(root, 'ca.pem'), 'PEM');
    const files = form({ tokenEnv: 'T', tokenFile: 'token', ca: join(root, 'ca.pem') });
    expect(await remoteCacheSettings(files, {})).toMatchObject({
      authorization: 'Bearer from-file',
      tls: { ca: Buffer.from('PEM') },
    });
    expect(await remoteCacheSettings(files, { T: 'x' })).toMatchObject({ authorization: 'Bearer x' });
    expect(await remoteCacheSettings(files, { T: 'Basic dTpw' })).toMatchObject({ authorization: 'Basic dTpw' });
    expect(await remoteCacheSettings(form(), { BANKSMAN_REMOTE_CACHE_TOKEN: 'y' })).toMatchObject({
      authorization: 'Bearer y',
    });
    expect((await remoteCacheSettings(form({ tokenEnv: 'T' }), {}))?.warnings).toEqual([
      expect.stringContaining('T is not set'),
    ]);
  });

  it.each<[Partial<RemoteCacheForm>, Record<string, string>, RegExp]>([
    [{ url: 'http://x' }, {}, /no address of a remote cache/],
    [{}, { BANKSMAN_REMOTE_CACHE: 'cache:9092' }, /BANKSMAN_REMOTE_CACHE: "cache:9092" is no address/],
    [{ url: 'grpc://x:99999' }, {}, /no address/],
    [{ url: 'grpc://cache:9092' }, { BANKSMAN_REMOTE_CACHE_TOKEN: 't' }, /in the clear/],
    [{ ca: 'gone.pem' }, {}, /remote_cache.ca: gone.pem can't be read/],
    [{ tokenFile: 'gone' }, {}, /remote_cache.token_file: gone can't be read/],
    [{}, { BANKSMAN_REMOTE_CACHE_TOKEN: 'a\nb' }, /no header can have/],
  ])('are refused where they can not be right: %j %j', async (more, env, message) => {
    const fault = await remoteCacheSettings(form(more), env).catch((error: unknown) => error);
    expect(fault).toMatchObject({ code: 'build/bad-remote-cache', message: expect.stringMatching(message) });
    expect(String(fault)).not.toContain('a\nb');
  });
});
