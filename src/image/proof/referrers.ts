import type { RegistryAccessOptions } from '../client/endpoints.ts';
import { openRemoteRepository } from '../client/registry.ts';
import type { RemoteRepository } from '../client/remote.ts';
import { endpointsOf } from '../client/settings.ts';
import { type Digest, isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import type { Descriptor } from '../manifest.ts';
import type { Reference } from '../names.ts';

/** A repository of a registry, with what refers to its images. */
export interface ProofRepository extends Omit<RemoteRepository, 'referrers'> {
  /** What refers to a manifest, in the registry's order. */
  referrers(subject: Digest): Promise<readonly Descriptor[]>;
  /** Sends a manifest with a subject: it is listed among what refers to the subject. */
  putReferrer(descriptor: Descriptor, bytes: Uint8Array, subject: Digest): Promise<void>;
}

/** Entries of a list that are taken; more is an attack or a mistake. */
const maximumReferrers = 1000;

/** Opens the registry itself, never a mirror: what a mirror lacks is not missing. */
export async function openProofRepository(
  reference: Pick<Reference, 'registry' | 'repository'>,
  action: 'pull' | 'pull,push',
  options: RegistryAccessOptions = {},
): Promise<ProofRepository> {
  const endpoint = (await endpointsOf(reference, options.registries, options.transport)).at(-1)!;
  const remote = openRemoteRepository({ ...endpoint, action, signal: options.signal });
  return {
    ...remote,
    async referrers(subject) {
      const found = await remote.referrers(subject);
      if (found.length > maximumReferrers)
        throw new ImageFault('image/too-large', `more than ${maximumReferrers} manifests refer to ${subject}`);
      // A manifest that is known by another sum than SHA-256 is none of ours.
      return found.filter((each): each is Descriptor => isDigest(each.digest));
    },
    async putReferrer(descriptor, bytes) {
      await remote.putManifest(descriptor.digest, descriptor.mediaType, bytes);
    },
  };
}
