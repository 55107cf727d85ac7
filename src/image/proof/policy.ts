import type { Place } from '../../fault/index.ts';
import type { PublicKey } from './keys/public-key.ts';

/** What an image must have before it may be rolled out. docs/proof.md is its reference. */
export interface Policy {
  /** As it is told to people: the path that was given. */
  readonly file: string;
  /** `audit`: what is missing is told and recorded, and nothing is refused. */
  readonly mode: 'enforce' | 'audit';
  readonly keys: ReadonlyMap<string, PublicKey>;
  /** One of these keys has signed the image. */
  readonly signedBy: readonly string[];
  readonly provenance?: ProvenanceRule;
  readonly sbom?: { readonly signedBy: readonly string[] };
  readonly review?: ReviewRule;
  readonly place: Place;
}

export interface ProvenanceRule {
  readonly signedBy: readonly string[];
  /** Ids of builders, whole. */
  readonly builders: readonly string[];
  /** Names of workspaces; any where it is undefined. */
  readonly workspaces: readonly string[] | undefined;
  /** URIs of repositories, whole; any where it is undefined. */
  readonly sources: readonly string[] | undefined;
  /** Files may differ from the commit. */
  readonly edits: boolean;
  /** The builder must say that another build would give the same bytes. */
  readonly reproducible: boolean;
}

export interface ReviewRule {
  readonly signedBy: readonly string[];
  /** How many other people than the author must have approved. */
  readonly approvals: number;
}
