import type { Label } from '../../graph/index.ts';
import {
  type Digest,
  fetchBlob,
  fetchManifest,
  formatReference,
  mediaTypes,
  parseReference,
  pushManifest,
  type RegistryAccessOptions,
  repositoryFor,
} from '../../image/index.ts';
import type { ReleaseContent } from './content.ts';
import { packRelease, unpackRelease } from './pack.ts';

/** Where a service's releases are kept: `registry.local/releases/bank/ledger`. */
export function releaseRepository(registry: string, service: Label): string {
  return `${registry}/releases/${repositoryFor(service)}`;
}

/**
 * Puts a release into the registry. One that is there is not sent again.
 *
 * @returns its reference, `registry.local/releases/bank/ledger@sha256:...`, and its digest
 */
export async function pushRelease(
  registry: string,
  content: ReleaseContent,
  access: RegistryAccessOptions = {},
): Promise<{ readonly reference: string; readonly digest: Digest }> {
  const { digest, manifest, blobs } = packRelease(content);
  const repository = releaseRepository(registry, content.bundle.service);
  // A tag keeps it from being collected as what nobody refers to; the name remains the digest.
  const reference = `${repository}:${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`;
  await pushManifest({ ...access, reference, mediaType: mediaTypes.manifest, manifest, blobs });
  return { reference: `${repository}@${digest}`, digest };
}

/** A release out of the registry, all of it checked against its name. @throws ReleaseFault release/bad-artifact; ImageFault */
export async function fetchRelease(reference: string, access: RegistryAccessOptions = {}): Promise<ReleaseContent> {
  const { bytes } = await fetchManifest({ ...access, reference });
  const { registry, repository } = parseReference(reference);
  const place = formatReference({ registry, repository });
  return unpackRelease(bytes, (digest) => fetchBlob({ ...access, reference: place, digest }));
}
