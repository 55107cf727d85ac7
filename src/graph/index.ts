export { type Affected, affected, affectedSince, explainSince, type SinceOptions } from './affected.ts';
export { type HashedGraph, type HashedTargets, loadWholeGraph } from './cached-load.ts';
export { openCommit } from './commit-tree.ts';
export { completeLabel } from './complete.ts';
export { type Role, resolvedDependencies } from './dependency.ts';
export { type Cause, type Explanation, explain, type FileChange } from './explain.ts';
export { GraphFault } from './fault.ts';
export { outputPaths, targetsMaking, targetsReading } from './file-query.ts';
export { formatTarget } from './format-target.ts';
export { buildFunctions } from './functions.ts';
export type { GrowingTargets } from './grow.ts';
export { createTargetHasher, type HashOptions, targetHash } from './hash.ts';
export type { BuiltText } from './included.ts';
export {
  besideName,
  isTargetVisible,
  type LabelPattern,
  labelOf,
  parseLabel,
  parsePattern,
  splitLabel,
} from './label.ts';
export { type LabelFilter, passesFilter } from './label-filter.ts';
export { type BuildIncluded, type Graph, type LoadOptions, loadGraph, loadTargets, loadUnchecked } from './load.ts';
export type { Origin } from './origin.ts';
export {
  buildDependencies,
  dependencies,
  directDependencies,
  findTarget,
  reverseDependencies,
  targetsMatching,
} from './query.ts';
export { somePath } from './some-path.ts';
export { stampFile } from './stamp.ts';
export { keepsGraphs } from './state.ts';
export type { Entry, EntryKind, SourceTree } from './tree.ts';
export type {
  Action,
  Environment,
  GateForm,
  Input,
  Inputs,
  Json,
  Label,
  Package,
  ProgressiveForm,
  RemoteCacheForm,
  RuleFile,
  SpanForm,
  StepForm,
  Target,
  Test,
  Workspace,
} from './types.ts';
export { matchPath } from './wildcard.ts';
export { openWorkTree } from './work-tree.ts';
export { openWorkspace } from './workspace.ts';
