export { type Clusters, openClusters } from './clusters.ts';
export { execute } from './execute.ts';
export type { Leadership } from './leadership.ts';
export type * from './types.ts';
