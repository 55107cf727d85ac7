import { createReadStream } from 'node:fs';
import type { Progress, Task } from '../../progress/index.ts';
import { silent } from '../../progress/index.ts';
import type { Digest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { layoutBlob, readImageLayout } from '../layout.ts';
import { parseReference, type Reference } from '../names.ts';
import { openRemoteRepository } from './registry.ts';
import type { RegistryTransport } from './transport.ts';

export interface PushRequest {
  /** OCI image layout folder with one image. */
  readonly layout: string;
  /** `registry.local/bank/ledger:0123456789ab` */
  readonly reference: string;
  readonly transport?: RegistryTransport | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Pushed {
  readonly digest: Digest;
  /** What the registry did not have; both 0 where it had the image. */
  readonly sentBlobs: number;
  readonly sentBytes: number;
}

/** Blobs on their way at a time: enough to hide the waiting, few enough for a registry's limits. */
const atOnce = 6;

/**
 * Sends what the registry does not have: layers, then the configuration and the manifest, then the tag. So whoever sees
 * the tag finds everything behind it.
 *
 * @throws ImageFault image/bad-reference, image/bad-layout, image/registry-...
 */
export async function pushImage(request: PushRequest): Promise<Pushed> {
  const reference = parseReference(request.reference);
  const image = await readImageLayout(request.layout);
  const name = reference.tag ?? reference.digest ?? image.digest;
  if (reference.digest !== undefined && reference.digest !== image.digest) {
    throw new ImageFault('image/bad-reference', `${request.reference} can't name the image ${image.digest}`);
  }
  const remote = openRemoteRepository(
    reference.registry,
    reference.repository,
    'pull,push',
    request.transport,
    request.signal,
  );
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
      const sent = await remote.putBlob(digest, size, () => createReadStream(path, { highWaterMark: 256 * 1024 }));
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
export async function headImage(request: {
  readonly reference: string;
  readonly transport?: RegistryTransport | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<{ readonly digest: Digest; readonly mediaType: string } | undefined> {
  const reference = parseReference(request.reference);
  const remote = openRemoteRepository(
    reference.registry,
    reference.repository,
    'pull',
    request.transport,
    request.signal,
  );
  try {
    return await remote.head(nameIn(reference));
  } finally {
    remote.close();
  }
}

/** The digest where there is one: it says more than the tag. */
export function nameIn(reference: Reference): string {
  return reference.digest ?? reference.tag ?? 'latest';
}

function tell(task: Task, bytes: number): void {
  task.update(`${(bytes / 1024 ** 2).toFixed(1)} MiB`);
}

/** Runs `body` over the list, a few at a time. The first error ends it when those under way have ended. */
export async function inParallel<T>(
  list: readonly T[],
  limit: number,
  body: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = list.values();
  let failed = false;
  const workers = Array.from({ length: limit }, async () => {
    for (const item of waiting) {
      if (failed) return;
      try {
        await body(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  });
  for (const result of await Promise.allSettled(workers)) if (result.status === 'rejected') throw result.reason;
}
