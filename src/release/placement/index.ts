export { type CheckProvenance, type FactStore, sumOfTests, type TestReport, testProofs } from './facts.ts';
export type { Actor, KnownRelease } from './known.ts';
export { dropLeaderLease, type LeaderLease, takeLeaderLease } from './lease.ts';
export { openPlacementStore, type PlacementStore } from './store.ts';
