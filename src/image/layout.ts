import { randomBytes } from 'node:crypto';
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { canonicalJson } from './canonical.ts';
import { type Digest, digestOf, hexOf } from './digest.ts';
import { ImageFault } from './fault.ts';
import {
  checkSize,
  chooseManifest,
  type Descriptor,
  type ImageConfiguration,
  type Index,
  type Manifest,
  maximumManifest,
  mediaTypes,
  parseConfiguration,
  parseManifest,
} from './manifest.ts';
import { indexContent, tagFor } from './names.ts';
import { type Architecture, machineArchitecture } from './platform.ts';
import type { BlobStore } from './store.ts';

/** An image on this machine: an OCI image layout folder. image-spec image-layout.md. */
export interface AssembledImage {
  readonly layout: string;
  /** Digest of the manifest. */
  readonly digest: Digest;
  /** First 12 hex digits of the configuration's SHA-256. */
  readonly tag: string;
  readonly configDigest: Digest;
  /** From the lowest to the topmost; sizes in bytes. */
  readonly layers: readonly { readonly digest: Digest; readonly size: number; readonly mediaType: string }[];
}

/** The same with what stands in its documents. */
export interface LayoutContent extends AssembledImage {
  readonly manifestBytes: Buffer;
  readonly manifest: Manifest;
  readonly configuration: ImageConfiguration;
}

/** Where a layout keeps a blob. */
export function layoutBlob(layout: string, digest: Digest): string {
  return join(layout, 'blobs', 'sha256', hexOf(digest));
}

/**
 * Writes a layout whose blobs are hard links into the store. The folder appears whole.
 *
 * @param manifest bytes of a manifest all of whose blobs, itself included, are in the store
 */
export async function writeLayout(
  store: BlobStore,
  manifest: Descriptor,
  blobs: readonly Digest[],
  output: string,
): Promise<void> {
  const partial = `${output}.${randomBytes(6).toString('hex')}`;
  const former = `${partial}.former`;
  try {
    await mkdir(join(partial, 'blobs', 'sha256'), { recursive: true });
    for (const digest of new Set([manifest.digest, ...blobs])) await store.linkTo(digest, layoutBlob(partial, digest));
    await writeFile(join(partial, 'oci-layout'), canonicalJson({ imageLayoutVersion: '1.0.0' }));
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [manifest] };
    await writeFile(join(partial, 'index.json'), canonicalJson(index));
    await mkdir(dirname(output), { recursive: true });
    // rename(2) does not replace a folder that is not empty.
    await rename(output, former).catch(ignoreAbsent);
    await rename(partial, output);
  } finally {
    await rm(former, { recursive: true, force: true });
    await rm(partial, { recursive: true, force: true });
  }
}

/** What a layout folder holds: one image, or an index of several. */
export interface LayoutImages {
  readonly layout: string;
  /** Digest of the index, or of the manifest where there is one image. */
  readonly digest: Digest;
  readonly mediaType: string;
  /** What the tag is made from: the configuration's digest, or for an index that of the configurations together. */
  readonly content: Digest;
  /** First 12 hex digits of `content`. */
  readonly tag: string;
  /** In the order of the index. */
  readonly images: readonly LayoutContent[];
  /** The index itself; undefined where there is one image. */
  readonly indexBytes?: Buffer;
}

/**
 * Reads a layout folder with all its images, ours or another tool's. Entries of an index that are no images (attestations, say)
 * are left out.
 *
 * @throws ImageFault image/bad-layout, image/wrong-content
 */
export async function readLayout(layout: string): Promise<LayoutImages> {
  const manifests = await topManifests(layout);
  const only = onlyOne(manifests);
  const top = only && (await readDocument(layout, only));
  if (only !== undefined && top !== undefined && 'manifest' in top) {
    const image = await readContent(layout, only.digest, top.bytes, top.manifest);
    return { ...image, mediaType: top.manifest.mediaType, content: image.configDigest, images: [image] };
  }
  const listed = top !== undefined && 'index' in top ? top.index.manifests : manifests;
  const images: LayoutContent[] = [];
  for (const descriptor of listed) {
    if (descriptor.platform?.os === 'unknown' || descriptor.artifactType !== undefined) continue;
    const document = await readDocument(layout, descriptor);
    if ('index' in document) throw new ImageFault('image/bad-layout', `${layout} has an index of indexes`);
    images.push(await readContent(layout, descriptor.digest, document.bytes, document.manifest));
  }
  const content = indexContent(images.map(({ configDigest }) => configDigest));
  const bytes = top?.bytes ?? (await readSmall(join(layout, 'index.json')));
  return {
    layout,
    digest: only?.digest ?? digestOf(bytes),
    mediaType: mediaTypes.index,
    content,
    tag: tagFor(content),
    images,
    indexBytes: bytes,
  };
}

/** Reads the image of a layout folder that runs on an architecture. @throws ImageFault image/bad-layout, image/wrong-content */
export async function readImageLayout(
  layout: string,
  architecture: Architecture = machineArchitecture(),
): Promise<LayoutContent> {
  const manifests = await topManifests(layout);
  let chosen = onlyOne(manifests) ?? chooseManifest({ mediaType: mediaTypes.index, manifests }, architecture, layout);
  let document = await readDocument(layout, chosen);
  if ('index' in document) {
    chosen = chooseManifest(document.index, architecture, layout);
    document = await readDocument(layout, chosen);
    if ('index' in document) throw new ImageFault('image/bad-layout', `${layout} has an index of indexes`);
  }
  return readContent(layout, chosen.digest, document.bytes, document.manifest);
}

async function topManifests(layout: string): Promise<readonly Descriptor[]> {
  if (!existsSync(join(layout, 'oci-layout'))) {
    throw new ImageFault('image/bad-layout', `${layout} is not an image layout: it has no file oci-layout`);
  }
  const parsed = parseManifest(await readSmall(join(layout, 'index.json')), undefined, `${layout}/index.json`);
  if (!('index' in parsed)) throw new ImageFault('image/bad-layout', `${layout}/index.json is not an index`);
  return parsed.index.manifests;
}

type Document = { readonly bytes: Buffer } & ({ readonly manifest: Manifest } | { readonly index: Index });

async function readDocument(layout: string, descriptor: Descriptor): Promise<Document> {
  const { digest, mediaType } = descriptor;
  const bytes = await readBlob(layout, descriptor);
  return { bytes, ...parseManifest(bytes, mediaType, `the manifest ${digest} in ${layout}`) };
}

async function readContent(
  layout: string,
  digest: Digest,
  manifestBytes: Buffer,
  manifest: Manifest,
): Promise<LayoutContent> {
  const configuration = parseConfiguration(await readBlob(layout, manifest.config), `the configuration in ${layout}`);
  checkSums(manifest, configuration, layout);
  for (const layer of manifest.layers) checkLayerFile(layout, layer);
  return {
    layout,
    digest,
    tag: tagFor(manifest.config.digest),
    configDigest: manifest.config.digest,
    layers: manifest.layers.map(({ digest: layer, size, mediaType }) => ({ digest: layer, size, mediaType })),
    manifestBytes,
    manifest,
    configuration,
  };
}

/** @throws ImageFault image/bad-layout where the layers are not those that the configuration is about */
export function checkSums({ layers }: Manifest, { diffIds }: ImageConfiguration, what: string): void {
  if (diffIds.length === layers.length) return;
  throw new ImageFault('image/bad-layout', `${what} has ${layers.length} layers and ${diffIds.length} sums of them`);
}

/** A pipe or a device would be read for ever. One that is not there is told of by whoever needs it. */
function checkLayerFile(layout: string, { digest, size }: Descriptor): void {
  const path = layoutBlob(layout, digest);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isFile()) throw new ImageFault('image/bad-layout', `${path} is not a file`);
  if (found.size !== size)
    throw new ImageFault('image/wrong-content', `${path} has ${found.size} bytes, and its manifest says ${size}`);
}

function onlyOne<T>(list: readonly T[]): T | undefined {
  return list.length === 1 ? list[0] : undefined;
}

async function readBlob(layout: string, descriptor: Descriptor): Promise<Buffer> {
  const { digest } = descriptor;
  const bytes = await readSmall(layoutBlob(layout, digest));
  if (digestOf(bytes) !== digest)
    throw new ImageFault('image/wrong-content', `${layoutBlob(layout, digest)} is damaged: its bytes have another sum`);
  checkSize(descriptor, bytes, layoutBlob(layout, digest));
  return bytes;
}

/** Read at once: of a hundred images that are looked at, waiting for a thread each time would take longest. */
async function readSmall(path: string): Promise<Buffer> {
  let file: number;
  try {
    // Not to wait for whoever writes to a pipe.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    throw new ImageFault('image/bad-layout', `${path} is missing`);
  }
  try {
    const found = fstatSync(file);
    if (!found.isFile()) throw new ImageFault('image/bad-layout', `${path} is not a file`);
    const { size } = found;
    if (size > maximumManifest)
      throw new ImageFault('image/too-large', `${path} has ${size} bytes, ${maximumManifest} are the limit`);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
