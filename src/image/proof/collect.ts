import { type Digest, digestOf } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { type Descriptor, parseManifest } from '../manifest.ts';
import { maximumBundle, parseBundle } from './bundle.ts';
import { intotoPayload, signersOf } from './dsse.ts';
import { ProofFault } from './fault.ts';
import type { PublicKey } from './keys/public-key.ts';
import type { ProofRepository } from './referrers.ts';
import { parseStatement, type Statement } from './statement.ts';

/** A statement that somebody has put beside an image. Nothing is known of it before its signers are asked for. */
export interface Proof {
  /** Digest of the manifest that holds it. */
  readonly digest: Digest;
  /** Digest of the bundle: statement and signature. */
  readonly bundle: Digest;
  /** The statement's own bytes, which are what is signed. */
  readonly payload: Buffer;
  /** Names of those keys that signed it. */
  signedBy(keys: ReadonlyMap<string, PublicKey>): readonly string[];
  /** What it says; only to be believed of a signer who may say it. @throws ProofFault proof/bad-attestation */
  statement(): Statement;
}

export interface Collected {
  readonly proofs: readonly Proof[];
  /** Bundles that could not be understood, and why: told where a proof is missing. */
  readonly unusable: readonly string[];
}

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
      {
        next: 'find out who pushes them, and delete those that are not needed',
      },
    );
  }
  const proofs: Proof[] = [];
  const unusable: string[] = [];
  let bytes = 0;
  for (const descriptor of bundles) {
    try {
      const bundle = await fetchBundle(repository, descriptor, subject, maximumBytes - bytes);
      bytes += bundle.length;
      proofs.push(proofOf(bundle, descriptor.digest));
    } catch (error) {
      const strange = error instanceof ImageFault && error.code === 'image/bad-layout';
      if (!strange && !(error instanceof ProofFault)) throw error;
      unusable.push(error.message);
    }
  }
  return { proofs, unusable };
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
  if (layer.size > room)
    throw new ImageFault('image/too-large', `the bundles of ${subject} have more than ${maximumBytes} bytes`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const piece of await repository.blob(layer.digest)) {
    size += piece.length;
    if (size > layer.size)
      throw new ImageFault('image/wrong-content', `${layer.digest} is longer than its manifest says`);
    parts.push(piece);
  }
  const bundle = Buffer.concat(parts);
  if (digestOf(bundle) !== layer.digest) {
    throw new ImageFault('image/wrong-content', `the registry sent other bytes than ${layer.digest}`);
  }
  return bundle;
}
