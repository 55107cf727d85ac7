import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ServerFault } from './fault.ts';

/** Keys by which what the server has to know again lies in the database: who reads that alone, or a backup of it, reads nothing. */
export interface SealKeys {
  /** Id of the one that seals; the others only open. */
  readonly newest: string;
  readonly keys: ReadonlyMap<string, KeyObject>;
}

/** AES-256-GCM (NIST SP 800-38D): a random nonce of 96 bits, a tag of 128. One key seals far fewer texts than the 2^32 that such nonces allow. */
const cipher = 'aes-256-gcm';
const nonceLength = 12;
const tagLength = 16;
const keyLength = 32;
const prefix = 'sealed.v1';
const idForm = /^[A-Za-z0-9_-]{1,40}$/;

/** A line of a file of keys: an id, and 32 random bytes. */
export function newSealKey(now: Date): string {
  return `${now.toISOString().slice(0, 10)}-${randomBytes(3).toString('hex')} ${randomBytes(keyLength).toString('base64')}`;
}

/**
 * Keys as a file has them: `ID BASE64` in a line each, the first one seals. Empty lines and those that begin with # are passed over.
 *
 * @param source how the place is told to a person
 * @throws ServerFault server/bad-key, which never shows a key
 */
export function parseSealKeys(text: string, source: string): SealKeys {
  const keys = new Map<string, KeyObject>();
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(?:#.*)?$/.test(line)) continue;
    const [id = '', encoded = '', ...more] = line.trim().split(/\s+/);
    const key = Buffer.from(encoded, 'base64');
    if (!idForm.test(id) || key.length !== keyLength || key.toString('base64') !== encoded || more.length > 0) {
      throw badKey(source, `line ${index + 1} is not an id and 32 bytes in base64`);
    }
    if (keys.has(id)) throw badKey(source, `the id ${id} stands there twice`);
    keys.set(id, createSecretKey(key));
  }
  const [newest] = keys.keys();
  if (newest === undefined) throw badKey(source, 'no key is there');
  return { newest, keys };
}

/** @throws ServerFault server/bad-key */
export async function readSealKeys(path: string): Promise<SealKeys> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new ServerFault('server/bad-key', `the keys in ${path} can't be read: ${cause.code ?? cause.message}`, {
      next: 'make one with: banksman server new-key',
      cause,
    });
  });
  return parseSealKeys(text, path);
}

/**
 * @param about what it is and whose: a sealed text opens only where it belongs, and is of no use in another place
 * @returns `sealed.v1.KEY.BASE64URL` of nonce, text and tag
 */
export function seal({ newest, keys }: SealKeys, text: string, about: string): string {
  const nonce = randomBytes(nonceLength);
  const sealing = createCipheriv(cipher, keys.get(newest) as KeyObject, nonce, { authTagLength: tagLength });
  sealing.setAAD(Buffer.from(about));
  const bytes = Buffer.concat([nonce, sealing.update(text, 'utf8'), sealing.final(), sealing.getAuthTag()]);
  return `${prefix}.${newest}.${bytes.toString('base64url')}`;
}

/**
 * What was sealed; a text that never was is given as it is, since earlier versions sealed nothing.
 *
 * @throws ServerFault server/unreadable-secret
 */
export function unseal(keys: SealKeys | undefined, sealed: string, about: string): string {
  const id = sealedWith(sealed);
  if (id === undefined) return sealed;
  const key = keys?.keys.get(id);
  if (key === undefined) throw unreadable(about, `the key ${id} is not among those of this server`);
  const bytes = Buffer.from(sealed.slice(prefix.length + id.length + 2), 'base64url');
  try {
    const opening = createDecipheriv(cipher, key, bytes.subarray(0, nonceLength), { authTagLength: tagLength });
    opening.setAAD(Buffer.from(about));
    opening.setAuthTag(bytes.subarray(-tagLength));
    const text = opening.update(bytes.subarray(nonceLength, -tagLength));
    return Buffer.concat([text, opening.final()]).toString('utf8');
  } catch {
    throw unreadable(about, `it was not sealed by the key ${id} for this place`);
  }
}

/** Id of the key that a text was sealed with; undefined for one that never was. */
export function sealedWith(text: string): string | undefined {
  const [, id] = /^sealed\.v1\.([A-Za-z0-9_-]{1,40})\./.exec(text) ?? [];
  return id;
}

function badKey(source: string, why: string): ServerFault {
  return new ServerFault('server/bad-key', `the keys of ${source} can't be used: ${why}`, {
    next: 'make one with: banksman server new-key',
  });
}

function unreadable(about: string, why: string): ServerFault {
  return new ServerFault('server/unreadable-secret', `the ${about} can't be read: ${why}`, {
    next: 'give the server the key again, or make the webhook anew',
  });
}
