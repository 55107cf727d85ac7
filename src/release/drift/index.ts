export {
  type AppliedObject,
  appliedSet,
  type IsAsApplied,
  type KnownObjects,
  openKnownObjects,
  whatIsApplied,
} from './known.ts';
export { basisOf } from './marks.ts';
export { releaseObjects } from './objects.ts';
export { migrateDrift, readDrift } from './store.ts';
export { type Drift, type DriftedObject, objectKey, type ShownField } from './types.ts';
export { type DriftOptions, watchDrift } from './watch.ts';
