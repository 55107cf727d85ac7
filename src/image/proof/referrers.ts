import { openRemoteRepository } from '../client/registry.ts';
import type { RemoteRepository } from '../client/remote.ts';
import type { RegistryTransport } from '../client/transport.ts';
import { type Digest, isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import type { Descriptor } from '../manifest.ts';

/** A repository of a registry, with what refers to its images. */
export interface ProofRepository extends Omit<RemoteRepository, 'referrers'> {
  /** What refers to a manifest, in the registry's order. */
  referrers(subject: Digest): Promise<readonly Descriptor[]>;
  /** Sends a manifest with a subject: it is listed among what refers to the subject. */
  putReferrer(descriptor: Descriptor, bytes: Uint8Array, subject: Digest): Promise<void>;
}

/** Entries of a list that are taken; more is an attack or a mistake. */
const maximumReferrers = 1000;

export function openProofRepository(
  registry: string,
  repository: string,
  action: 'pull' | 'pull,push',
  transport: RegistryTransport = {},
  signal?: AbortSignal,
): ProofRepository {
  const remote = openRemoteRepository({ registry, repository, action, transport, signal });
  return {
    ...remote,
    async referrers(subject) {
      const found = await remote.referrers(subject);
      if (found.length > maximumReferrers)
        throw new ImageFault('image/too-large', `more than ${maximumReferrers} manifests refer to ${subject}`);
      // A manifest that is known by another sum than SHA-256 is none of ours.
      return found.filter((each): each is Descriptor => isDigest(each.digest));
    },
    putReferrer: (descriptor, bytes) => remote.putManifest(descriptor.digest, descriptor.mediaType, bytes),
  };
}
