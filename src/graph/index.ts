export { type Affected, affected, affectedSince, type SinceOptions } from './affected.ts';
export { openCommit } from './commit-tree.ts';
export { GraphFault } from './fault.ts';
export { createTargetHasher, type HashOptions, targetHash } from './hash.ts';
export { isTargetVisible, type LabelPattern, labelOf, parseLabel, parsePattern, splitLabel } from './label.ts';
export { type Graph, type LoadOptions, loadGraph, loadTargets, type Package, type RuleFile } from './load.ts';
export {
  buildDependencies,
  dependencies,
  directDependencies,
  findTarget,
  reverseDependencies,
  targetsMatching,
} from './query.ts';
export type { Entry, EntryKind, SourceTree } from './tree.ts';
export type { Action, Input, Inputs, Json, Label, Target, Test } from './types.ts';
export { openWorkTree } from './work-tree.ts';
export { type Environment, openWorkspace, type Workspace } from './workspace.ts';
