/**
 * What evaluates: the language and all that stands on it takes longer to load than most questions take to answer, where the answer
 * was kept. Each function is that of its file, which is loaded when it is called.
 */
import type * as affected from './affected/affected.ts';
import type * as functions from './evaluate/functions.ts';
import type * as cachedLoad from './kept/cached-load.ts';
import type * as load from './load/load.ts';
import type * as complete from './query/complete.ts';

export const affectedSince: typeof affected.affectedSince = async (...given) =>
  (await import('./affected/affected.ts')).affectedSince(...given);

export const explainSince: typeof affected.explainSince = async (...given) =>
  (await import('./affected/affected.ts')).explainSince(...given);

export const loadWholeGraph: typeof cachedLoad.loadWholeGraph = async (...given) =>
  (await import('./kept/cached-load.ts')).loadWholeGraph(...given);

export const completeLabel: typeof complete.completeLabel = async (...given) =>
  (await import('./query/complete.ts')).completeLabel(...given);

export const loadGraph: typeof load.loadGraph = async (...given) =>
  (await import('./load/load.ts')).loadGraph(...given);

export const loadUnchecked: typeof load.loadUnchecked = async (...given) =>
  (await import('./load/load.ts')).loadUnchecked(...given);

/** Every function that BUILD files can call, for their documentation. */
export const loadBuildFunctions = async (): Promise<typeof functions.buildFunctions> =>
  (await import('./evaluate/functions.ts')).buildFunctions;
