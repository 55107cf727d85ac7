import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { newSealKey, parseSealKeys, readSealKeys, type SealKeys } from '../server/index.ts';

/**
 * What a server seals secrets with: a file, a variable, or for an embedded database a file beside its folder, made here at the first time.
 *
 * @returns undefined where nothing is given for a database of its own
 * @throws ServerFault server/bad-key
 */
export async function secretKeys(file: string | undefined, database: string): Promise<SealKeys | undefined> {
  if (file !== undefined) return await readSealKeys(file);
  const given = process.env.BANKSMAN_SECRET_KEYS;
  if (given !== undefined && given !== '') return parseSealKeys(given, '$BANKSMAN_SECRET_KEYS');
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(database)) return undefined;
  const path = `${database.replace(/\/+$/, '')}.keys`;
  const there = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (there !== undefined) return parseSealKeys(there, path);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // Whole or not at all, and never in place of one that somebody else made meanwhile.
  const made = `${path}.${randomUUID()}`;
  await writeFile(made, `${newSealKey(new Date())}\n`, { mode: 0o600, flag: 'wx' });
  await link(made, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await unlink(made);
  return await readSealKeys(path);
}
