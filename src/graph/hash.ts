import type { Graph } from './load.ts';
import type { Label, Target } from './types.ts';

export interface HashOptions {
  /** Further inputs of a target, mixed into its hash: the versions of tools, the code of a built-in action. */
  readonly extraInputs?: (target: Target) => string;
}

/** A function that gives hashes of one graph's targets, each computed once. */
export declare function createTargetHasher(graph: Graph, options?: HashOptions): (label: Label) => string;

/**
 * SHA-256 in hex over all that determines what a target is: definition, content and mode of its source files,
 * and the hashes of its dependencies. Comments, line numbers, visibility and selection labels are no part of it.
 */
export declare function targetHash(graph: Graph, label: Label): string;
