import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { renderFault } from '../../../fault/index.ts';
import { testFolder } from '../../testing/folder.ts';
import { generateKeys } from './generate.ts';
import { openSigner } from './open.ts';
import { isSignedBy, parsePublicKey } from './public-key.ts';
import { signerOf } from './signer.ts';

const message = Buffer.from('what is signed');
const never = async () => {
  throw new Error('nobody is to be asked');
};

function pemOf(type: 'pkcs8' | 'sec1', curve = 'P-256'): string {
  return generateKeyPairSync('ec', { namedCurve: curve }).privateKey.export({ type, format: 'pem' }) as string;
}

/** The fault, as a person and a program see it. */
async function told(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no fault',
    (error: unknown) => renderFault(error),
  );
}

describe('private keys', () => {
  test.each(['pkcs8', 'sec1'] as const)('in the form %s sign', async (type) => {
    const signer = await signerOf(pemOf(type), never, 'the key');
    const signature = await signer.sign(message);
    expect(isSignedBy(signer.publicKey, message, signature)).toBe(true);
    expect(isSignedBy(signer.publicKey, Buffer.from('something else'), signature)).toBe(false);
    expect(isSignedBy(signer.publicKey, message, Buffer.from('no signature'))).toBe(false);
  });

  test('that are encrypted open with their password alone', async () => {
    const { privateKey, publicKey } = await generateKeys('correct horse');
    expect(privateKey).toMatch(/^-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n/);
    const signer = await signerOf(privateKey, async () => 'correct horse', 'the key');
    expect(isSignedBy(parsePublicKey(publicKey, 'its pair'), message, await signer.sign(message))).toBe(true);
    expect(await told(signerOf(privateKey, async () => 'battery staple', 'k'))).toMatch(/proof\/wrong-password/);
    expect(await told(signerOf(privateKey, async () => undefined, 'k'))).toMatch(/BANKSMAN_KEY_PASSWORD/);
  });

  test('that cost too much to open are refused before anything is computed', async () => {
    const { privateKey } = await generateKeys('p');
    const body = privateKey.split('\n').slice(1, -2).join('');
    const sealed = JSON.parse(Buffer.from(body, 'base64').toString());
    sealed.kdf.params.N = 2 ** 30;
    const type = 'ENCRYPTED SIGSTORE PRIVATE KEY';
    const edited = Buffer.from(JSON.stringify(sealed)).toString('base64');
    const pem = `-----BEGIN ${type}-----\n${edited}\n-----END ${type}-----\n`;
    expect(await told(signerOf(pem, async () => 'p', 'k'))).toMatch(/proof\/bad-key.*costs of scrypt/);
  });

  test.each([
    ['of another curve', () => pemOf('pkcs8', 'P-384'), /secp384r1, which is not used here/],
    ['that is a public one', async () => (await generateKeys('')).publicKey, /is a public key/],
    [
      'that is damaged',
      () => pemOf('pkcs8').replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
      /damaged private key/,
    ],
    ['that is none', () => 'hello', /no private key/],
    ['that is empty', () => '', /no private key/],
  ])('%s is refused, and nothing of it is told', async (_, make, expected) => {
    const pem = await make();
    const fault = await told(signerOf(pem, never, 'the key'));
    expect(fault).toMatch(expected);
    for (const line of pem.split('\n')) if (/^[A-Za-z0-9+/=]{16,}$/.test(line)) expect(fault).not.toContain(line);
  });
});

describe('references of keys', () => {
  test('a file, a file as URL, a variable', async () => {
    const folder = await testFolder();
    const path = join(folder, 'signing.key');
    const pem = pemOf('pkcs8');
    await writeFile(path, pem);
    const hints = await Promise.all(
      [path, `file://${path}`, 'env://SIGNING_KEY'].map(
        async (reference) => (await openSigner(reference, { env: { SIGNING_KEY: pem } })).publicKey.hint,
      ),
    );
    expect(new Set(hints).size).toBe(1);
  });

  test('the password comes from a variable or a file, and then a person is asked', async () => {
    const folder = await testFolder();
    const { privateKey } = await generateKeys('line');
    await writeFile(join(folder, 'k'), privateKey);
    await writeFile(join(folder, 'password'), 'line\n');
    const open = (env: Record<string, string>) => openSigner(join(folder, 'k'), { env });
    await open({ BANKSMAN_KEY_PASSWORD: 'line' });
    await open({ BANKSMAN_KEY_PASSWORD_FILE: join(folder, 'password') });
    await openSigner(join(folder, 'k'), { env: {}, askPassword: async () => 'line' });
    expect(await told(open({ BANKSMAN_KEY_PASSWORD_FILE: join(folder, 'absent') }))).toMatch(/can't be read: ENOENT/);
  });

  test('what is absent, and a key in place of a reference', async () => {
    expect(await told(openSigner('/nowhere/key'))).toMatch(/proof\/no-key.*\/nowhere\/key can't be read: ENOENT/);
    expect(await told(openSigner('env://ABSENT', { env: {} }))).toMatch(/proof\/no-key.*ABSENT/);
    const pem = pemOf('pkcs8');
    const fault = await told(openSigner(pem));
    expect(fault).toMatch(/a key stands where the name of a key belongs/);
    expect(fault).not.toContain(pem.split('\n')[1]);
  });
});

test('a private key in the place of a public one is told of, and not shown', () => {
  const pem = pemOf('pkcs8');
  try {
    parsePublicKey(pem, 'keys/ci.pub');
    expect.unreachable();
  } catch (error) {
    expect(renderFault(error)).toMatch(/keys\/ci.pub is a private key where a public one belongs/);
    expect(renderFault(error)).not.toContain(pem.split('\n')[1]);
  }
});
