import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Digest, digestOf, hexOf } from './digest.ts';
import { openBlobStore } from './store.ts';
import { claimTag } from './tags.ts';
import { testFolder } from './testing/folder.ts';

test('a tag names one content for good, also for two who come at once', async () => {
  const store = await openBlobStore(join(await testFolder(), 'blobs'));
  const one = digestOf('one');
  const tag = hexOf(one).slice(0, 12);
  await Promise.all([claimTag(store, tag, one), claimTag(store, tag, one)]);
  await claimTag(store, tag, one);
  const other: Digest = `sha256:${tag}${'0'.repeat(52)}`;
  await expect(claimTag(store, tag, other)).rejects.toMatchObject({
    code: 'image/tag-clash',
    next: expect.stringContaining('tags: long'),
  });
  await claimTag(store, hexOf(other), other);
  const race = await Promise.allSettled([claimTag(store, 'a'.repeat(12), one), claimTag(store, 'a'.repeat(12), other)]);
  expect(race.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect((await readdir(join(store.folder, 'tags'))).filter((name) => name.startsWith('.'))).toEqual([]);
});
