import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { digestOf } from './digest.ts';
import { openBlobStore } from './store.ts';
import { testFolder } from './testing/folder.ts';

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

test('what is put under a digest is what is read', async () => {
  const store = await openBlobStore(await testFolder());
  const stored = await store.put(pieces('hello ', 'world'));
  expect(stored).toEqual({ digest: digestOf('hello world'), size: 11 });
  expect((await store.read(stored.digest)).toString()).toBe('hello world');
  expect((await stat(store.path(stored.digest))).mode & 0o777).toBe(0o444);
  const part: Buffer[] = [];
  for await (const piece of await store.open(stored.digest, { start: 6, end: 8 })) part.push(piece);
  expect(Buffer.concat(part).toString()).toBe('wor');
});

test('content with another sum or size than expected is refused and leaves nothing', async () => {
  const folder = await testFolder();
  const store = await openBlobStore(folder);
  await expect(store.put('a', { digest: digestOf('b') })).rejects.toMatchObject({ code: 'image/wrong-content' });
  await expect(store.put('abc', { size: 2 })).rejects.toMatchObject({ code: 'image/wrong-content' });
  await expect(store.put('abc', { size: 4 })).rejects.toMatchObject({ code: 'image/wrong-content' });
  const broken = async function* () {
    yield Buffer.from('a');
    throw new Error('the line broke');
  };
  await expect(store.put(broken())).rejects.toThrow('the line broke');
  expect(await readdir(join(folder, 'sha256'))).toEqual([]);
  expect(await readdir(join(folder, 'tmp'))).toEqual([]);
});

test('a blob that was damaged on disk is not handed out as whole', async () => {
  const store = await openBlobStore(await testFolder());
  const { digest } = await store.put('precious');
  await chmod(store.path(digest), 0o644);
  await writeFile(store.path(digest), 'preciouz');
  await expect(store.read(digest)).rejects.toMatchObject({ code: 'image/wrong-content' });
  const readAll = async () => {
    for await (const _ of await store.open(digest)) {
      // Read to the end, where the sum is compared.
    }
  };
  await expect(readAll()).rejects.toMatchObject({ code: 'image/wrong-content' });
});

test('a file is taken in by link, and given out by link', async () => {
  const folder = await testFolder();
  const store = await openBlobStore(join(folder, 'store'));
  await writeFile(join(folder, 'layer.tar'), 'layer');
  const { digest } = await store.putFile(join(folder, 'layer.tar'));
  expect((await stat(store.path(digest))).ino).toBe((await stat(join(folder, 'layer.tar'))).ino);
  await store.linkTo(digest, join(folder, 'out', 'copy'));
  await store.linkTo(digest, join(folder, 'out', 'copy'));
  expect(await readFile(join(folder, 'out', 'copy'), 'utf8')).toBe('layer');
  expect(await readdir(join(folder, 'out'))).toEqual(['copy']);
  await expect(store.linkTo(digestOf('other'), join(folder, 'x'))).rejects.toMatchObject({
    code: 'image/missing-blob',
  });
  await expect(store.putFile(join(folder, 'layer.tar'), { digest: digestOf('other') })).rejects.toMatchObject({
    code: 'image/wrong-content',
  });
});

test('a link is copied and a pipe is refused: nothing outside is made read-only, or waited for', async () => {
  const folder = await testFolder();
  const store = await openBlobStore(join(folder, 'store'));
  await writeFile(join(folder, 'mine'), 'mine');
  await chmod(join(folder, 'mine'), 0o644);
  await symlink(join(folder, 'mine'), join(folder, 'link'));
  const { digest } = await store.putFile(join(folder, 'link'));
  expect((await lstat(store.path(digest))).isFile()).toBe(true);
  expect((await stat(join(folder, 'mine'))).mode & 0o777).toBe(0o644);
  await writeFile(join(folder, 'mine'), 'changed');
  expect((await store.read(digest)).toString()).toBe('mine');
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  await symlink('/dev/zero', join(folder, 'zero'));
  for (const name of ['pipe', 'zero', 'store'])
    await expect(store.putFile(join(folder, name))).rejects.toMatchObject({ code: 'image/bad-file' });
  expect(await readdir(join(folder, 'store/tmp'))).toEqual([]);
});

test('many writers of one blob leave one whole blob', async () => {
  const folder = await testFolder();
  const text = 'x'.repeat(100_000);
  await Promise.all(
    Array.from({ length: 20 }, async () =>
      (await openBlobStore(folder)).put(pieces(text.slice(0, 5000), text.slice(5000))),
    ),
  );
  expect(await readdir(join(folder, 'sha256'))).toHaveLength(1);
  expect(await readdir(join(folder, 'tmp'))).toEqual([]);
  expect((await (await openBlobStore(folder)).read(digestOf(text))).length).toBe(100_000);
});

test('kill -9 in the middle of a write leaves no blob, and what it leaves is cleared when it is old', async () => {
  const folder = await testFolder();
  const program = `
    import { openBlobStore } from ${JSON.stringify(new URL('./store.ts', import.meta.url).href)};
    const store = await openBlobStore(${JSON.stringify(folder)});
    await store.put((async function* () {
      for (;;) { yield Buffer.alloc(65536, 1); await new Promise((resolve) => setTimeout(resolve, 5)); }
    })());
  `;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const tmp = join(folder, 'tmp');
  await expect.poll(async () => (await readdir(tmp).catch(() => [])).length, { timeout: 25_000 }).toBe(1);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await openBlobStore(folder);
  // Young: it might belong to a living writer.
  expect(await readdir(tmp)).toHaveLength(1);
  expect(await readdir(join(folder, 'sha256'))).toEqual([]);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 25 * 3600 * 1000 });
  onTestFinished(() => void vi.useRealTimers());
  await openBlobStore(folder);
  expect(await readdir(tmp)).toEqual([]);
});

test('what a source has checked is not hashed again, and what came by another way is not fresh', async () => {
  const folder = await testFolder();
  const store = await openBlobStore(folder);
  const digest = digestOf('checked');
  await store.put(pieces('che', 'cked'), { digest, size: 7, sourceChecks: true });
  expect((await store.read(digest)).toString()).toBe('checked');
  await expect(store.put('short', { digest: digestOf('x'), size: 9, sourceChecks: true })).rejects.toMatchObject({
    code: 'image/wrong-content',
  });
  const broken = async function* () {
    yield Buffer.from('a');
    throw new Error('its sum is another one');
  };
  await expect(store.put(broken(), { digest: digestOf('b'), sourceChecks: true })).rejects.toThrow('another one');
  expect(await store.size(digestOf('b'))).toBeUndefined();
  expect([store.isFresh(digest), store.isFresh(digestOf('b'))]).toEqual([true, false]);
  expect((await openBlobStore(folder)).isFresh(digest)).toBe(false);
});
