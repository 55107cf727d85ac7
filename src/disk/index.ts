export { hashFile } from './hash.ts';
export { keepRecent } from './keep-recent.ts';
export { LockFault, removeDeadLocks, withLock } from './lock.ts';
export { cacheFolder, stateFolder } from './places.ts';
export { writeAtomically } from './write.ts';
