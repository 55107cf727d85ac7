export type { Affected, SinceOptions } from './affected.ts';
export type { HashedGraph, HashedTargets } from './cached-load.ts';
export { providedFor, type Role, resolvedDependencies } from './dependency.ts';
export type { Cause, Explanation, FileChange } from './explain.ts';
export { GraphFault } from './fault.ts';
export { outputPaths, targetsMaking, targetsReading } from './file-query.ts';
export { formatTarget } from './format-target.ts';
export type { GrowingTargets } from './grow.ts';
export { createTargetHasher, type HashOptions, targetHash } from './hash.ts';
export {
  affectedSince,
  completeLabel,
  explainSince,
  loadBuildFunctions,
  loadGraph,
  loadUnchecked,
  loadWholeGraph,
} from './heavy.ts';
export type { BuiltText } from './included.ts';
export {
  besideName,
  isTargetVisible,
  type LabelPattern,
  labelOf,
  looksLikeLabel,
  parseLabel,
  parsePattern,
  splitLabel,
} from './label.ts';
export { type LabelFilter, passesFilter } from './label-filter.ts';
export { keepsGraphs } from './large.ts';
export type { BuildIncluded, BuildRequest, Graph, LoadOptions } from './load.ts';
export type { Origin } from './origin.ts';
export { declaredOutputs, groupNames, nameIn, outputNamesOf } from './output-names.ts';
export {
  buildDependencies,
  dependencies,
  directDependencies,
  findTarget,
  reached,
  reverseDependencies,
  targetsMatching,
} from './query.ts';
export { loadForBuild, loadTargets, loadWorkspaceGraph } from './quick-load.ts';
export { somePath } from './some-path.ts';
export { stampFile } from './stamp.ts';
export { algorithmsOf, usualSums } from './sums.ts';
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
  SumAlgorithm,
  Target,
  Test,
  Workspace,
} from './types.ts';
export { matchPath } from './wildcard.ts';
export { openWorkTree } from './work-tree.ts';
export { openWorkspace } from './workspace.ts';
