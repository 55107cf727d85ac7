import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes the output folder, with a word to git that nothing in it is to be committed: `git add .` would take in all that was built. */
export async function hideFromGit(folder: string): Promise<void> {
  const place = join(folder, '.gitignore');
  if (existsSync(place)) return;
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await writeFile(place, '*\n');
}
