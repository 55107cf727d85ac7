import { join } from 'node:path';
import { removeDeadLocks, withLock } from '../disk/index.ts';
import type { Task } from '../progress/index.ts';

export interface MakeOnce<Result> {
  /** The cache, which all processes of this machine share. */
  readonly cacheFolder: string;
  readonly key: string;
  readonly task: Task;
  readonly signal: AbortSignal;
  /** What another process has made meanwhile; undefined where it has failed, or makes nothing that is kept. */
  readonly found: () => Promise<Result | undefined>;
}

const folderOf = (cacheFolder: string) => join(cacheFolder, 'making');

/** Makes what a key names, unless another process is about to: then that one is waited for, and what it has made is taken. */
export async function makeOnce<Result>(
  { cacheFolder, key, task, signal, found }: MakeOnce<Result>,
  make: () => Promise<Result>,
): Promise<Result> {
  const onWait = (holder: string) => task.update(`process ${holder} makes it`);
  // It may have been made between the look that did not find it and this.
  const body = async () => (await found()) ?? (await make());
  // The holder's own time-out ends it; a holder that has died holds nothing.
  return await withLock(join(folderOf(cacheFolder), key), body, { timeout: Number.POSITIVE_INFINITY, signal, onWait });
}

/** Removes what processes that were killed have left. */
export async function forgetMaking(cacheFolder: string): Promise<void> {
  await removeDeadLocks(folderOf(cacheFolder));
}
