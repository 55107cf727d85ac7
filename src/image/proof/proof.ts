import type { Digest } from '../digest.ts';
import type { PublicKey } from './keys/public-key.ts';
import type { Statement } from './statement.ts';

/** A statement that somebody has put beside an image. Nothing is known of it before its signers are asked for. */
export interface Proof {
  /** Digest of the manifest that holds it. */
  readonly digest: Digest;
  /** A Sigstore bundle, as cosign 3 writes, or a layer behind a tag, as cosign 2 does. */
  readonly form: 'bundle' | 'tag';
  /** Digest of statement and signature in that form. */
  readonly bundle: Digest;
  /** The statement's own bytes, which are what is signed. */
  readonly payload: Buffer;
  /** Names of those keys that signed it. */
  signedBy(keys: ReadonlyMap<string, PublicKey>): readonly string[];
  /** What it says; only to be believed of a signer who may say it. @throws ProofFault proof/bad-attestation */
  statement(): Statement;
}

export interface Collected {
  readonly proofs: readonly Proof[];
  /** Bundles that could not be understood, and why: told where a proof is missing. */
  readonly unusable: readonly string[];
}
