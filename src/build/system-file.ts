import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import type { Target } from '../graph/index.ts';
import { hashFile } from './blobs.ts';
import { BuildFault } from './fault.ts';
import { describeSource } from './source.ts';

/** Where a path of the system is, `~/` being the home folder of whoever builds. */
export function systemPath(path: string): string {
  return path.startsWith('~/') ? `${homedir()}${path.slice(1)}` : path;
}

/**
 * The sum of a file of the system, or of a folder with all that is in it.
 *
 * @param whose the target that takes it
 * @throws BuildFault build/missing-system-file
 */
export async function systemSum(path: string, whose: Target): Promise<string> {
  try {
    return await sumOf(path);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : "can't be read";
    throw new BuildFault('build/missing-system-file', `${path}, which ${whose.label} takes from the system, ${why}`, {
      place: whose.place,
      next: 'install what brings it, or take it out of system_srcs',
      cause,
    });
  }
}

/** What such a file is, for comparing machines and times: also that it is not there. */
export function systemIdentity(path: string): Promise<string> {
  return sumOf(path).catch((error: NodeJS.ErrnoException) => `unknown: ${error.code}`);
}

async function sumOf(path: string): Promise<string> {
  const absolute = systemPath(path);
  const info = await stat(absolute);
  if (info.isDirectory()) return (await describeSource(absolute, path)).sha256;
  return `${(info.mode & 0o100) !== 0 ? 'x' : ''}${await hashFile(absolute)}`;
}
