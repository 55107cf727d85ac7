import { randomBytes, scrypt } from 'node:crypto';
import { ProofFault } from '../fault.ts';

/**
 * The form in which cosign keeps a private key: JSON with a key derivation (scrypt) and a cipher (NaCl's secretbox), as in
 * go-securesystemslib, package `encrypted`.
 */
interface Sealed {
  readonly kdf: { readonly name: string; readonly params: { N: number; r: number; p: number }; readonly salt: string };
  readonly cipher: { readonly name: string; readonly nonce: string };
  readonly ciphertext: string;
}

/** Costs that a reader takes: others would let whoever wrote the file choose how much memory and time it takes. */
const costs = [2 ** 15, 2 ** 16, 2 ** 17];
/** What new files get, as cosign's do: about 100 ms and 64 MiB. */
const usualCost = 2 ** 16;

/** Loaded when a key is opened or made: most commands do neither. */
async function secretBox() {
  return (await import('@noble/ciphers/salsa.js')).secretbox;
}

/** Encrypts with a password. The bytes differ each time: salt and nonce are random. */
export async function seal(plain: Uint8Array, password: string): Promise<Buffer> {
  const secretbox = await secretBox();
  const salt = randomBytes(32);
  const nonce = randomBytes(24);
  const key = await derive(password, salt, usualCost);
  const sealed: Sealed = {
    kdf: { name: 'scrypt', params: { N: usualCost, r: 8, p: 1 }, salt: salt.toString('base64') },
    cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') },
    ciphertext: Buffer.from(secretbox(key, nonce).seal(plain)).toString('base64'),
  };
  key.fill(0);
  return Buffer.from(JSON.stringify(sealed));
}

/**
 * @param what names the key in faults
 * @throws ProofFault proof/bad-key where the file is not in this form, proof/wrong-password
 */
export async function unseal(bytes: Uint8Array, password: string, what: string): Promise<Buffer> {
  const { salt, cost, nonce, ciphertext } = parse(bytes, what);
  const secretbox = await secretBox();
  const key = await derive(password, salt, cost);
  try {
    return Buffer.from(secretbox(key, nonce).open(ciphertext));
  } catch {
    throw new ProofFault('proof/wrong-password', `the password does not open ${what}`, {
      next: 'put the right one into BANKSMAN_KEY_PASSWORD, or the path of its file into BANKSMAN_KEY_PASSWORD_FILE',
    });
  } finally {
    key.fill(0);
  }
}

function parse(bytes: Uint8Array, what: string): { salt: Buffer; cost: number; nonce: Buffer; ciphertext: Buffer } {
  const bad = (why: string) => new ProofFault('proof/bad-key', `${what} is no key that cosign encrypted: ${why}`);
  let json: Partial<Sealed>;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw bad('it holds no JSON');
  }
  const { kdf, cipher, ciphertext } = json ?? {};
  if (kdf?.name !== 'scrypt' || cipher?.name !== 'nacl/secretbox') throw bad('its cipher is not known here');
  const { N, r, p } = kdf.params ?? {};
  if (N === undefined || !costs.includes(N) || r !== 8 || p !== 1) throw bad('its costs of scrypt are not known here');
  const nonce = Buffer.from(String(cipher.nonce), 'base64');
  if (nonce.length !== 24) throw bad('its nonce has another length than 24 bytes');
  if (typeof ciphertext !== 'string' || typeof kdf.salt !== 'string') throw bad('it is not whole');
  return { salt: Buffer.from(kdf.salt, 'base64'), cost: N, nonce, ciphertext: Buffer.from(ciphertext, 'base64') };
}

function derive(password: string, salt: Uint8Array, cost: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // scrypt takes 128 * N * r bytes.
    const options = { N: cost, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
    scrypt(password, salt, 32, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
