import { withoutSecrets } from './hidden.ts';

/** A position in a text file that a person wrote. */
export interface Place {
  /** Path as a person would type it: relative to the workspace root where there is one. */
  readonly file: string;
  /** 1-based. */
  readonly line?: number;
  /** 1-based, in UTF-16 code units. */
  readonly column?: number;
  /** Length of the marked text, in UTF-16 code units; 1 when unknown. */
  readonly length?: number;
  /** Text of the whole file, for the code frame. */
  readonly source?: string;
}

export interface FaultDetails {
  /** Where the cause stands. */
  readonly place?: Place | undefined;
  /** What to do next, as one imperative sentence. */
  readonly next?: string | undefined;
  /** Further facts: the chain of calls, the last lines of a log. One line or block each. */
  readonly notes?: readonly string[] | undefined;
  /** Other places that take part (the second claimant of an output, the calls in between). */
  readonly related?: readonly { readonly message: string; readonly place: Place }[] | undefined;
  readonly cause?: unknown;
  /** Further faults found in the same run: one bad file does not hide the others. */
  readonly others?: readonly Fault[] | undefined;
}

/**
 * What went wrong, told to a person. Each domain derives its own class with a closed union of codes:
 * `class ImageFault extends Fault<'image/bad-archive' | ...> {}`.
 *
 * A code is `domain/kebab-case`, never reused for something else.
 */
export class Fault<Code extends string = string> extends Error {
  readonly code: Code;
  readonly place: Place | undefined;
  readonly next: string | undefined;
  readonly notes: readonly string[];
  readonly related: readonly { readonly message: string; readonly place: Place }[];
  readonly others: readonly Fault[];

  constructor(code: Code, message: string, details: FaultDetails = {}) {
    super(withoutSecrets(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.place = details.place;
    this.next = details.next === undefined ? undefined : withoutSecrets(details.next);
    this.notes = details.notes?.map(withoutSecrets) ?? [];
    this.related = details.related ?? [];
    this.others = details.others ?? [];
  }
}

export function isFault(value: unknown): value is Fault {
  return value instanceof Fault;
}
