import { unnamedBuilder } from '../../image/index.ts';

/** Who states how images come to be, and with which key. All of it comes from where the build runs: a repository can't claim it. */
export interface ProofSettings {
  /** Reference of the signing key; undefined where nothing is to be signed. See `openSigner` of src/image. */
  readonly key: string | undefined;
  /** URI of the builder. */
  readonly builder: string;
  /** Names the run, where the builder does. */
  readonly invocation: string | undefined;
}

/** BANKSMAN_SIGNING_KEY, BANKSMAN_BUILDER and BANKSMAN_INVOCATION. @param key in place of the variable's */
export function proofSettings(
  env: Readonly<Record<string, string | undefined>> = process.env,
  key?: string | undefined,
): ProofSettings {
  return {
    key: key ?? (env.BANKSMAN_SIGNING_KEY || undefined),
    builder: env.BANKSMAN_BUILDER || unnamedBuilder,
    invocation: env.BANKSMAN_INVOCATION || undefined,
  };
}
