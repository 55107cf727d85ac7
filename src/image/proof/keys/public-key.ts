import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ProofFault } from '../fault.ts';

/** A key that signatures are checked with: ECDSA on P-256 with SHA-256, as cosign's are unless told. */
export interface PublicKey {
  readonly object: KeyObject;
  /** SHA-256 of its DER form in base64: what a Sigstore bundle names the key by, and nothing more than a hint. */
  readonly hint: string;
}

/** Characters of a PEM file with one key; more is another thing. */
const maximumLength = 64 * 1024;

/**
 * A public key out of PEM text (`PUBLIC KEY`).
 *
 * @param what names the key in faults
 * @throws ProofFault proof/bad-key; never with the text, which may be a private key that stands in the wrong place
 */
export function parsePublicKey(pem: string, what: string): PublicKey {
  if (pem.includes('PRIVATE KEY-----')) {
    throw new ProofFault('proof/bad-key', `${what} is a private key where a public one belongs`, {
      next: 'put the .pub file there, and make a new pair if the private one has got into a repository',
    });
  }
  if (pem.length > maximumLength || !/^\s*-----BEGIN PUBLIC KEY-----\s/.test(pem)) {
    throw new ProofFault('proof/bad-key', `${what} is no public key in PEM form`, {
      next: 'it begins with -----BEGIN PUBLIC KEY-----; `banksman keys generate` makes one',
    });
  }
  let object: KeyObject;
  try {
    object = createPublicKey(pem);
  } catch {
    throw new ProofFault('proof/bad-key', `${what} is a damaged public key`);
  }
  return publicKeyOf(object, what);
}

/** @throws ProofFault proof/bad-key for a key of another kind */
export function publicKeyOf(object: KeyObject, what: string): PublicKey {
  if (object.asymmetricKeyType !== 'ec' || object.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    const kind = object.asymmetricKeyDetails?.namedCurve ?? object.asymmetricKeyType ?? 'unknown';
    throw new ProofFault('proof/bad-key', `${what} is a key of the kind ${kind}, which is not used here`, {
      next: 'use ECDSA on P-256: what `banksman keys generate` and `cosign generate-key-pair` make',
    });
  }
  const der = object.export({ type: 'spki', format: 'der' });
  return { object, hint: createHash('sha256').update(der).digest('base64') };
}

export function publicKeyPem({ object }: PublicKey): string {
  return object.export({ type: 'spki', format: 'pem' }) as string;
}

/** @param signature ASN.1 DER, as Go and OpenSSL write it */
export function isSignedBy({ object }: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify('sha256', message, object, signature);
  } catch {
    return false;
  }
}
