export { canaryName, requireSplittable, stageDocuments, trackLabel } from './canary.ts';
export { type StageRequest, watchStage } from './watch.ts';
