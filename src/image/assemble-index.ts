import { refName } from './assemble.ts';
import { canonicalJson } from './canonical.ts';
import type { Digest } from './digest.ts';
import { ImageFault } from './fault.ts';
import { type LayoutContent, type LayoutImages, layoutBlob, readLayout, writeLayout } from './layout.ts';
import { type Descriptor, mediaTypes } from './manifest.ts';
import { indexContent, tagFor } from './names.ts';
import type { BlobStore } from './store.ts';

/**
 * One index of images for several architectures. image-spec image-index.md. The order is that of the architectures' names,
 * whatever the order they are given in.
 *
 * @param request.images layout folders, each with one image
 * @throws ImageFault image/bad-layout where two are for one architecture
 */
export async function assembleIndex(request: {
  readonly store: BlobStore;
  readonly output: string;
  readonly images: readonly string[];
}): Promise<LayoutImages> {
  const { store, output } = request;
  const images: LayoutContent[] = [];
  for (const layout of request.images) images.push(...(await readLayout(layout)).images);
  images.sort((a, b) => (platformName(a) < platformName(b) ? -1 : 1));
  const twice = images.find((image, index) => index > 0 && platformName(image) === platformName(images[index - 1]!));
  if (twice !== undefined)
    throw new ImageFault('image/bad-layout', `two images of an index are for ${platformName(twice)}`);
  const manifests: Descriptor[] = [];
  const blobs: Digest[] = [];
  for (const image of images) {
    const { digest, layout, layers, manifestBytes, manifest, configDigest } = image;
    for (const each of layers) await store.putFile(layoutBlob(layout, each.digest), each);
    for (const each of [digest, configDigest]) await store.putFile(layoutBlob(layout, each), { digest: each });
    manifests.push({ mediaType: manifest.mediaType, digest, size: manifestBytes.length, platform: platformOf(image) });
    blobs.push(digest, configDigest, ...layers.map((each) => each.digest));
  }
  const stored = await store.put(canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }));
  const annotations = { [refName]: tagFor(indexContent(images.map(({ configDigest }) => configDigest))) };
  await writeLayout(store, { mediaType: mediaTypes.index, ...stored, annotations }, blobs, output);
  return readLayout(output);
}

function platformOf({
  configuration: { architecture, os, variant },
}: LayoutContent): NonNullable<Descriptor['platform']> {
  return { architecture, os, ...(variant !== undefined && { variant }) };
}

function platformName({ configuration: { architecture, os } }: LayoutContent): string {
  return `${os}/${architecture}`;
}
