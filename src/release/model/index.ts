export { advance } from './advance.ts';
export { type Bisection, bisect, type Finding } from './bisect.ts';
export { emptyPlacement, findRollout } from './change.ts';
export { holdsOn, isHeld, isInForce } from './hold.ts';
export { nextMoment } from './next-moment.ts';
export { healthyRelease, nextAutomatic, provenReleases } from './promotion.ts';
export { goodReleases, lastGoodRelease, newestStarted, releaseBefore } from './rollback.ts';
export { stageEnds, stageOf } from './stage.ts';
export {
  activeRollout,
  baseRollout,
  goesBack,
  hasEnded,
  hasStarted,
  isActive,
  isBeingRemoved,
  isRemoval,
  isWaiting,
  liveRollout,
  presentRollout,
  transitions,
  waitingRollouts,
} from './state.ts';
export { type Car, type CarState, carRollout, lookAtTrain, planTrain, type Train, type TrainPlan } from './train.ts';
export type * from './types.ts';
