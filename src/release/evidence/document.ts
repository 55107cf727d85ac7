import type { Checkpoint } from '../../audit/index.ts';
import type { Label } from '../../graph/index.ts';
import type { TestReport } from '../placement/index.ts';

export const evidenceFormat = 'banksman-evidence-1';

/** What an auditor is told of how to check it. */
export const howToCheck = [
  'banksman evidence verify FILE --key KEY checks all of this without a network.',
  'log: hash = SHA-256 of previous, a line end and body; each previous is the hash before; the checkpoint is signed with Ed25519.',
  'release: the manifest is named by its SHA-256, which the log says; it names the blobs by theirs. All are base64.',
  'images: digests stand in the release. Statements are Sigstore bundles (DSSE, in-toto), signed by keys of the policy.',
  "policy: the log says the SHA-256 of its text, a line end, and a line of name and key's hint for each key.",
  "tests: the log says the SHA-256 over each report's lines 'TARGET passed' or 'TARGET failed'.",
  "commit: its name is git's sum of the object.",
  'summary follows from the other parts. sum is the SHA-256 of the whole as JSON with its keys in order and neither sum nor signature.',
] as const;

/** An entry of the audit log, as it stands in the database. */
export interface LogEntry {
  readonly number: number;
  readonly body: string;
  readonly previous: string;
  readonly hash: string;
}

export interface EvidenceStatement {
  /** The manifest that holds the bundle, base64. */
  readonly manifest: string;
  /** A Sigstore bundle, base64. */
  readonly bundle: string;
}

/** Everything from which the rest follows. */
export interface EvidenceParts {
  readonly format: typeof evidenceFormat;
  readonly howToCheck: readonly string[];
  readonly about: {
    readonly service: Label;
    readonly environment: string;
    readonly rollout: string;
    readonly release: string;
    readonly madeAt: string;
    readonly madeBy: string;
  };
  readonly log: {
    /** Without gaps, from the entry that made the release known on. */
    readonly entries: readonly LogEntry[];
    /** The first one that covers what is told. */
    readonly checkpoint?: Checkpoint;
  };
  readonly release: { readonly reference: string; readonly manifest: string; readonly blobs: readonly string[] };
  readonly images: readonly { readonly digest: string; readonly statements: readonly EvidenceStatement[] }[];
  readonly policy?: { readonly file: string; readonly text: string; readonly keys: Readonly<Record<string, string>> };
  readonly tests: readonly TestReport[];
  /** What only a clone knows. */
  readonly commit?: {
    /** git's object, base64. */
    readonly object: string;
    /** What the commit changed: status and path, as git says it. */
    readonly paths: readonly string[];
    /** Signed reviews in git's notes: Sigstore bundles, base64. */
    readonly reviews: readonly string[];
  };
}

export interface Evidence extends EvidenceParts {
  /** The same for a person to read; it is checked against the parts. */
  readonly summary: unknown;
  readonly sum: string;
  /** Ed25519 over the format, a line end, and the sum; base64. */
  readonly signature?: string;
}
