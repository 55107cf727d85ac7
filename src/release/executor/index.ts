export { type Clusters, openClusters } from './clusters.ts';
export { execute } from './execute.ts';
export { guarded, type Leadership } from './leadership.ts';
export type * from './types.ts';
