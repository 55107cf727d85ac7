export { dropLeaderLease, type LeaderLease, takeLeaderLease } from './lease.ts';
export { type Actor, type KnownRelease, openPlacementStore, type PlacementStore } from './store.ts';
