/** A second door, of what builds and knows nothing of releases: a build loads no more. */

export { environmentOf, findService } from '../environment.ts';
export { ReleaseFault } from '../fault.ts';
export { originOf } from '../origin.ts';
export type { Service } from '../types.ts';
export { createWorkspaceBuilder, type WorkspaceBuilder, type WorkspaceBuilderOptions } from './builder.ts';
export { identifyTargets } from './identity.ts';
export { buildIncluded } from './included.ts';
