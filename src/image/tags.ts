import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clash } from './client/clash.ts';
import { type Digest, hexOf } from './digest.ts';
import type { BlobStore } from './store.ts';

/**
 * Notes in the store which content a tag names; a name is given once. 12 hex digits are enough for millions of images, and
 * still two contents may share them one day.
 *
 * @throws ImageFault image/tag-clash where the tag names another content already
 */
export async function claimTag(store: BlobStore, tag: string, content: Digest): Promise<void> {
  const folder = join(store.folder, 'tags');
  const path = join(folder, tag);
  let known = read(path);
  if (known === undefined) {
    const partial = join(folder, `.${randomBytes(6).toString('hex')}`);
    await mkdir(folder, { recursive: true });
    try {
      await writeFile(partial, hexOf(content));
      // link(2) appears whole and replaces nothing: of two writers one is first.
      await link(partial, path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    } finally {
      await rm(partial, { force: true });
    }
    known = read(path);
  }
  if (known !== undefined && known !== hexOf(content)) throw clash('this machine', tag, `sha256:${known}`, content);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
