import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { publicKeyOf, publicKeyPem } from './public-key.ts';
import { seal } from './secret-box.ts';

export interface KeyPair {
  /** PEM, `ENCRYPTED SIGSTORE PRIVATE KEY`: cosign reads it too. */
  readonly privateKey: string;
  /** PEM, `PUBLIC KEY`. */
  readonly publicKey: string;
}

/** A new pair, ECDSA on P-256. @param password what the private key is encrypted with; may be empty, as cosign's may */
export async function generateKeys(password: string): Promise<KeyPair> {
  const pair = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const der = pair.privateKey.export({ type: 'pkcs8', format: 'der' });
  const sealed = await seal(der, password);
  der.fill(0);
  const lines = sealed.toString('base64').match(/.{1,64}/g) ?? [];
  const type = 'ENCRYPTED SIGSTORE PRIVATE KEY';
  return {
    privateKey: `-----BEGIN ${type}-----\n${lines.join('\n')}\n-----END ${type}-----\n`,
    publicKey: publicKeyPem(publicKeyOf(pair.publicKey, 'the new key')),
  };
}
