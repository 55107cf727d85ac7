import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from './canonical.ts';
import { type Digest, digestOf } from './digest.ts';
import { layoutBlob, readImageLayout, readLayout } from './layout.ts';
import { makeImage } from './make.ts';
import { mediaTypes } from './manifest.ts';
import { openBlobStore } from './store.ts';
import { fileEntry } from './tar/write.ts';
import { tarOf } from './testing/deb.ts';
import { testFolder } from './testing/folder.ts';

type Json = Record<string, unknown>;
const describeBytes = (mediaType: string, bytes: Uint8Array) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});

interface Parts {
  readonly config: Json;
  readonly manifest: Json;
  readonly index: Json;
}

/** A layout as somebody else wrote it, with whatever is changed. */
async function layoutWith(change: (parts: Parts) => Partial<Parts> = () => ({})): Promise<string> {
  const folder = join(await testFolder(), 'foreign.oci');
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
  const put = (bytes: Uint8Array) => writeFile(layoutBlob(folder, digestOf(bytes)), bytes);
  const layer = await tarOf([fileEntry('a', 'a')]);
  await put(layer);
  let parts: Parts = {
    config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digestOf(layer)] } },
    manifest: { schemaVersion: 2, mediaType: mediaTypes.manifest, layers: [describeBytes(mediaTypes.layer, layer)] },
    index: { schemaVersion: 2, mediaType: mediaTypes.index },
  };
  parts = { ...parts, ...change(parts) };
  const config = Buffer.from(canonicalJson(parts.config));
  await put(config);
  const manifest = Buffer.from(canonicalJson({ config: describeBytes(mediaTypes.config, config), ...parts.manifest }));
  await put(manifest);
  const platform = { architecture: 'amd64', os: 'linux' };
  const index = { manifests: [{ ...describeBytes(mediaTypes.manifest, manifest), platform }], ...parts.index };
  await writeFile(join(folder, 'index.json'), canonicalJson(index));
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return folder;
}

const layerOf = ({ manifest }: Parts) => (manifest.layers as [Json & { digest: Digest }])[0];

describe('a layout of others', () => {
  test('is read where it is right, its blobs links to files or files', async () => {
    const layout = await layoutWith();
    const { layers } = await readImageLayout(layout, 'amd64');
    const blob = layoutBlob(layout, layers[0]!.digest);
    execFileSync('mv', [blob, `${layout}/elsewhere`]);
    await symlink(`${layout}/elsewhere`, blob);
    expect((await readLayout(layout)).images).toHaveLength(1);
  });

  test.each<[string, (parts: Parts) => Partial<Parts>, string, RegExp]>([
    [
      'a layer of another size',
      (p) => ({ manifest: { ...p.manifest, layers: [{ ...layerOf(p), size: 1 }] } }),
      'image/wrong-content',
      /its manifest says 1$/,
    ],
    [
      'a negative size',
      (p) => ({ manifest: { ...p.manifest, layers: [{ ...layerOf(p), size: -1 }] } }),
      'image/bad-layout',
      /usable size/,
    ],
    [
      'a size beyond all numbers',
      (p) => ({ manifest: { ...p.manifest, layers: [{ ...layerOf(p), size: 1e300 }] } }),
      'image/bad-layout',
      /usable size/,
    ],
    [
      'a digest of another algorithm',
      (p) => ({ manifest: { ...p.manifest, layers: [{ ...layerOf(p), digest: `sha512:${'a'.repeat(128)}` }] } }),
      'image/bad-layout',
      /not understood/,
    ],
    [
      'a digest that is a path',
      (p) => ({ manifest: { ...p.manifest, layers: [{ ...layerOf(p), digest: 'sha256:../../../../etc/passwd' }] } }),
      'image/bad-layout',
      /not understood/,
    ],
    [
      'more layers than a kernel stacks',
      (p) => ({ manifest: { ...p.manifest, layers: Array.from({ length: 10_001 }, () => layerOf(p)) } }),
      'image/bad-layout',
      /more than 10000 layers/,
    ],
    [
      'another number of sums than of layers',
      (p) => ({ config: { ...p.config, rootfs: { diff_ids: [] } } }),
      'image/bad-layout',
      /1 layers and 0 sums/,
    ],
    [
      'a configuration of another size',
      (p) => ({
        manifest: {
          ...p.manifest,
          config: { ...describeBytes(mediaTypes.config, Buffer.from(canonicalJson(p.config))), size: 5 },
        },
      }),
      'image/wrong-content',
      /says 5$/,
    ],
    [
      'a manifest that calls itself an index',
      (p) => ({ manifest: { ...p.manifest, mediaType: mediaTypes.index } }),
      'image/bad-layout',
      /says that it is|both/,
    ],
    [
      'a media type that nobody knows',
      (p) => ({ manifest: { ...p.manifest, mediaType: 'text/html' } }),
      'image/bad-layout',
      /media type|says that it is/,
    ],
    [
      'an index that is a manifest, too',
      (p) => ({ index: { ...p.index, config: {}, layers: [] } }),
      'image/bad-layout',
      /both an index and a manifest/,
    ],
    ['no image for this machine', (p) => ({ config: { ...p.config, rootfs: null } }), 'image/bad-layout', /rootfs/],
  ])('with %s is refused', async (_, change, code, message) => {
    const layout = await layoutWith(change);
    const before = await readdir(join(layout, 'blobs/sha256'));
    const folder = await testFolder();
    const store = await openBlobStore(join(folder, 'store'));
    const made = makeImage({
      store,
      output: join(folder, 'image.oci'),
      base: layout,
      packages: [],
      config: {},
      architecture: 'amd64',
    });
    await expect(made).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await readdir(join(folder, 'store/sha256'))).toEqual([]);
    expect(await readdir(folder)).toEqual(['store']);
    expect(await readdir(join(layout, 'blobs/sha256'))).toEqual(before);
  });

  test.each(['layer', 'manifest', 'index'])(
    'whose %s is a pipe or a device is refused, and not waited for',
    async (what) => {
      const layout = await layoutWith();
      const { digest, layers } = await readImageLayout(layout, 'amd64');
      const path = {
        layer: layoutBlob(layout, layers[0]!.digest),
        manifest: layoutBlob(layout, digest),
        index: join(layout, 'index.json'),
      }[what]!;
      await rm(path);
      execFileSync('mkfifo', [path]);
      await expect(readLayout(layout)).rejects.toMatchObject({
        code: 'image/bad-layout',
        message: `${path} is not a file`,
      });
      await rm(path);
      await symlink('/dev/zero', path);
      await expect(readLayout(layout)).rejects.toMatchObject({ code: 'image/bad-layout' });
    },
  );

  test('whose index leads to an index is refused: no circle, no depth', async () => {
    const layout = await layoutWith();
    const inner = Buffer.from(canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] }));
    const outer = Buffer.from(
      canonicalJson({
        schemaVersion: 2,
        mediaType: mediaTypes.index,
        manifests: [describeBytes(mediaTypes.index, inner)],
      }),
    );
    for (const bytes of [inner, outer]) await writeFile(layoutBlob(layout, digestOf(bytes)), bytes);
    const index = {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [describeBytes(mediaTypes.index, outer)],
    };
    await chmod(join(layout, 'index.json'), 0o644);
    await writeFile(join(layout, 'index.json'), canonicalJson(index));
    await expect(readLayout(layout)).rejects.toMatchObject({ message: expect.stringContaining('index of indexes') });
  });
});
