import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../fault/index.ts';

export class LockFault extends Fault<'disk/locked'> {}

export interface LockOptions {
  /** Milliseconds to wait for another holder; 10 minutes unless told. */
  readonly timeout?: number;
  /** Called once when another process holds the lock. */
  readonly onWait?: (holder: string) => void;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

/**
 * Runs `body` while this process alone holds the lock file. A holder that died is recognised by its process id
 * and start time, so that `kill -9` never leaves a lock behind.
 *
 * @throws LockFault disk/locked after the timeout; the signal's reason
 */
export async function withLock<T>(path: string, body: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const mine = `${process.pid} ${await startTime(process.pid)}`;
  const deadline = Date.now() + (options.timeout ?? 600_000);
  await mkdir(dirname(path), { recursive: true });
  const candidate = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(candidate, mine);
  let told = false;
  try {
    // link(2) fails where the name exists: the lock appears whole or not at all.
    while (!(await tryLink(candidate, path))) {
      const holder = await readFile(path, 'utf8').catch(() => '');
      if (holder !== '' && !(await alive(holder))) {
        await removeStale(path, holder);
        continue;
      }
      if (!told && holder !== '') {
        told = true;
        options.onWait?.(holder.split(' ')[0] ?? '');
      }
      if (Date.now() > deadline) {
        throw new LockFault('disk/locked', `process ${holder.split(' ')[0]} has held ${path} for too long`, {
          next: 'wait for that process to end, or stop it, and try again',
        });
      }
      await sleep(50, undefined, { ...(options.signal && { signal: options.signal }) });
    }
  } finally {
    await rm(candidate, { force: true });
  }
  try {
    return await body();
  } finally {
    await rm(path, { force: true });
  }
}

/** Removes the locks in a folder whose holders have died: nobody may ever ask for these again. */
export async function removeDeadLocks(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const holder = await readFile(path, 'utf8').catch(() => '');
    if (holder !== '' && !(await alive(holder))) await removeStale(path, holder);
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Only one waiter may clear a dead holder's lock, or a second could remove the first's fresh one. */
async function removeStale(path: string, holder: string): Promise<void> {
  const guard = `${path}.stale`;
  try {
    await writeFile(guard, '', { flag: 'wx' });
  } catch {
    const age = Date.now() - ((await stat(guard).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > 5_000) await rm(guard, { force: true });
    await sleep(20);
    return;
  }
  try {
    if ((await readFile(path, 'utf8').catch(() => '')) === holder) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

async function alive(holder: string): Promise<boolean> {
  const [pid, started] = holder.split(' ');
  const now = await startTime(Number(pid));
  return now !== '' && now === started;
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot; empty where there is no such process. See proc(5). */
async function startTime(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
