export { beginStanding, createBuilder } from './builder.ts';
export { BuildFault } from './fault.ts';
export {
  formatGoLock,
  type GoLock,
  type GoLocked,
  type KnownModule,
  lockGo,
  type WantedDownload,
  type WantedRepo,
} from './go/module/lock.ts';
export { languageActions } from './language-actions.ts';
export { layOutSources } from './lay-out-sources.ts';
export { checkId, fetchArtifact } from './maven/action.ts';
export { lockedPackages as lockedNpmPackages } from './npm/lock.ts';
export { findWheel, type LockedWheel, normalName } from './python/pip.ts';
export { sumOfWheel } from './python/wheel.ts';
export { systemIdentity } from './system-file.ts';
export { resolveTool, type Tool } from './tool.ts';
export type {
  Builder,
  BuilderOptions,
  BuildResult,
  BuiltFile,
  BuiltinAction,
  BuiltinActions,
  BuiltinRequest,
  BuiltTarget,
  LaidDependency,
  LaidInput,
  LaidInputs,
  RunOptions,
  TestCase,
  TestedTarget,
  TestOptions,
  TestResult,
  ToolOutput,
  ToolRequest,
} from './types.ts';
export { readZip, unpack } from './zip/read.ts';
