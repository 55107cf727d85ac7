import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { serverAccess } from '../local/index.ts';
import { serverPlace } from './server-place.ts';

describe('where the server is', () => {
  let state: string;
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'bm-place-'));
    vi.stubEnv('BANKSMAN_STATE', state);
    for (const name of ['BANKSMAN_SERVER', 'BANKSMAN_TOKEN', 'BANKSMAN_CLUSTER']) vi.stubEnv(name, '');
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(state, { recursive: true, force: true });
  });

  function signIn(cluster: string | undefined, text: string): void {
    const { signInPath, tls } = serverAccess(cluster);
    for (const path of [signInPath, tls.caPath]) mkdirSync(dirname(path), { recursive: true });
    writeFileSync(signInPath, text);
    writeFileSync(tls.caPath, 'the authority');
  }
  const kept = JSON.stringify({ url: 'https://127.0.0.1:7701', token: 'kept', expiresAt: '2030-01-01T00:00:00Z' });

  it('is what is named, then what the environment names; a token that was kept for another goes to neither', async () => {
    signIn(undefined, kept);
    expect(await serverPlace('https://named')).toEqual({ base: 'https://named', token: undefined });
    vi.stubEnv('BANKSMAN_SERVER', 'https://told');
    vi.stubEnv('BANKSMAN_TOKEN', 'own');
    expect(await serverPlace(undefined)).toEqual({ base: 'https://told', token: 'own' });
  });

  it("is the cluster's where somebody signed in there, with that cluster's authority; another token may be given", async () => {
    signIn(undefined, kept);
    const found = { base: 'https://127.0.0.1:7701', token: 'kept', ca: 'the authority' };
    expect(await serverPlace(undefined)).toEqual(found);
    vi.stubEnv('BANKSMAN_TOKEN', 'own');
    expect(await serverPlace(undefined)).toEqual({ ...found, token: 'own' });
    vi.stubEnv('BANKSMAN_CLUSTER', 'second');
    expect(await serverPlace(undefined)).toEqual({ base: 'http://127.0.0.1:7700', token: 'own' });
  });

  it('is told where what is kept is broken', async () => {
    signIn(undefined, '{"url": 1}');
    await expect(serverPlace(undefined)).rejects.toMatchObject({ code: 'local/bad-state' });
  });
});
