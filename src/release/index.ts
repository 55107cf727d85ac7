export { createWorkspaceBuilder, type WorkspaceBuilder, type WorkspaceBuilderOptions } from './builder.ts';
export { type DeployOptions, deploy, type RolloutOptions } from './deploy.ts';
export { environmentOf, findService } from './environment.ts';
export { ReleaseFault } from './fault.ts';
export { followLogs, type LogsOptions } from './logs.ts';
export { renderService } from './render.ts';
export { type RollbackOptions, rollback } from './rollback.ts';
export { releaseHistory, serviceStatus, type ViewOptions } from './status.ts';
export type * from './types.ts';
