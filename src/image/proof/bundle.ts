import { canonicalJson } from '../canonical.ts';
import { type Envelope, envelopeToJson, parseEnvelope } from './dsse.ts';
import { ProofFault } from './fault.ts';
import type { PublicKey } from './keys/public-key.ts';
import { isObject } from './statement.ts';

/** An envelope as cosign 3 keeps it beside an image. Sigstore protobuf-specs, bundle/v1, version 0.3. */
export const bundleMediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/** Bytes of one: the SBOM of an image with thousands of packages has a few million. */
export const maximumBundle = 32 * 1024 * 1024;

/** @param key the one that signed; the bundle names it by a hint, and holds no key */
export function formatBundle(envelope: Envelope, key: PublicKey): Buffer {
  return Buffer.from(
    canonicalJson({
      mediaType: bundleMediaType,
      verificationMaterial: { publicKey: { hint: key.hint } },
      dsseEnvelope: envelopeToJson(envelope),
    }),
  );
}

/**
 * The envelope of a bundle. Certificates, time stamps and entries of transparency logs in it are not looked at: who may sign is
 * said by keys.
 *
 * @throws ProofFault proof/bad-attestation
 */
export function parseBundle(bytes: Uint8Array, what: string): Envelope {
  const bad = (why: string) => new ProofFault('proof/bad-attestation', `${what} is no Sigstore bundle: ${why}`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw bad('it is not JSON');
  }
  if (!isObject(json)) throw bad('it is no object');
  const { mediaType } = json;
  if (
    typeof mediaType !== 'string' ||
    !/^application\/vnd\.dev\.sigstore\.bundle(\.v0\.[0-9]+\+json|\+json;version=0\.[0-9]+)$/.test(mediaType)
  )
    throw bad('it has another media type');
  if (json.dsseEnvelope === undefined) throw bad('it has no DSSE envelope');
  return parseEnvelope(json.dsseEnvelope, what);
}
