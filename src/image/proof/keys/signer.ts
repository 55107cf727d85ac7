import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { ProofFault } from '../fault.ts';
import { type PublicKey, publicKeyOf } from './public-key.ts';
import { unseal } from './secret-box.ts';

/** Something that signs: a key in this process, or a program that has one. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** ECDSA on P-256 over the message's SHA-256, in ASN.1 DER. @throws ProofFault proof/signer-failed */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** Names of the forms of a private key; only the last two may be encrypted. */
const plainTypes = ['PRIVATE KEY', 'EC PRIVATE KEY'];
const sealedTypes = ['ENCRYPTED SIGSTORE PRIVATE KEY', 'ENCRYPTED COSIGN PRIVATE KEY'];

/**
 * A signer with the private key of a PEM text: PKCS #8, SEC 1, or encrypted by cosign or `banksman keys generate`.
 *
 * @param password asked for where the key is encrypted
 * @param what names the key in faults, which never hold any of its text
 * @throws ProofFault proof/bad-key, proof/wrong-password
 */
export async function signerOf(
  pem: string,
  password: () => Promise<string | undefined>,
  what: string,
): Promise<Signer> {
  const key = await privateKeyOf(pem, password, what);
  const publicKey = publicKeyOf(createPublicKey(key), what);
  return { publicKey, sign: async (message) => sign('sha256', message, key) };
}

async function privateKeyOf(
  pem: string,
  password: () => Promise<string | undefined>,
  what: string,
): Promise<KeyObject> {
  const block = /-----BEGIN ([A-Z ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/.exec(pem.slice(0, 64 * 1024));
  const [, type = '', body = ''] = block ?? [];
  if (plainTypes.includes(type)) return parseKey({ key: block![0], format: 'pem' }, what);
  if (!sealedTypes.includes(type)) {
    const found = type === 'PUBLIC KEY' ? 'a public key' : 'no private key in PEM form';
    throw new ProofFault('proof/bad-key', `${what} is ${found}`, {
      next: 'give a key that `banksman keys generate`, `cosign generate-key-pair` or openssl made',
    });
  }
  const given = await password();
  if (given === undefined) {
    throw new ProofFault('proof/wrong-password', `${what} is encrypted, and there is no password`, {
      next: 'put it into BANKSMAN_KEY_PASSWORD, or the path of its file into BANKSMAN_KEY_PASSWORD_FILE',
    });
  }
  const der = await unseal(Buffer.from(body.replace(/\s/g, ''), 'base64'), given, what);
  try {
    return parseKey({ key: der, format: 'der', type: 'pkcs8' }, what);
  } finally {
    der.fill(0);
  }
}

function parseKey(input: Parameters<typeof createPrivateKey>[0], what: string): KeyObject {
  try {
    return createPrivateKey(input);
  } catch {
    throw new ProofFault('proof/bad-key', `${what} is a damaged private key`);
  }
}
