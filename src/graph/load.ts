import type { Progress } from '../progress/index.ts';
import type { SourceTree } from './tree.ts';
import type { Label, Target } from './types.ts';
import type { Workspace } from './workspace.ts';

/** A file of built-in rules, preloaded in every BUILD file. */
export interface RuleFile {
  readonly path: string;
  readonly source: string;
}

export interface Package {
  /** '' for the root. */
  readonly name: string;
  /** Path of its BUILD file. */
  readonly file: string;
  readonly targets: ReadonlyMap<string, Target>;
}

/** Evaluated and checked packages. Immutable. */
export interface Graph {
  readonly workspace: Workspace;
  readonly tree: SourceTree;
  readonly packages: ReadonlyMap<string, Package>;
  readonly targets: ReadonlyMap<Label, Target>;
}

export interface LoadOptions {
  readonly ruleFiles: readonly RuleFile[];
  /** The work tree unless told. */
  readonly tree?: SourceTree;
  /** Hears what BUILD files say with `log.warning`. */
  readonly progress?: Progress;
}

/**
 * Evaluates every package of the workspace and checks the whole graph.
 *
 * @throws GraphFault | LanguageFault: the first fault by place, with all others found among its `others`
 */
export declare function loadGraph(workspace: Workspace, options: LoadOptions): Promise<Graph>;

/**
 * Evaluates only the packages that the wanted targets reach. For commands on a few targets of a large workspace.
 *
 * @param patterns labels or patterns relative to the package `options.from` (the root unless told)
 * @returns the graph and the labels that the patterns match, in the order of the patterns
 */
export declare function loadTargets(
  workspace: Workspace,
  patterns: readonly string[],
  options: LoadOptions & { readonly from?: string },
): Promise<{ readonly graph: Graph; readonly labels: readonly Label[] }>;
