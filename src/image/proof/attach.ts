import { canonicalJson } from '../canonical.ts';
import { type Digest, digestOf } from '../digest.ts';
import { type Descriptor, mediaTypes } from '../manifest.ts';
import { bundleMediaType, formatBundle } from './bundle.ts';
import { collectProofs } from './collect.ts';
import { intotoPayload, signEnvelope } from './dsse.ts';
import type { Signer } from './keys/signer.ts';
import type { ProofRepository } from './referrers.ts';
import { formatStatement, type Statement } from './statement.ts';

/** image-spec manifest.md, "Guidance for an Empty Descriptor". */
const empty = Buffer.from('{}');
const emptyType = 'application/vnd.oci.empty.v1+json';

/**
 * Signs statements and stores them beside an image, as cosign 3 does: a Sigstore bundle each, in a manifest whose subject is the
 * image. What this key has said of the image before is not said again.
 *
 * @param subject the image, or the index of images
 * @returns digests of the manifests that were sent
 */
export async function attachStatements(
  repository: ProofRepository,
  subject: Descriptor,
  statements: readonly Statement[],
  signer: Signer,
): Promise<Digest[]> {
  const key = new Map([['signer', signer.publicKey]]);
  const { proofs } = await collectProofs(repository, subject.digest);
  const said = new Set(
    proofs
      .filter(({ form, signedBy }) => form === 'bundle' && signedBy(key).length > 0)
      .map(({ payload }) => payload.toString('base64')),
  );
  const sent: Digest[] = [];
  for (const statement of statements) {
    const payload = formatStatement(statement);
    if (said.has(payload.toString('base64'))) continue;
    const envelope = await signEnvelope(intotoPayload, payload, signer);
    const bundle = formatBundle(envelope, signer.publicKey);
    sent.push(await attachBundle(repository, subject, bundle, statement.predicateType));
  }
  return sent;
}

/** Stores a bundle beside an image. @returns the digest of the manifest */
export async function attachBundle(
  repository: ProofRepository,
  subject: Descriptor,
  bundle: Uint8Array,
  predicateType: string,
): Promise<Digest> {
  const layer = { mediaType: bundleMediaType, digest: digestOf(bundle), size: bundle.length };
  const config = { mediaType: emptyType, digest: digestOf(empty), size: empty.length };
  const annotations = {
    'dev.sigstore.bundle.content': 'dsse-envelope',
    'dev.sigstore.bundle.predicateType': predicateType,
  };
  const { mediaType, digest, size } = subject;
  const manifest = Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: bundleMediaType,
      config,
      layers: [layer],
      subject: { mediaType, digest, size },
      annotations,
    }),
  );
  for (const [blob, bytes] of [
    [config, empty],
    [layer, bundle],
  ] as const) {
    if (!(await repository.hasBlob(blob.digest))) await repository.putBlob(blob.digest, blob.size, () => pieces(bytes));
  }
  const descriptor: Descriptor = {
    mediaType: mediaTypes.manifest,
    digest: digestOf(manifest),
    size: manifest.length,
    artifactType: bundleMediaType,
    annotations,
  };
  await repository.putReferrer(descriptor, manifest, digest);
  return descriptor.digest;
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
