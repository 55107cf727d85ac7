import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { assembleIndex } from '../assemble-index.ts';
import { readImageLayout, readLayout } from '../layout.ts';
import { makeImage } from '../make.ts';
import type { Architecture } from '../platform.ts';
import type { BlobStore } from '../store.ts';
import { testFolder } from '../testing/folder.ts';
import { startRegistry } from '../testing/local-registry.ts';
import { pullImage } from './pull.ts';
import { pushImage } from './push.ts';

const execute = promisify(execFile);
const transport = { plainHttp: true, credentials: 'anonymous' } as const;

async function single(store: BlobStore, folder: string, architecture: Architecture, content = 'x') {
  const { layout } = await makeImage({
    store,
    output: join(folder, `${architecture}-${content}.oci`),
    packages: [],
    files: [{ destination: '/arch', content: `${architecture} ${content}` }],
    config: { entrypoint: ['/arch'] },
    architecture,
  });
  return layout;
}

async function indexed(store: BlobStore, folder: string, content = 'x') {
  const images = [await single(store, folder, 'arm64', content), await single(store, folder, 'amd64', content)];
  return assembleIndex({ store, output: join(folder, `index-${content}.oci`), images });
}

test('an index has the same bytes whatever the order, and is what the specification says', async () => {
  const { store } = await startRegistry();
  const folder = await testFolder();
  const first = await indexed(store, folder);
  const images = [await single(store, folder, 'amd64'), await single(store, folder, 'arm64')];
  const second = await assembleIndex({ store, output: join(folder, 'other.oci'), images });
  expect(second.digest).toBe(first.digest);
  expect(second.tag).toBe(first.tag);
  expect(JSON.parse(first.indexBytes!.toString())).toEqual({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      expect.objectContaining({ platform: { architecture: 'amd64', os: 'linux' } }),
      expect.objectContaining({ platform: { architecture: 'arm64', os: 'linux', variant: 'v8' } }),
    ],
  });
  expect((await readImageLayout(first.layout, 'arm64')).configuration.architecture).toBe('arm64');
  await expect(
    assembleIndex({ store, output: join(folder, 'no.oci'), images: [images[0]!, images[0]!] }),
  ).rejects.toMatchObject({
    code: 'image/bad-layout',
  });
});

test('an index is pushed with all its images, and pulled whole or for one architecture', async () => {
  const { host, store, seen } = await startRegistry();
  const folder = await testFolder();
  const index = await indexed(store, folder);
  const reference = `${host}/bank/multi:${index.tag}`;
  const pushed = await pushImage({ layout: index.layout, reference, transport });
  expect(pushed.digest).toBe(index.digest);
  const order = seen.filter((line) => line.startsWith('PUT') && line.includes('/manifests/'));
  expect(order.at(-1)).toContain(index.tag);
  expect(order).toHaveLength(3);
  expect((await pushImage({ layout: index.layout, reference, transport })).sentBytes).toBe(0);
  const request = { reference, store, transport };
  const whole = join(folder, 'whole.oci');
  await pullImage({ ...request, output: whole, whole: true });
  expect((await readLayout(whole)).digest).toBe(index.digest);
  const arm = await pullImage({ ...request, output: join(folder, 'arm.oci'), architecture: 'arm64' });
  expect(arm.digest).toBe(index.images.find(({ configuration }) => configuration.architecture === 'arm64')?.digest);
  await expect(
    pullImage({ ...request, output: join(folder, 's390x.oci'), architecture: 's390x' }),
  ).rejects.toMatchObject({
    code: 'image/bad-layout',
  });
});

test('skopeo reads and copies an index from the registry', async () => {
  const { host, store } = await startRegistry();
  const folder = await testFolder();
  const index = await indexed(store, folder);
  await pushImage({ layout: index.layout, reference: `${host}/bank/multi:${index.tag}`, transport });
  const name = `docker://${host}/bank/multi:${index.tag}`;
  const { stdout } = await execute('skopeo', ['inspect', '--tls-verify=false', '--raw', name]);
  expect(stdout).toBe(index.indexBytes!.toString());
  const policy = ['--insecure-policy'];
  const target = join(folder, 'copied');
  await execute('skopeo', [
    ...policy,
    'copy',
    '--all',
    '--preserve-digests',
    '--src-tls-verify=false',
    name,
    `oci:${target}:x`,
  ]);
  expect((await readLayout(target)).digest).toBe(index.digest);
});

test('a tag that names a content is never moved to another one, and nothing is pushed', async () => {
  const { host, store, seen } = await startRegistry();
  const folder = await testFolder();
  const [one, two] = [
    await readLayout(await single(store, folder, 'amd64', '1')),
    await readLayout(await single(store, folder, 'amd64', '2')),
  ];
  // Somebody has put another content under the tag that the second one's content has.
  const tag = `${host}/bank/x:${two.tag}`;
  await pushImage({ layout: one.layout, reference: tag, transport });
  const before = seen.length;
  await expect(pushImage({ layout: two.layout, reference: tag, transport })).rejects.toMatchObject({
    code: 'image/tag-clash',
    notes: [`there: ${one.digest}`, `here:  ${two.digest}`],
  });
  expect(seen.slice(before).filter((line) => !/^(GET|HEAD)/.test(line))).toEqual([]);
  // The long tag tells them apart; a tag that is no name for the content moves as tags do.
  await pushImage({ layout: two.layout, reference: `${host}/bank/x:${two.content.slice(7)}`, transport });
  await pushImage({ layout: one.layout, reference: `${host}/bank/x:stable`, transport });
  await pushImage({ layout: two.layout, reference: `${host}/bank/x:stable`, transport });
  // An index where an image is expected is another content too.
  const index = await indexed(store, folder);
  await pushImage({ layout: one.layout, reference: `${host}/bank/y:${index.tag}`, transport });
  await expect(
    pushImage({ layout: index.layout, reference: `${host}/bank/y:${index.tag}`, transport }),
  ).rejects.toMatchObject({
    code: 'image/tag-clash',
  });
});

test.each([
  ['a registry that knows If-None-Match refuses the later one', true],
  ['of any other the earlier one hears that its tag has moved', false],
])('two contents that get one new tag at once: %s', async (_, knows) => {
  const folder = await testFolder();
  let other: (() => Promise<void>) | undefined;
  let isSet = false;
  const { host, base, store } = await startRegistry({}, (inner) => (request, response) => {
    const ours = request.headers['user-agent'] === 'banksman' && request.url?.includes('/manifests/') === true;
    const sets = ours && request.headers['if-none-match'] === '*';
    if (!knows) delete request.headers['if-none-match'];
    // The other one comes just before the tag is set, or just after.
    const now = ours && (knows ? sets : isSet) ? other : undefined;
    isSet ||= sets;
    if (now === undefined) return inner(request, response);
    other = undefined;
    void now().then(() => inner(request, response));
  });
  const one = await readLayout(await single(store, folder, 'amd64', '1'));
  const two = await readLayout(await single(store, folder, 'amd64', '2'));
  await pushImage({ layout: one.layout, reference: `${host}/bank/x:other`, transport });
  const { manifestBytes, manifest } = one.images[0]!;
  other = async () => {
    const answer = await fetch(`${base}/v2/bank/x/manifests/${two.tag}`, {
      method: 'PUT',
      body: new Uint8Array(manifestBytes),
      headers: { 'content-type': manifest.mediaType },
    });
    expect(answer.status).toBe(201);
  };
  const pushed = pushImage({ layout: two.layout, reference: `${host}/bank/x:${two.tag}`, transport });
  await expect(pushed).rejects.toMatchObject({
    code: 'image/tag-clash',
    notes: [`there: ${one.digest}`, `here:  ${two.digest}`],
  });
});

test('many who push one new image at once all succeed', async () => {
  const folder = await testFolder();
  const { host, store } = await startRegistry();
  const image = await readLayout(await single(store, folder, 'amd64', '1'));
  const reference = `${host}/bank/x:${image.tag}`;
  const push = () => pushImage({ layout: image.layout, reference, transport });
  const pushed = await Promise.all(Array.from({ length: 8 }, push));
  expect(new Set(pushed.map(({ digest }) => digest))).toEqual(new Set([image.digest]));
});
