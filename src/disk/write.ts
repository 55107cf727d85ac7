import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Writes a file so that a reader, or a crash at any moment, finds the old bytes or the new ones and nothing between.
 *
 * @param mode permission bits, 0o644 unless told
 * @param durable false for what can be made again and is checked when it is read: a machine that loses its power may then lose
 *   the file, a killed process does not. To wait for the disk costs milliseconds each time
 */
export async function writeAtomically(
  path: string,
  data: string | Uint8Array,
  mode = 0o644,
  durable = true,
): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(data);
      await file.chmod(mode);
      if (durable) await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
