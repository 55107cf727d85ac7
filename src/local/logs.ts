import { copyFile, open, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from './layout.ts';

/** Bytes of one log; then it is put aside, and the one before it goes. */
const longest = 20 * 1024 * 1024;

/** Processes hold their log open for appending, so that it is copied and emptied in place. */
export async function trimLogs(layout: Layout): Promise<void> {
  for (const name of await readdir(layout.logs).catch(() => [])) {
    if (!name.endsWith('.log')) continue;
    const path = join(layout.logs, name);
    if ((await stat(path)).size < longest) continue;
    await copyFile(path, `${path}.1`);
    await truncate(path);
  }
}

/** The last lines of a process's log, for an error. */
export async function lastLines(layout: Layout, process: string, count = 12): Promise<string[]> {
  let file: import('node:fs/promises').FileHandle;
  try {
    file = await open(join(layout.logs, `${process}.log`), 'r');
  } catch {
    return [];
  }
  try {
    const { size } = await file.stat();
    const length = Math.min(size, 64 * 1024);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8').trimEnd().split('\n').slice(-count);
  } finally {
    await file.close();
  }
}
