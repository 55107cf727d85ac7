import { Fault } from '../fault/index.ts';

export type LanguageCode =
  /** The text is not in the grammar. */
  | 'language/syntax'
  /** Too deep, too long, too many steps. */
  | 'language/limit'
  /** No such name, attribute or key. */
  | 'language/name'
  /** An operation on values of the wrong type. */
  | 'language/type'
  /** A call whose arguments don't fit the function. */
  | 'language/argument'
  /** The right type, but not a value that the operation can take. */
  | 'language/value'
  /** A change to a value that other files share. */
  | 'language/frozen'
  | 'language/assertion'
  /** The BUILD language's own `fail`. */
  | 'language/fail';

/** What is wrong in a BUILD file or in a file of build_defs. */
export class LanguageFault extends Fault<LanguageCode> {}

/**
 * An error that doesn't know its place yet: thrown by operators and native functions, and made a `LanguageFault` with
 * place and chain of calls by the expression that caused it.
 */
export class EvaluationError extends Error {
  readonly code: LanguageCode;
  readonly next: string | undefined;

  constructor(code: LanguageCode, message: string, next?: string) {
    super(message);
    this.code = code;
    this.next = next;
  }
}
