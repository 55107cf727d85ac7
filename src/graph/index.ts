export { type Affected, affected, affectedSince, type SinceOptions } from './affected.ts';
export { openCommit } from './commit-tree.ts';
export { GraphFault } from './fault.ts';
export { createTargetHasher, type HashOptions, targetHash } from './hash.ts';
export { isTargetVisible, type LabelPattern, labelOf, parseLabel, parsePattern, splitLabel } from './label.ts';
export { type Graph, type LoadOptions, loadGraph, loadTargets, loadUnchecked } from './load.ts';
export {
  buildDependencies,
  dependencies,
  directDependencies,
  findTarget,
  reverseDependencies,
  targetsMatching,
} from './query.ts';
export type { Entry, EntryKind, SourceTree } from './tree.ts';
export type {
  Action,
  Environment,
  Input,
  Inputs,
  Json,
  Label,
  Package,
  RuleFile,
  Target,
  Test,
  Workspace,
} from './types.ts';
export { openWorkTree } from './work-tree.ts';
export { openWorkspace } from './workspace.ts';
