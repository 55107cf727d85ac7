export type { Affected, SinceOptions } from './affected/affected.ts';
export type { Cause, Explanation, FileChange } from './affected/explain.ts';
export type { Origin } from './affected/origin.ts';
export { providedFor, type Role, resolvedDependencies } from './evaluate/dependency.ts';
export type { BuiltText } from './evaluate/included.ts';
export { declaredOutputs, groupNames, nameIn, outputNamesOf } from './evaluate/output-names.ts';
export { GraphFault } from './fault.ts';
export type { Entry, EntryKind, SourceTree } from './files/tree.ts';
export { openWorkTree } from './files/work-tree.ts';
export { createTargetHasher, type HashOptions, targetHash } from './hash/hash.ts';
export { stampFile } from './hash/stamp.ts';
export {
  affectedSince,
  completeLabel,
  explainSince,
  loadBuildFunctions,
  loadGraph,
  loadUnchecked,
  loadWholeGraph,
} from './heavy.ts';
export type { HashedGraph, HashedTargets } from './kept/cached-load.ts';
export { keepsGraphs } from './kept/large.ts';
export { loadForBuild, loadTargets, loadWorkspaceGraph } from './kept/quick-load.ts';
export type { GrowingTargets } from './load/grow.ts';
export type { BuildIncluded, BuildRequest, Graph, LoadOptions } from './load/load.ts';
export {
  besideName,
  isTargetVisible,
  type LabelPattern,
  labelOf,
  looksLikeLabel,
  parseLabel,
  parsePattern,
  splitLabel,
} from './names/label.ts';
export { type LabelFilter, passesFilter } from './names/label-filter.ts';
export { matchPath } from './names/wildcard.ts';
export { outputPaths, targetsMaking, targetsReading } from './query/file-query.ts';
export { formatTarget } from './query/format-target.ts';
export {
  buildDependencies,
  dependencies,
  directDependencies,
  findTarget,
  reached,
  reverseDependencies,
  targetsMatching,
} from './query/query.ts';
export { somePath } from './query/some-path.ts';
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
export { algorithmsOf, usualSums } from './workspace/sums.ts';
export { openWorkspace } from './workspace/workspace.ts';
