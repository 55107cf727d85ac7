import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openPglite } from '../database/index.ts';
import { startServer } from './start.ts';
import { followTls, readTls, type TlsTexts } from './tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'banksman-tls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function certificate(name: string): { cert: string; key: string } {
  const files = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'].concat([
      '-keyout',
      files.key,
      '-out',
      files.cert,
      '-subj',
      `/CN=${name}`,
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    ]),
    { stdio: 'ignore' },
  );
  return files;
}

const one = certificate('one');
const two = certificate('two');

describe('readTls', () => {
  it('gives a pair that belongs together, and refuses all else without a word of the key', async () => {
    expect((await readTls(one)).cert).toContain('BEGIN CERTIFICATE');
    await expect(readTls({ cert: one.cert, key: two.key })).rejects.toMatchObject({ code: 'server/bad-certificate' });
    await expect(readTls({ cert: one.cert, key: join(folder, 'none') })).rejects.toMatchObject({
      code: 'server/bad-certificate',
    });
    const swapped = await readTls({ cert: one.key, key: one.cert }).catch((error: Error) => error);
    expect(String(swapped)).not.toContain('PRIVATE');
  });
});

describe('followTls', () => {
  it('takes a new pair, keeps the old one where the new one is bad, and says so', async () => {
    const files = { cert: join(folder, 'now.crt'), key: join(folder, 'now.key') };
    const put = (from: { cert: string; key: string }) => {
      writeFileSync(files.cert, readFileSync(from.cert));
      writeFileSync(files.key, readFileSync(from.key));
    };
    put(one);
    const first = await readTls(files);
    const taken: TlsTexts[] = [];
    const told: unknown[] = [];
    const server = { setSecureContext: (texts: unknown) => void taken.push(texts as TlsTexts) };
    writeFileSync(files.key, 'nonsense');
    const following = followTls(server as never, files, first, (error) => told.push(error), 5);
    await expect.poll(() => told.length, { timeout: 30_000 }).toBeGreaterThan(0);
    expect(taken).toEqual([]);
    put(two);
    await expect.poll(() => taken.length, { timeout: 30_000 }).toBe(1);
    following.stop();
    expect(taken[0]?.cert).toBe(readFileSync(two.cert, 'utf8'));
  });
});

describe('the server with a certificate', () => {
  it('speaks TLS and nothing else', async () => {
    const database = await openPglite(undefined);
    const server = await startServer({
      database,
      environments: new Map(),
      fetchRelease: async () => Promise.reject(new Error('not asked here')),
      version: '1',
      host: '127.0.0.1',
      port: 0,
      tls: one,
    });
    try {
      expect(server.url).toMatch(/^https:/);
      const status = await new Promise((resolve, reject) => {
        const ca = readFileSync(one.cert);
        request(`${server.url}/readyz`, { ca }, (answer) => resolve(answer.resume().statusCode))
          .on('error', reject)
          .end();
      });
      expect(status).toBe(200);
      await expect(fetch(`${server.url.replace('https', 'http')}/readyz`)).rejects.toThrow();
    } finally {
      await server.stop();
      await database.close();
    }
  }, 60_000);
});
