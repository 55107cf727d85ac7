import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { parseSealKeys } from '../server/index.ts';
import { secretKeys } from './secret-keys.ts';

it('an embedded database gets a key of its own beside it, once, for its owner alone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-keys-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const database = join(folder, 'state', 'database');
  const all = await Promise.all(Array.from({ length: 8 }, () => secretKeys(undefined, database)));
  expect(new Set(all.map((keys) => keys?.newest)).size).toBe(1);
  expect((await stat(`${database}.keys`)).mode & 0o777).toBe(0o600);
  const written = await readFile(`${database}.keys`, 'utf8');
  expect(parseSealKeys(written, 'it').newest).toBe(all[0]?.newest);
  expect(await secretKeys(undefined, 'postgresql://db/banksman')).toBeUndefined();
  await expect(secretKeys(join(folder, 'none'), database)).rejects.toMatchObject({ code: 'server/bad-key' });
});
