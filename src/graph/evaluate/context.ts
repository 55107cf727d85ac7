import type { Call, Dict, FunctionValue, Value } from '../../language/index.ts';
import type { SourceTree } from '../files/tree.ts';
import type { History } from '../git/history.ts';
import type { LabelPattern, LabelScope } from '../names/label.ts';
import type { Timeouts } from '../timeouts.ts';
import type { Label, SumAlgorithm, Target } from '../types.ts';
import type { Subrepo } from './subrepos.ts';

/** What the functions of BUILD files know of the file that calls them. */
export interface EvaluationContext extends LabelScope {
  readonly tree: SourceTree;
  readonly buildFiles: readonly string[];
  /** What CONFIG is at this moment. */
  config: Dict;
  /** Targets of the package so far, by name; undefined in a file that is only included. */
  readonly targets: Map<string, Target> | undefined;
  /** The names that a label or file of build_defs gives. */
  subinclude(label: string, call: BuildCall): ReadonlyMap<string, Value>;
  /** Variables of the environment that every action gets. */
  readonly env: Readonly<Record<string, string>>;
  readonly passEnv: readonly string[];
  readonly timeouts: Timeouts;
  /** Sums that count where a target locks its outputs. */
  readonly sums: readonly SumAlgorithm[];
  /** What .plzconfig says of commands and errors; undefined where it says nothing. */
  readonly exitOnError: boolean | undefined;
  /** Targets that may do without the sandbox; any may where it is empty. */
  readonly unconfinedTargets: readonly LabelPattern[];
  /** Functions that change targets once everything they depend on is known. */
  readonly preBuild: Map<Label, FunctionValue>;
  /** Functions that change targets once the action of one has run. */
  readonly postBuild: Map<Label, FunctionValue>;
  /** Whether every dependency of the targets at hand can be looked up: only while a `pre_build` runs. */
  readonly complete: boolean;
  /**
   * A target that there is so far; of another package after that has been evaluated.
   *
   * @throws GraphFault where that package can't be evaluated, or is being evaluated because this one asks
   */
  find(label: Label): Target | undefined;
  /** Makes a subrepo known. @throws GraphFault where another one has its name */
  declareSubrepo(subrepo: Subrepo): void;
  /** The repository that a package of the workspace belongs to: its name ('' for the workspace) and folder. */
  repositoryOf(packageName: string): { readonly name: string; readonly folder: string };
  /** The commit that the source tree is, or stands on. */
  history(): History;
  /** Something that the person should know. */
  say(line: string): void;
}

export type BuildCall = Call<EvaluationContext>;
