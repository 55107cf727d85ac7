import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Removes files and folders by their names, wherever they lie below a folder. Patterns have `*` and `?`, as find(1) has them. */
export async function stripNames(folder: string, patterns: readonly string[]): Promise<void> {
  if (patterns.length > 0) await strip(folder, patterns.map(namePattern));
}

async function strip(folder: string, patterns: readonly RegExp[]): Promise<void> {
  for (const child of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, child.name);
    if (patterns.some((pattern) => pattern.test(child.name))) await rm(path, { recursive: true });
    else if (child.isDirectory()) await strip(path, patterns);
  }
}

function namePattern(text: string): RegExp {
  const escaped = text
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}$`);
}
