export { type CheckProvenance, type FactStore, sumOfTests, type TestReport, testProofs } from './facts.ts';
export type { Actor, KnownRelease, NewRelease } from './known.ts';
export { dropLeaderLease, type LeaderLease, requireLease, takeLeaderLease } from './lease.ts';
export {
  findListed,
  type ListedPlacement,
  type ListedRelease,
  type ListedService,
  listNeeds,
  listPlacements,
  listPlaces,
  listRollouts,
  listServices,
  type PastRollout,
  type PlacementFilter,
  type ServiceFilter,
} from './list.ts';
export type { Passage } from './passage.ts';
export { type LabelFilter, labelFilterOf } from './pattern.ts';
export { type Changed, openPlacementStore, type PlacementStore } from './store.ts';
export type { LiveSummary, OpenSummary, PlacementSummary } from './summary.ts';
export { mostTogether, together } from './together.ts';
export { tracePlaceOf } from './trace.ts';
export type { KnownTrain, NewTrain, TrainStore } from './trains.ts';
export { type Sighting, tellSighting } from './workspace.ts';
