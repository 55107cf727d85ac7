import { Fault } from '../../fault/index.ts';

/** What goes wrong with keys, signatures, attestations and policies. No fault here carries a key, a password or a signed payload. */
export class ProofFault extends Fault<
  /** Text that should be a key is none, or one of a kind that is not used here. */
  | 'proof/bad-key'
  /** A key that can't be read: no file, no variable, no program. */
  | 'proof/no-key'
  /** The key is encrypted, and there is no password or a wrong one. */
  | 'proof/wrong-password'
  /** The program that holds the key did not sign. */
  | 'proof/signer-failed'
  /** What the builder is called is no URI. */
  | 'proof/bad-builder'
  /** An envelope, bundle or statement can't be understood. */
  | 'proof/bad-attestation'
  /** A policy file is not in its form. */
  | 'proof/bad-policy'
  /** An image does not have what a policy asks for. */
  | 'proof/refused'
> {}
