import { createReadStream } from 'node:fs';
import type { Progress, Task } from '../../progress/index.ts';
import { silent } from '../../progress/index.ts';
import type { Digest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { type LayoutImages, layoutBlob, readLayout } from '../layout.ts';
import { parseReference, type Reference } from '../names.ts';
import { isContentTag, refuseClash } from './clash.ts';
import { fromEndpoints, openForPush, type RegistryAccessOptions } from './endpoints.ts';
import { inParallel } from './in-parallel.ts';
import type { RemoteRepository } from './remote.ts';

export interface PushRequest extends RegistryAccessOptions {
  /** OCI image layout folder with one image, or an index of several. */
  readonly layout: string;
  /** `registry.local/bank/ledger:0123456789ab` */
  readonly reference: string;
  /** Another repository of the registry that may have the image's layers, so that they need not be sent. */
  readonly mountFrom?: string | undefined;
  readonly progress?: Progress | undefined;
}

export interface Pushed {
  readonly digest: Digest;
  /** What the registry did not have; both 0 where it had the image. */
  readonly sentBlobs: number;
  readonly sentBytes: number;
}

/** Blobs on their way at a time: enough to hide the waiting, few enough for a registry's limits. */
const atOnce = 6;
/** Bytes read at a time from a file that is sent. */
export const readSize = 256 * 1024;

/**
 * Sends what the registry does not have: layers, then configurations and manifests, then the index where there are several
 * images, and the tag last. So whoever sees the tag finds everything behind it. A tag that is a name for the content is
 * never moved to another content.
 *
 * @throws ImageFault image/bad-reference, image/bad-layout, image/wrong-content, image/tag-clash, image/registry-...
 */
export async function pushImage(request: PushRequest): Promise<Pushed> {
  const reference = parseReference(request.reference);
  const image = await readLayout(request.layout);
  const name = reference.tag ?? reference.digest ?? image.digest;
  if (reference.digest !== undefined && reference.digest !== image.digest) {
    throw new ImageFault('image/bad-reference', `${request.reference} can't name the image ${image.digest}`);
  }
  const remote = await openForPush(reference, request, request.mountFrom);
  const task = (request.progress ?? silent).begin(`push ${reference.repository}`);
  try {
    const there = (await remote.head(name))?.digest;
    if (there === image.digest) {
      task.done();
      return { digest: image.digest, sentBlobs: 0, sentBytes: 0 };
    }
    if (there !== undefined && isContentTag(reference.tag, image.content)) {
      await refuseClash(remote, reference.tag, there, image);
    }
    const sent = { blobs: 0, bytes: 0 };
    const descriptors = image.images.flatMap(({ manifest }) => [...manifest.layers, manifest.config]);
    const blobs = new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor]));
    await inParallel([...blobs.values()], atOnce, async ({ digest, size }) => {
      if (await remote.hasBlob(digest)) return;
      const path = layoutBlob(request.layout, digest);
      const bytes = await remote.putBlob(digest, size, (start) =>
        createReadStream(path, { start, highWaterMark: readSize }),
      );
      if (bytes > 0) sent.blobs += 1;
      sent.bytes += bytes;
      tell(task, sent.bytes);
    });
    for (const { digest, manifest, manifestBytes } of image.images) {
      if (image.indexBytes !== undefined) await remote.putManifest(digest, manifest.mediaType, manifestBytes);
      else await putNamed(remote, name, there, image, manifest.mediaType, manifestBytes);
    }
    if (image.indexBytes !== undefined) await putNamed(remote, name, there, image, image.mediaType, image.indexBytes);
    task.done();
    return { digest: image.digest, sentBlobs: sent.blobs, sentBytes: sent.bytes };
  } catch (error) {
    task.fail();
    throw error;
  } finally {
    remote.close();
  }
}

/**
 * Puts what the name stands for. A new tag that is a name for the content is set only where nobody else has set it meanwhile: a
 * registry that knows `If-None-Match` holds to that, of any other the tag is asked for once more behind the others' backs.
 */
async function putNamed(
  remote: RemoteRepository,
  name: string,
  there: Digest | undefined,
  image: LayoutImages,
  mediaType: string,
  bytes: Buffer,
): Promise<void> {
  if (!isContentTag(name, image.content)) {
    await remote.putManifest(name, mediaType, bytes);
    return;
  }
  const set = await remote.putManifest(name, mediaType, bytes, { onlyNew: there === undefined });
  const now = (await remote.head(name))?.digest;
  if (now !== undefined && now !== image.digest) await refuseClash(remote, name, now, image);
  // The same content with another manifest, which was there first.
  if (!set) await remote.putManifest(name, mediaType, bytes);
}

/** Digest and type of what a reference names; undefined where the registry does not have it. */
export async function headImage(
  request: RegistryAccessOptions & { readonly reference: string },
): Promise<{ readonly digest: Digest; readonly mediaType: string } | undefined> {
  const reference = parseReference(request.reference);
  let missing = false;
  const found = await fromEndpoints(reference, request, async (remote) => {
    const head = await remote.head(nameIn(reference));
    if (head !== undefined) return head;
    missing = true;
    throw new ImageFault('image/registry-not-found', `${remote.registry} does not have ${request.reference}`);
  }).catch((error) => {
    if (missing && error instanceof ImageFault && error.code === 'image/registry-not-found') return undefined;
    throw error;
  });
  return found;
}

/** The digest where there is one: it says more than the tag. */
export function nameIn(reference: Reference): string {
  return reference.digest ?? reference.tag ?? 'latest';
}

function tell(task: Task, bytes: number): void {
  task.update(`${(bytes / 1024 ** 2).toFixed(1)} MiB`);
}
