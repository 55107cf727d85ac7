import type { Graph } from './load.ts';
import type { Label, Target } from './types.ts';

/** @throws GraphFault graph/missing-target with the nearest name */
export declare function findTarget(graph: Graph, label: Label): Target;
/** Labels of a graph that match patterns, sorted. @throws GraphFault where a pattern names a target or package that is missing */
export declare function targetsMatching(graph: Graph, patterns: readonly string[], currentPackage?: string): Label[];
/** All labels that a target names (sources, dependencies, tools, data), `provides` resolved. */
export declare function directDependencies(graph: Graph, label: Label): Label[];
/** Every target that these reach, themselves left out, sorted. `levels`: 1 for direct ones only. */
export declare function dependencies(graph: Graph, labels: readonly Label[], levels?: number): Label[];
/** Every target that reaches these, themselves left out, sorted. */
export declare function reverseDependencies(graph: Graph, labels: readonly Label[], levels?: number): Label[];
/**
 * The targets whose outputs are laid out for a target's action beside its sources and tools: its dependencies and what
 * these export; with `needsTransitiveDeps` everything that they reach, up to targets whose output is complete.
 */
export declare function buildDependencies(graph: Graph, label: Label): Label[];
