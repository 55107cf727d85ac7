import type { Progress } from '../../progress/index.ts';
import { silent } from '../../progress/index.ts';
import type { Digest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { type AssembledImage, checkSums, readLayout, writeLayout } from '../layout.ts';
import {
  checkSize,
  chooseManifest,
  type Descriptor,
  type Manifest,
  parseConfiguration,
  parseManifest,
} from '../manifest.ts';
import { parseReference } from '../names.ts';
import { type Architecture, machineArchitecture } from '../platform.ts';
import type { BlobStore } from '../store.ts';
import { fromEndpoints, type RegistryAccessOptions } from './endpoints.ts';
import { inParallel } from './in-parallel.ts';
import { nameIn } from './push.ts';
import type { FoundManifest, RemoteRepository } from './remote.ts';

export interface PullRequest extends RegistryAccessOptions {
  readonly reference: string;
  readonly store: BlobStore;
  /** Layout folder to write; replaced as a whole. */
  readonly output: string;
  /** Which image of an index; this machine's unless told. */
  readonly architecture?: Architecture | undefined;
  /** Of an index all images, and the index itself. */
  readonly whole?: boolean | undefined;
  readonly progress?: Progress | undefined;
}

/** Blobs on their way at a time. */
const atOnce = 4;

/**
 * Brings an image into a layout folder whose blobs are in the store; blobs that the store has are not fetched.
 *
 * @throws ImageFault image/registry-..., image/wrong-content, image/bad-layout
 */
export async function pullImage(request: PullRequest): Promise<AssembledImage> {
  const reference = parseReference(request.reference);
  const task = (request.progress ?? silent).begin(`pull ${reference.repository}`);
  try {
    const pulled = await fromEndpoints(reference, request, (remote) => pullFrom(remote, nameIn(reference), request));
    task.done();
    return pulled;
  } catch (error) {
    task.fail();
    throw error;
  }
}

async function pullFrom(remote: RemoteRepository, name: string, request: PullRequest): Promise<AssembledImage> {
  const { store, architecture = machineArchitecture(), output } = request;
  const found = await remote.manifest(name);
  const parsed = parseManifest(found.bytes, found.mediaType, request.reference);
  if ('manifest' in parsed) {
    const { descriptor, blobs } = await bring(remote, request, found, parsed.manifest, true);
    await writeLayout(store, { ...descriptor, platform: { architecture, os: 'linux' } }, blobs, output);
  } else if (request.whole) {
    const images = [];
    for (const each of parsed.index.manifests) {
      if (each.platform?.os !== 'unknown') images.push(await one(remote, request, each));
    }
    const index = await store.put(found.bytes, { digest: found.digest });
    const blobs = images.flatMap(({ descriptor, blobs: own }) => [descriptor.digest, ...own]);
    await writeLayout(store, { mediaType: parsed.index.mediaType, ...index }, blobs, output);
  } else {
    const chosen = chooseManifest(parsed.index, architecture, request.reference);
    const { descriptor, blobs } = await one(remote, request, chosen);
    await writeLayout(store, { ...descriptor, platform: { architecture, os: 'linux' } }, blobs, output);
  }
  const { images } = await readLayout(output);
  const first = images.find(({ configuration }) => configuration.architecture === architecture) ?? images[0];
  if (first === undefined) throw new ImageFault('image/bad-layout', `${request.reference} is an index without images`);
  const { layout, digest, tag, configDigest, layers } = first;
  return { layout, digest, tag, configDigest, layers };
}

async function one(remote: RemoteRepository, request: PullRequest, descriptor: Descriptor): Promise<Brought> {
  const found = await remote.manifest(descriptor.digest);
  checkSize(descriptor, found.bytes, `${request.reference}@${descriptor.digest}`);
  const parsed = parseManifest(found.bytes, found.mediaType, request.reference);
  if ('manifest' in parsed)
    return bring(remote, request, found, parsed.manifest, descriptor.artifactType === undefined);
  throw new ImageFault('image/bad-layout', `${request.reference} is an index of indexes`);
}

interface Brought {
  readonly descriptor: Descriptor;
  readonly blobs: readonly Digest[];
}

/**
 * All that a manifest names, into the store.
 *
 * @param isImage it is seen that it is a whole one before anything of it is written elsewhere
 */
async function bring(
  remote: RemoteRepository,
  { store, reference }: PullRequest,
  found: FoundManifest,
  manifest: Manifest,
  isImage: boolean,
): Promise<Brought> {
  const blobs = [manifest.config, ...manifest.layers];
  await inParallel(blobs, atOnce, async ({ digest, size }) => {
    if ((await store.size(digest)) === size) return;
    const expected = { digest, size, sourceChecks: true };
    await store.put(remote.blob(digest, size), expected).catch((error) => {
      // Damaged on its way, or at a place that serves damaged bytes: one more try tells which.
      if (!(error instanceof ImageFault) || error.code !== 'image/wrong-content') throw error;
      return store.put(remote.blob(digest, size), expected);
    });
  });
  if (isImage) {
    const what = `the configuration of ${reference}`;
    checkSums(manifest, parseConfiguration(await store.read(manifest.config.digest), what), reference);
  }
  const stored = await store.put(found.bytes, { digest: found.digest });
  return { descriptor: { mediaType: manifest.mediaType, ...stored }, blobs: blobs.map(({ digest }) => digest) };
}
