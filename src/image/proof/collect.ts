import { type Digest, digestOf } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { type Descriptor, parseManifest } from '../manifest.ts';
import { maximumBundle, parseBundle } from './bundle.ts';
import { intotoPayload, signersOf } from './dsse.ts';
import { ProofFault } from './fault.ts';
import { fetchBlob } from './fetch-blob.ts';
import type { Collected, Proof } from './proof.ts';
import type { ProofRepository } from './referrers.ts';
import { parseStatement } from './statement.ts';
import { taggedProofs } from './tagged.ts';

/** Bundles of one image that are fetched, and bytes of all of them: whoever may push can put any number there. */
const maximumBundles = 200;
const maximumBytes = 4 * maximumBundle;

/**
 * Everything that was said of an image in form of Sigstore bundles.
 *
 * @throws ImageFault where the registry can't be reached or does not answer: what could not be read is not taken for absent
 */
export async function collectProofs(repository: ProofRepository, subject: Digest): Promise<Collected> {
  const bundles = (await repository.referrers(subject)).filter(isBundle);
  if (bundles.length > maximumBundles) {
    throw new ImageFault(
      'image/too-large',
      `${bundles.length} bundles refer to ${subject}; ${maximumBundles} are the limit`,
      { next: 'find out who pushes them, and delete those that are not needed' },
    );
  }
  const proofs: Proof[] = [];
  const unusable: string[] = [];
  let room = maximumBytes;
  for (const descriptor of bundles) {
    try {
      const bundle = await fetchBundle(repository, descriptor, subject, room);
      room -= bundle.length;
      proofs.push(proofOf(bundle, descriptor.digest));
    } catch (error) {
      unusable.push(strangeness(error));
    }
  }
  for (const ending of ['sig', 'att'] as const) {
    try {
      for await (const { read, size } of taggedProofs(repository, subject, ending, room)) {
        room -= size;
        try {
          proofs.push(read());
        } catch (error) {
          unusable.push(strangeness(error));
        }
      }
    } catch (error) {
      unusable.push(strangeness(error));
    }
  }
  return { proofs, unusable };
}

/** What is there and can't be understood is told of; a registry that does not give what it lists is no answer. */
function strangeness(error: unknown): string {
  if (error instanceof ProofFault || (error instanceof ImageFault && error.code === 'image/bad-layout'))
    return error.message;
  throw error;
}

function proofOf(bundle: Uint8Array, digest: Digest): Proof {
  const what = `the bundle ${digest.slice(0, 'sha256:'.length + 12)}`;
  const envelope = parseBundle(bundle, what);
  if (envelope.payloadType !== intotoPayload) {
    throw new ProofFault(
      'proof/bad-attestation',
      `${what} holds ${envelope.payloadType.slice(0, 100)}, no in-toto statement`,
    );
  }
  return {
    digest,
    form: 'bundle',
    bundle: digestOf(bundle),
    payload: envelope.payload,
    signedBy: (keys) => signersOf(envelope, keys),
    statement: () => parseStatement(envelope.payload, what),
  };
}

/** An artifact type is not there where the registry is old: such a manifest is looked into. */
function isBundle({ artifactType }: Descriptor): boolean {
  return artifactType === undefined || artifactType.startsWith('application/vnd.dev.sigstore.bundle');
}

async function fetchBundle(
  repository: ProofRepository,
  { digest }: Descriptor,
  subject: Digest,
  room: number,
): Promise<Buffer> {
  const what = `the manifest ${digest}`;
  const bad = (why: string) => new ProofFault('proof/bad-attestation', `${what} holds no bundle: ${why}`);
  const { bytes, mediaType } = await repository.manifest(digest);
  const parsed = parseManifest(bytes, mediaType, what);
  if ('index' in parsed) throw bad('it is an index');
  const { layers, subject: named } = parsed.manifest;
  if (named?.digest !== subject) throw bad('it refers to another image');
  const [layer, ...more] = layers;
  if (layer === undefined || more.length > 0) throw bad('it has not one layer');
  if (!layer.mediaType.startsWith('application/vnd.dev.sigstore.bundle')) throw bad(`its layer is ${layer.mediaType}`);
  if (layer.size > maximumBundle) throw bad(`its layer has ${layer.size} bytes`);
  return fetchBlob(repository, layer, subject, room);
}
