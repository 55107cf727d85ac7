export {
  type ApplyOptions,
  applyObject,
  applyPlan,
  ObjectFault,
  type PlannedObject,
  type PlanOptions,
  planApply,
} from './apply.ts';
export { differences } from './compare.ts';
export { mapConcurrently } from './concurrent.ts';
export { type ConnectOptions, connect } from './connect.ts';
export { type Cause, type Diagnosis, diagnose, type HttpProbe, type Symptoms } from './diagnose.ts';
export { type FieldCause, isKubeFault, KubeFault, type KubeFaultCode } from './fault.ts';
export { type Health, healthOf } from './health.ts';
export { containerLog, type LogEntry, type LogOptions, lastLines } from './logs.ts';
export { type Changes, changesIn, type Mirror, openMirror } from './mirror.ts';
export { createObjectIndex, type ObjectIndex } from './object-index.ts';
export {
  createObject,
  type DeleteOptions,
  deleteObject,
  fieldManager,
  getObject,
  listObjects,
  nameOf,
  replaceObject,
  type Selection,
} from './objects.ts';
export { inOrder } from './order.ts';
export {
  type ContainerStatus,
  containerStatuses,
  isFinished,
  isReady,
  type Objects,
  type Pod,
  podState,
  podsOf,
  type WorkloadPods,
} from './pods.ts';
export { askProbe } from './probe.ts';
export {
  applySetId,
  asMember,
  groupKinds,
  idLabel,
  isPrecious,
  kindsAnnotation,
  listMembers,
  partOfLabel,
  prune,
  toolingAnnotation,
} from './prune.ts';
export { type MeasuredRequest, onRequest } from './traced.ts';
export type * from './types.ts';
export { type WatchEvent, watchObjects } from './watch.ts';
export { openWatches } from './watch-age.ts';
