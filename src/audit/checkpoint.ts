import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { AuditFault } from './fault.ts';

/** A signed word on how far the log goes. Kept elsewhere, it tells of what is cut off the end or written anew. */
export interface Checkpoint {
  readonly format: 1;
  /** Number of the last entry. */
  readonly number: number;
  /** Its hash. */
  readonly hash: string;
  /** RFC 3339. */
  readonly at: string;
  /** First 16 hex digits of the SHA-256 of the public key (SubjectPublicKeyInfo, DER). */
  readonly key: string;
  /** Ed25519 (RFC 8032) over the lines before, base64. */
  readonly signature: string;
}

/** A key pair, PEM each: the private one is for who writes checkpoints, the public one for who checks them. */
export function newCheckpointKey(): { readonly privateKey: string; readonly publicKey: string } {
  return generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
}

/** @throws AuditFault audit/bad-key */
export function readPrivateKey(pem: string): KeyObject {
  return ed25519(() => createPrivateKey(pem), 'private');
}

/** @throws AuditFault audit/bad-key */
export function readPublicKey(pem: string): KeyObject {
  return ed25519(() => createPublicKey(pem), 'public');
}

function ed25519(read: () => KeyObject, kind: string): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (cause) {
    // The cause is not told: it could hold a piece of the key.
    void cause;
    throw new AuditFault('audit/bad-key', `this is no ${kind} key in PEM`, {
      next: 'make one with `banksman audit key`',
    });
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new AuditFault('audit/bad-key', `the key is of the kind ${key.asymmetricKeyType}, not ed25519`, {
    next: 'make one with `banksman audit key`',
  });
}

export function signCheckpoint(
  last: { readonly number: number; readonly hash: string },
  at: string,
  key: KeyObject,
): Checkpoint {
  const said = { format: 1 as const, number: last.number, hash: last.hash, at, key: keyName(createPublicKey(key)) };
  return { ...said, signature: sign(null, signedBytes(said), key).toString('base64') };
}

export function isSignedBy(checkpoint: Checkpoint, key: KeyObject): boolean {
  if (checkpoint.key !== keyName(key)) return false;
  return verify(null, signedBytes(checkpoint), key, Buffer.from(checkpoint.signature, 'base64'));
}

/** @throws AuditFault audit/bad-checkpoint */
export function parseCheckpoint(text: string, file: string): Checkpoint {
  const bad = (why: string) =>
    new AuditFault('audit/bad-checkpoint', `${file} is no checkpoint: ${why}`, { place: { file } });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad('it is not JSON');
  }
  const { format, number, hash, at, key, signature } = (value ?? {}) as Record<string, unknown>;
  if (format !== 1) throw bad(`its format is ${String(format)}, not 1`);
  if (!Number.isSafeInteger(number) || (number as number) < 0) throw bad('its number is none');
  if (![hash, at, key, signature].every((each) => typeof each === 'string')) throw bad('a field is missing');
  return {
    format,
    number: number as number,
    hash: hash as string,
    at: at as string,
    key: key as string,
    signature: signature as string,
  };
}

function keyName(key: KeyObject): string {
  const der = key.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, 16);
}

function signedBytes({ number, hash, at, key }: Omit<Checkpoint, 'signature'>): Buffer {
  return Buffer.from(`banksman-audit-checkpoint-1\n${number}\n${hash}\n${at}\n${key}\n`);
}
