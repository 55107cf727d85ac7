import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Digest, isDigest } from './digest.ts';
import type { BlobStore, Stored } from './store.ts';
import { type LayerEntry, writeTar } from './tar/write.ts';

/**
 * Puts a layer of these entries into the store. Where the same entries with the same contents gave one before, no file is read.
 *
 * @param identities for each entry a name for its content, the same wherever it lies: empty for what has none. Where a content
 * has no name, nothing is remembered
 */
export async function storeLayer(
  store: BlobStore,
  entries: readonly LayerEntry[],
  identities: readonly (string | undefined)[],
): Promise<Stored> {
  const write = (differs?: () => void) => store.put(writeTar(entries, differs), { durable: false });
  if (identities.includes(undefined)) return write();
  const name = nameOf(
    entries.map(({ path, type, mode, uid, gid, size, target, attributes }, index) => [
      path,
      type,
      mode,
      uid,
      gid,
      size,
      target,
      identities[index],
      ...(attributes === undefined ? [] : [attributes]),
    ]),
  );
  const known = await readLayerRecord(store, name);
  if (known !== undefined) return known;
  let differs = false;
  const stored = await write(() => (differs = true));
  // A source that was edited while it was read must not lend its former name to what it is now.
  if (!differs) await writeLayerRecord(store, name, stored);
  return stored;
}

/** Sum of a value that names a result. */
export function nameOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

/** Goes up when the same entries give other bytes. */
const layerVersion = 1;

/** The layer that a list of entries gave before, where the store has it still: its files are not read again. */
export async function readLayerRecord(
  store: BlobStore,
  name: string,
): Promise<{ digest: Digest; size: number } | undefined> {
  const text = await readFile(recordPath(store, name), 'utf8').catch(() => '');
  const [, digest = '', size = ''] = /^(sha256:[0-9a-f]{64}) ([0-9]+)\n$/.exec(text) ?? [];
  if (!isDigest(digest) || (await store.size(digest)) !== Number(size)) return undefined;
  return { digest, size: Number(size) };
}

export async function writeLayerRecord(
  store: BlobStore,
  name: string,
  { digest, size }: { readonly digest: Digest; readonly size: number },
): Promise<void> {
  await writeRecord(recordPath(store, name), `${digest} ${size}\n`);
}

/** Whole or not at all, but not waited for until the disk has it: a reader takes what is damaged for absent. */
export async function writeRecord(path: string, text: string): Promise<void> {
  const partial = `${path}.${randomBytes(6).toString('hex')}`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(partial, text);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

function recordPath({ folder }: BlobStore, name: string): string {
  return join(folder, 'derived', `layer-${layerVersion}`, name.slice(0, 2), name);
}
