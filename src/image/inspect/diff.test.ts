import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { assembleImage } from '../assemble.ts';
import { debianLayer } from '../debian/layer.ts';
import { digestOf, hexOf } from '../digest.ts';
import { readImageLayout } from '../layout.ts';
import { type MakeRequest, makeImage } from '../make.ts';
import { mediaTypes } from '../manifest.ts';
import { openBlobStore } from '../store.ts';
import { fileEntry, type LayerEntry } from '../tar/write.ts';
import { tarOf, writeDeb } from '../testing/deb.ts';
import { testFolder } from '../testing/folder.ts';
import { diffImages } from './diff.ts';
import { describeLayers } from './layers.ts';
import { installedPackages } from './packages.ts';

async function made(folder: string, name: string, request: Partial<MakeRequest>) {
  const store = await openBlobStore(join(folder, 'blobs'));
  const { layout } = await makeImage({
    store,
    output: join(folder, `${name}.oci`),
    packages: [],
    config: {},
    ...request,
  });
  return readImageLayout(layout);
}

/** An image of archives as they are. */
async function stacked(folder: string, name: string, ...archives: LayerEntry[][]) {
  const store = await openBlobStore(join(folder, 'blobs'));
  const layers = [];
  for (const entries of archives)
    layers.push({ ...(await store.put(await tarOf(entries))), createdBy: `layer ${layers.length}` });
  const { layout } = await assembleImage({ store, output: join(folder, `${name}.oci`), layers, config: {} });
  return readImageLayout(layout);
}

test('files added, removed and changed in content, mode, owner, link and kind are told, with their layer', async () => {
  const folder = await testFolder();
  const before = await made(folder, 'before', {
    users: { app: { uid: 1000 } },
    layers: [{ name: 'low', files: [{ destination: '/srv/low', content: 'same' }] }],
    files: [
      { destination: '/a/content', content: 'one' },
      { destination: '/a/mode', content: 'x' },
      { destination: '/a/owner', content: 'x' },
      { destination: '/a/gone', content: 'x' },
      { destination: '/a/kind', content: 'x' },
      { destination: '/a/same', content: 'x' },
    ],
    links: [{ path: '/a/link', target: 'content' }],
    config: { env: { A: '1', B: '2' }, entrypoint: ['/a/content'] },
  });
  const after = await made(folder, 'after', {
    users: { app: { uid: 1000 } },
    layers: [{ name: 'low', files: [{ destination: '/srv/low', content: 'same' }] }],
    files: [
      { destination: '/a/content', content: 'two' },
      { destination: '/a/mode', content: 'x', mode: 0o600 },
      { destination: '/a/owner', content: 'x', owner: 'app' },
      { destination: '/a/new', content: 'x' },
      { destination: '/a/same', content: 'x' },
    ],
    links: [{ path: '/a/link', target: 'same' }],
    folders: [{ path: '/a/kind' }],
    config: { env: { A: '1', B: '3' }, entrypoint: ['/a/content'], user: 'app' },
  });
  const { files, configuration, layers, packages, same } = await diffImages(before, after);
  expect(same).toBe(false);
  expect(
    files.map(({ path, change, aspects, before: was, after: is }) => [
      path,
      change,
      ...aspects,
      (is ?? was)?.layer.purpose,
    ]),
  ).toEqual([
    ['a/content', 'changed', 'content', 'files'],
    ['a/gone', 'removed', 'files'],
    ['a/kind', 'changed', 'kind', 'mode', 'files'],
    ['a/link', 'changed', 'link', 'files'],
    ['a/mode', 'changed', 'mode', 'files'],
    ['a/new', 'added', 'files'],
    ['a/owner', 'changed', 'owner', 'files'],
  ]);
  expect(configuration).toEqual([
    { field: 'Env.B', before: '2', after: '3' },
    { field: 'User', before: '65532:65532', after: '1000:1000' },
  ]);
  expect(layers.shared).toBe(2);
  expect([layers.removed, layers.added].map((list) => list.map(({ purpose }) => purpose))).toEqual([
    ['files'],
    ['files'],
  ]);
  expect(packages).toEqual([]);
  expect(await diffImages(after, after)).toMatchObject({ same: true, files: [], configuration: [] });
});

test('a file over one of a shared layer is changed, not new; whiteouts remove; layers divided otherwise change no file', async () => {
  const folder = await testFolder();
  const low = [fileEntry('d/a', 'a'), fileEntry('d/b', 'b'), fileEntry('e/c', 'c')];
  const plain = await stacked(folder, 'plain', low);
  const over = await stacked(folder, 'over', low, [fileEntry('d/a', 'other'), fileEntry('e/.wh.c', '')]);
  const told = ({ files }: Awaited<ReturnType<typeof diffImages>>) =>
    files.map(({ path, change }) => `${change} ${path}`);
  expect(told(await diffImages(plain, over))).toEqual(['changed d/a', 'removed e/c']);
  const opaque = await stacked(folder, 'opaque', low, [fileEntry('d/.wh..wh..opq', ''), fileEntry('d/b', 'b')]);
  expect(told(await diffImages(plain, opaque))).toEqual(['removed d/a']);
  const divided = await stacked(folder, 'divided', low.slice(0, 1), low.slice(1));
  expect(told(await diffImages(plain, divided))).toEqual([]);
  // The same two layers the other way round: the upper one counts.
  const [one, two] = [[fileEntry('x', '1')], [fileEntry('x', '2')]];
  expect(told(await diffImages(await stacked(folder, '12', one, two), await stacked(folder, '21', two, one)))).toEqual([
    'changed x',
  ]);
});

test('which Debian packages lie in an image, by its layers or by a whole status file', async () => {
  const folder = await testFolder();
  const layers = [];
  for (const [name, version, fields] of [
    ['liba', '1.0-1', ['Source: a-source (1:1.0-1)', 'Homepage: https://a.example']],
    ['libb', '2.0', []],
  ] as const) {
    const deb = join(folder, `${name}.deb`);
    await writeDeb(deb, {
      name,
      version,
      fields,
      entries: [fileEntry(`usr/share/doc/${name}/copyright`, `licence of ${name}`)],
    });
    const { path } = await debianLayer(deb, join(folder, `${name}.tar`));
    layers.push({ path, createdBy: `debian ${name} ${version}` });
  }
  const image = await made(folder, 'image', { packages: layers });
  expect(await installedPackages(image, { copyrights: true })).toEqual([
    {
      name: 'liba',
      version: '1.0-1',
      architecture: 'amd64',
      source: 'a-source',
      sourceVersion: '1:1.0-1',
      maintainer: 'nobody <nobody@example.org>',
      homepage: 'https://a.example',
      layer: image.layers[0]?.digest,
      copyright: 'licence of liba',
    },
    expect.objectContaining({ name: 'libb', source: 'libb', sourceVersion: '2.0', copyright: 'licence of libb' }),
  ]);
  const status = (text: string) => [fileEntry('var/lib/dpkg/status', text)];
  const installed = 'Package: x\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n';
  const removed = 'Package: y\nStatus: deinstall ok config-files\nVersion: 1\n';
  const other = await stacked(
    folder,
    'other',
    status(`${installed}\n${installed.replace('x', 'z')}\n${removed}`),
    status(installed),
  );
  expect((await installedPackages(other)).map(({ name }) => name)).toEqual(['x']);
  expect((await diffImages(image, other)).packages).toContainEqual({ name: 'liba', before: '1.0-1' });
});

test('compressed layers are read, and the history is not taken for that of other layers', async () => {
  const folder = await testFolder();
  const archive = await tarOf([fileEntry('x', 'x')]);
  const store = await openBlobStore(join(folder, 'blobs'));
  const layer = { mediaType: mediaTypes.layerGzip, ...(await store.put(gzipSync(archive))) };
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Env: null },
    rootfs: { type: 'layers', diff_ids: [digestOf(archive)] },
    history: [{ created_by: 'ENV x', empty_layer: true }, { created_by: 'COPY x' }],
  });
  const stored = await store.put(config);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, ...stored },
    layers: [layer],
  });
  const layout = join(folder, 'gzip.oci');
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
  for (const blob of [layer.digest, stored.digest]) await store.linkTo(blob, join(layout, 'blobs/sha256', hexOf(blob)));
  await writeFile(join(layout, 'blobs/sha256', hexOf(digestOf(manifest))), manifest);
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const descriptor = { mediaType: mediaTypes.manifest, digest: digestOf(manifest), size: manifest.length };
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
  const compressed = await readImageLayout(layout, 'amd64');
  expect(describeLayers(compressed).map(({ purpose }) => purpose)).toEqual(['COPY x']);
  const plain = await stacked(folder, 'plain', [fileEntry('x', 'x')]);
  expect(await diffImages(compressed, plain)).toMatchObject({
    files: [],
    layers: { shared: 1, removed: [], added: [] },
  });
});
