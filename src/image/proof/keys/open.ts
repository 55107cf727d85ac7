import { readFile } from 'node:fs/promises';
import { ProofFault } from '../fault.ts';
import { programSigner } from './program.ts';
import { type Signer, signerOf } from './signer.ts';

export interface OpenKeyOptions {
  /** The process's own unless told. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Asks a person; used where the environment has no password. */
  readonly askPassword?: (what: string) => Promise<string | undefined>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a key by its reference, as cosign writes it: the path of a PEM file, `env://VARIABLE` with PEM text, or `NAME://KEY`
 * for the program `sigstore-kms-NAME`.
 *
 * The password of an encrypted key comes from BANKSMAN_KEY_PASSWORD, from the file that BANKSMAN_KEY_PASSWORD_FILE names, or
 * from COSIGN_PASSWORD: never from the command line, which every process on the machine can read.
 *
 * @throws ProofFault proof/no-key, proof/bad-key, proof/wrong-password, proof/signer-failed
 */
export async function openSigner(reference: string, options: OpenKeyOptions = {}): Promise<Signer> {
  const { env = process.env, askPassword, signal } = options;
  if (/-----BEGIN/.test(reference)) {
    throw new ProofFault('proof/bad-key', 'a key stands where the name of a key belongs', {
      next: 'put it into a file or a variable, and give its path or env://VARIABLE; it has been on a command line: make a new one',
    });
  }
  const [, scheme, rest = ''] = /^([a-z0-9][a-z0-9.+-]*):\/\/(.*)$/s.exec(reference) ?? [];
  if (scheme !== undefined && scheme !== 'env' && scheme !== 'file') return programSigner(reference, signal);
  const what = scheme === 'env' ? `the key in $${rest}` : `the key ${scheme === 'file' ? rest : reference}`;
  const pem = scheme === 'env' ? fromVariable(env, rest) : await fromFile(scheme === 'file' ? rest : reference);
  const password = async () => (await passwordIn(env)) ?? (await askPassword?.(what));
  return signerOf(pem, password, what);
}

function fromVariable(env: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = env[name];
  if (value !== undefined && value !== '') return value;
  throw new ProofFault('proof/no-key', `the variable ${name}, which should hold the signing key, is not set`, {
    next: 'set it to the text of the PEM file',
  });
}

async function fromFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ProofFault('proof/no-key', `the key ${path} can't be read: ${(cause as NodeJS.ErrnoException).code}`, {
      next: 'give the path of a key file; `banksman keys generate` makes one',
    });
  }
}

/** The password that the environment gives; undefined where it gives none. The empty one is one. */
export async function passwordIn(env: Readonly<Record<string, string | undefined>>): Promise<string | undefined> {
  const { BANKSMAN_KEY_PASSWORD: own, BANKSMAN_KEY_PASSWORD_FILE: path, COSIGN_PASSWORD: cosign } = env;
  if (own !== undefined) return own;
  if (path === undefined || path === '') return cosign;
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new ProofFault('proof/wrong-password', `the password file ${path} can't be read: ${cause.code}`);
  });
  return text.replace(/\r?\n$/, '');
}
