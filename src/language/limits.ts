/** Bounds that keep a hostile or mistaken file from hanging or filling the machine. Each is an error when passed. */
export interface Limits {
  /** UTF-16 code units of one file. */
  readonly fileLength: number;
  /** Brackets, blocks and operators inside one another. */
  readonly nesting: number;
  /** Functions calling functions. */
  readonly callDepth: number;
  /** Loop turns, calls and elements copied, in the evaluation of one file. */
  readonly steps: number;
  /** Bytes of the values made in the evaluation of one file, as estimated; what is let go of again counts too. */
  readonly memory: number;
  /** UTF-16 code units of one string. */
  readonly stringLength: number;
  /** Elements of one list. */
  readonly listLength: number;
}

export const defaultLimits: Limits = {
  fileLength: 2 * 1024 * 1024,
  nesting: 100,
  callDepth: 200,
  steps: 10_000_000,
  memory: 256 * 1024 * 1024,
  stringLength: 4 * 1024 * 1024,
  listLength: 1024 * 1024,
};
