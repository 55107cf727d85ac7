import { type OpenKeyOptions, openSigner, ProofFault, type Signer, unnamedBuilder } from '../../image/index.ts';

/** Who states how images come to be. All of it comes from where the build runs: a repository can't claim it. */
export interface ProofSettings {
  readonly signer: Signer;
  /** URI of the builder. */
  readonly builder: string;
  /** Names the run, where the builder does. */
  readonly invocation: string | undefined;
  /** Signs in the form of cosign 2 too. */
  readonly cosign2: boolean;
}

export interface ProofOptions extends Pick<OpenKeyOptions, 'askPassword' | 'signal'> {
  /** Reference of the key, in place of BANKSMAN_SIGNING_KEY. */
  readonly key?: string | undefined;
  /** Beside BANKSMAN_COSIGN2. */
  readonly cosign2?: boolean | undefined;
  /** The process's own unless told. */
  readonly env?: Record<string, string | undefined>;
}

/** Variables that open a key. */
const secrets = ['BANKSMAN_KEY_PASSWORD', 'BANKSMAN_KEY_PASSWORD_FILE', 'COSIGN_PASSWORD'];

/**
 * Opens the key that BANKSMAN_SIGNING_KEY names, with BANKSMAN_BUILDER, BANKSMAN_INVOCATION and BANKSMAN_COSIGN2 beside it. Before anything is built:
 * a wrong password is told of at once, and what opens the key is taken out of the environment, so that no program that a build starts
 * inherits it.
 *
 * @returns undefined where no key is named
 * @throws ProofFault proof/no-key, proof/bad-key, proof/wrong-password, proof/signer-failed, proof/bad-builder
 */
export async function openProofSettings(options: ProofOptions = {}): Promise<ProofSettings | undefined> {
  const { env = process.env, askPassword, signal } = options;
  const key = options.key ?? (env.BANKSMAN_SIGNING_KEY || undefined);
  if (key === undefined) return undefined;
  const builder = env.BANKSMAN_BUILDER || unnamedBuilder;
  if (!URL.canParse(builder)) {
    throw new ProofFault(
      'proof/bad-builder',
      `BANKSMAN_BUILDER is ${JSON.stringify(builder.slice(0, 200))}, which is no URI`,
      {
        next: 'name the builder by a URI of yours: https://ci.example/builder',
      },
    );
  }
  const signer = await openSigner(key, { env, ...(askPassword !== undefined && { askPassword }), signal });
  const [, variable] = /^env:\/\/(.+)$/.exec(key) ?? [];
  for (const name of variable === undefined ? secrets : [...secrets, variable]) delete env[name];
  return {
    signer,
    builder,
    invocation: env.BANKSMAN_INVOCATION || undefined,
    cosign2: options.cosign2 === true || (env.BANKSMAN_COSIGN2 ?? '') !== '',
  };
}

/** The same where there must be a key. @throws ProofFault proof/no-key */
export async function requireProofSettings(options: ProofOptions = {}): Promise<ProofSettings> {
  const settings = await openProofSettings(options);
  if (settings !== undefined) return settings;
  throw new ProofFault('proof/no-key', 'there is no key to sign with', {
    next: 'give one with --key, or put its reference into BANKSMAN_SIGNING_KEY; `banksman keys generate` makes one',
  });
}
