export type { ReleaseContent } from './artifact/index.ts';
export { fetchRelease, kindOf, packRelease } from './artifact/index.ts';
export { createWorkspaceBuilder, type WorkspaceBuilder, type WorkspaceBuilderOptions } from './building/builder.ts';
export { identifyTargets } from './building/identity.ts';
export { diffAll, explainImage, type ImageExplanation } from './building/image-explain.ts';
export { type OpenImage, type OpenOptions, withImage } from './building/image-source.ts';
export { buildIncluded } from './building/included.ts';
export type { FieldChange, ObjectChanges } from './changes.ts';
export { followLogs, type LogsOptions } from './cluster/logs.ts';
export { ensureNamespace, openSession, type Session } from './cluster/session.ts';
export { releaseHistory, serviceStatus, type ViewOptions } from './cluster/status.ts';
export { type DeployOptions, deploy, type RolloutOptions } from './deploy/deploy.ts';
export { type RollbackOptions, rollback } from './deploy/rollback.ts';
export {
  type Drift,
  type DriftedObject,
  migrateDrift,
  openKnownObjects,
  readDrift,
  releaseObjects,
  watchDrift,
} from './drift/index.ts';
export { environmentOf, findService } from './environment.ts';
export * from './evidence/index.ts';
export {
  type Clusters,
  type Concerning,
  type ExecutorOptions,
  execute,
  guarded,
  type Job,
  type Leadership,
  openClusters,
} from './executor/index.ts';
export { ReleaseFault } from './fault.ts';
export {
  type EmergencyReview,
  isSamePerson,
  openEmergencies,
  replacementName,
  requiredGates,
  termsOf,
} from './gates/index.ts';
export { type ReleaseKind, usualKind } from './kind.ts';
export { type MadeRelease, type MakeReleasesOptions, makeReleases } from './make-release.ts';
export * as model from './model/index.ts';
export { originOf } from './origin.ts';
export {
  type Actor,
  type CheckProvenance,
  dropLeaderLease,
  findListed,
  type KnownRelease,
  type KnownTrain,
  type LabelFilter,
  type LeaderLease,
  type ListedPlacement,
  type ListedRelease,
  type ListedService,
  type LiveSummary,
  labelFilterOf,
  listNeeds,
  listPlacements,
  listRollouts,
  listServices,
  type NewRelease,
  type NewTrain,
  type OpenSummary,
  openPlacementStore,
  type Passage,
  type PastRollout,
  type PlacementFilter,
  type PlacementStore,
  type PlacementSummary,
  requireLease,
  type ServiceFilter,
  type Sighting,
  sumOfTests,
  type TestReport,
  takeLeaderLease,
  tellSighting,
} from './placement/index.ts';
export { compareReleases, type Preview, previewInCluster, servedObjects } from './preview.ts';
export { policyOf } from './proof/check.ts';
export { type PinnedPolicy, readPolicies } from './proof/policies.ts';
export { type ProvenanceCheckOptions, provenanceCheck } from './proof/provenance-check.ts';
export {
  type Published,
  type PublishOptions,
  publishProofs,
  signReference,
} from './proof/publish.ts';
export { noteReview, type ReviewSource, reviewNotes, reviewsInNotes } from './proof/reviews.ts';
export { openProofSettings, type ProofSettings, requireProofSettings } from './proof/settings.ts';
export { imageBill } from './proof/statements.ts';
export { attachedBill, verifyReference } from './proof/verify.ts';
export { pushImages, reachOf, registryTransport, workspaceRegistries } from './push.ts';
export { type Leaving, type PreciousObject, previewRemoval, requireYes, tryDeleting } from './removal.ts';
export { renderService } from './render.ts';
export type * from './types.ts';
export { whoAmI } from './who.ts';
export { answersFor, type Candidate, emergenciesOf } from './why.ts';
