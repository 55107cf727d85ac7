import type { Call, Dict, Value } from '../language/index.ts';
import type { SourceTree } from './tree.ts';
import type { Target } from './types.ts';

/** What the functions of BUILD files know of the file that calls them. */
export interface EvaluationContext {
  /** '' for the root. */
  readonly package: string;
  readonly tree: SourceTree;
  readonly buildFiles: readonly string[];
  /** What CONFIG is at this moment. */
  config: Dict;
  /** Targets of the package so far, by name; undefined in a file that is only included. */
  readonly targets: Map<string, Target> | undefined;
  /** The names that a label or file of build_defs gives. */
  subinclude(label: string, call: BuildCall): ReadonlyMap<string, Value>;
  /** Something that the person should know. */
  say(line: string): void;
}

export type BuildCall = Call<EvaluationContext>;
