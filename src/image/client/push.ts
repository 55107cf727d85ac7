import { createReadStream } from 'node:fs';
import type { Progress, Task } from '../../progress/index.ts';
import { silent } from '../../progress/index.ts';
import type { Digest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { layoutBlob, readImageLayout } from '../layout.ts';
import { parseReference, type Reference } from '../names.ts';
import { fromEndpoints, openForPush, type RegistryAccessOptions } from './endpoints.ts';
import { inParallel } from './in-parallel.ts';

export interface PushRequest extends RegistryAccessOptions {
  /** OCI image layout folder with one image. */
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
 * Sends what the registry does not have: layers, then the configuration and the manifest, then the tag. So whoever sees
 * the tag finds everything behind it.
 *
 * @throws ImageFault image/bad-reference, image/bad-layout, image/wrong-content, image/registry-...
 */
export async function pushImage(request: PushRequest): Promise<Pushed> {
  const reference = parseReference(request.reference);
  const image = await readImageLayout(request.layout);
  const name = reference.tag ?? reference.digest ?? image.digest;
  if (reference.digest !== undefined && reference.digest !== image.digest) {
    throw new ImageFault('image/bad-reference', `${request.reference} can't name the image ${image.digest}`);
  }
  const remote = await openForPush(reference, request, request.mountFrom);
  const task = (request.progress ?? silent).begin(`push ${reference.repository}`);
  try {
    if ((await remote.head(name))?.digest === image.digest) {
      task.done();
      return { digest: image.digest, sentBlobs: 0, sentBytes: 0 };
    }
    let sentBlobs = 0;
    let sentBytes = 0;
    const { manifest } = image;
    const blobs = new Map([...manifest.layers, manifest.config].map((descriptor) => [descriptor.digest, descriptor]));
    await inParallel([...blobs.values()], atOnce, async ({ digest, size }) => {
      if (await remote.hasBlob(digest)) return;
      const path = layoutBlob(request.layout, digest);
      const sent = await remote.putBlob(digest, size, (start) =>
        createReadStream(path, { start, highWaterMark: readSize }),
      );
      if (sent > 0) sentBlobs += 1;
      sentBytes += sent;
      tell(task, sentBytes);
    });
    await remote.putManifest(name, manifest.mediaType, image.manifestBytes);
    task.done();
    return { digest: image.digest, sentBlobs, sentBytes };
  } catch (error) {
    task.fail();
    throw error;
  } finally {
    remote.close();
  }
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
