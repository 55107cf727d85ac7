export { readDrift } from './store.ts';
export type { Drift, DriftedObject, ShownField } from './types.ts';
export { type DriftOptions, watchDrift } from './watch.ts';
