import type { Progress } from '../../progress/index.ts';
import { silent } from '../../progress/index.ts';
import { ImageFault } from '../fault.ts';
import { type AssembledImage, readImageLayout, writeLayout } from '../layout.ts';
import { chooseManifest, parseManifest } from '../manifest.ts';
import { parseReference } from '../names.ts';
import { type Architecture, machineArchitecture } from '../platform.ts';
import type { BlobStore } from '../store.ts';
import { fromEndpoints, type RegistryAccessOptions } from './endpoints.ts';
import { inParallel } from './in-parallel.ts';
import { nameIn } from './push.ts';
import type { RemoteRepository } from './remote.ts';

export interface PullRequest extends RegistryAccessOptions {
  readonly reference: string;
  readonly store: BlobStore;
  /** Layout folder to write; replaced as a whole. */
  readonly output: string;
  /** Which image of an index; this machine's unless told. */
  readonly architecture?: Architecture | undefined;
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
  const { store, architecture = machineArchitecture() } = request;
  let found = await remote.manifest(name);
  let parsed = parseManifest(found.bytes, found.mediaType, request.reference);
  if ('index' in parsed) {
    found = await remote.manifest(chooseManifest(parsed.index, architecture, request.reference).digest);
    parsed = parseManifest(found.bytes, found.mediaType, request.reference);
    if ('index' in parsed) throw new ImageFault('image/bad-layout', `${request.reference} is an index of indexes`);
  }
  const { manifest } = parsed;
  const blobs = [manifest.config, ...manifest.layers];
  await inParallel(blobs, atOnce, async ({ digest, size }) => {
    if ((await store.size(digest)) === size) return;
    await store.put(remote.blob(digest, size), { digest, size });
  });
  const stored = await store.put(found.bytes, { digest: found.digest });
  const platform = { architecture, os: 'linux' };
  const all = blobs.map(({ digest }) => digest);
  await writeLayout(store, { mediaType: manifest.mediaType, ...stored, platform }, all, request.output);
  const { layout, digest, tag, configDigest, layers } = await readImageLayout(request.output, architecture);
  return { layout, digest, tag, configDigest, layers };
}
