import { type AnyDigest, type Digest, digestOf } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { type Descriptor, maximumManifest } from '../manifest.ts';
import { formatReference, parseReference } from '../names.ts';
import { fromEndpoints, openForPush, type RegistryAccessOptions } from './endpoints.ts';
import { inParallel } from './in-parallel.ts';
import { nameIn } from './push.ts';
import type { FoundManifest } from './remote.ts';

export interface ManifestPush extends RegistryAccessOptions {
  /** With a tag, or `registry/repository` alone: the manifest is then known by its digest. */
  readonly reference: string;
  readonly mediaType: string;
  readonly manifest: Uint8Array | string;
  /** What the manifest refers to: small blobs, each sent where the registry lacks it. */
  readonly blobs?: readonly (Uint8Array | string)[] | undefined;
}

/**
 * Pushes a manifest with its blobs: a signature, an SBOM, an index. Where it has a `subject`, the registry lists it among
 * the subject's referrers, or a tag does that in its place.
 *
 * @returns its digest
 * @throws ImageFault image/bad-reference, image/registry-...
 */
export async function pushManifest(request: ManifestPush): Promise<Digest> {
  const bytes = Buffer.from(request.manifest);
  const digest = digestOf(bytes);
  const reference = parseReference(request.reference);
  if (reference.digest !== undefined && reference.digest !== digest)
    throw new ImageFault('image/bad-reference', `${request.reference} can't name the manifest ${digest}`);
  const remote = await openForPush(reference, request);
  try {
    const blobs = new Map((request.blobs ?? []).map((blob) => [digestOf(blob), Buffer.from(blob)]));
    await inParallel([...blobs], 4, async ([name, blob]) => {
      if (await remote.hasBlob(name)) return;
      await remote.putBlob(name, blob.length, async function* (from) {
        yield blob.subarray(from);
      });
    });
    await remote.putManifest(reference.tag ?? digest, request.mediaType, bytes);
    return digest;
  } finally {
    remote.close();
  }
}

/**
 * What refers to a manifest: `listReferrers({ reference: 'registry.local/bank/ledger@sha256:...' })`. A tag is resolved first.
 *
 * @throws ImageFault image/registry-...
 */
export async function listReferrers(
  request: RegistryAccessOptions & { readonly reference: string; readonly artifactType?: string | undefined },
): Promise<Descriptor<AnyDigest>[]> {
  const reference = parseReference(request.reference);
  return fromEndpoints(reference, request, async (remote) => {
    const digest = reference.digest ?? (await remote.head(nameIn(reference)))?.digest;
    if (digest === undefined)
      throw new ImageFault('image/registry-not-found', `${remote.registry} does not have ${request.reference}`);
    return remote.referrers(digest, request.artifactType);
  });
}

/** A manifest or index, whole. @throws ImageFault image/registry-not-found, image/wrong-content, image/registry-... */
export async function fetchManifest(
  request: RegistryAccessOptions & { readonly reference: string },
): Promise<FoundManifest> {
  const reference = parseReference(request.reference);
  return fromEndpoints(reference, request, (remote) => remote.manifest(nameIn(reference)));
}

/**
 * A small blob, whole and checked.
 *
 * @param request.reference `registry/repository`, with whatever tag or digest
 * @param request.maximumBytes 4 MiB unless told
 * @throws ImageFault image/registry-not-found, image/wrong-content, image/too-large, image/registry-...
 */
export async function fetchBlob(
  request: RegistryAccessOptions & {
    readonly reference: string;
    readonly digest: AnyDigest;
    readonly maximumBytes?: number;
  },
): Promise<Buffer> {
  const { digest, maximumBytes = maximumManifest } = request;
  const { registry, repository } = parseReference(request.reference);
  return fromEndpoints({ registry, repository }, request, async (remote) => {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const piece of remote.blob(digest)) {
      size += piece.length;
      if (size > maximumBytes)
        throw new ImageFault(
          'image/too-large',
          `the blob ${digest} of ${formatReference({ registry, repository })} has more than ${maximumBytes} bytes`,
        );
      parts.push(piece);
    }
    return Buffer.concat(parts);
  });
}

/** All tags of a repository, in the registry's order. */
export async function listRepositoryTags(
  request: RegistryAccessOptions & { readonly reference: string },
): Promise<string[]> {
  const { registry, repository } = parseReference(request.reference);
  return fromEndpoints({ registry, repository }, request, async (remote) => {
    const all: string[] = [];
    for await (const tag of remote.tags()) all.push(tag);
    return all;
  });
}
