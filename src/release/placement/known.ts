import type { Label } from '../../graph/index.ts';
import type { ReleaseKind } from '../kind.ts';
import type { ReleaseRef } from '../model/index.ts';

/** Who does something, for the audit log. */
export interface Actor {
  readonly who: string;
  /** An address, or the machine's name. */
  readonly source: string;
  readonly why?: string | undefined;
}

/** A release that the database knows. */
export interface KnownRelease extends ReleaseRef {
  readonly service: Label;
  readonly kind: ReleaseKind;
  /** `registry.local/releases/bank/ledger@sha256:...` */
  readonly reference: string;
  readonly commit: string;
  readonly authors: readonly string[];
  /** Milliseconds since the epoch. */
  readonly madeAt: number;
}

/** A release that becomes known. */
export interface NewRelease extends Omit<KnownRelease, 'order' | 'kind'> {
  /** What the service's package says unless told. */
  readonly kind?: ReleaseKind | undefined;
  readonly owner?: string | undefined;
  /** Services that have to be healthy before it. */
  readonly needs?: readonly Label[] | undefined;
}
