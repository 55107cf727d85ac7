import { readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Bounds {
  /** Files that stay, at most. */
  readonly files?: number;
  /** Bytes that stay, at most, all files together. */
  readonly bytes?: number;
}

/**
 * Removes files of a folder, and of those in it, until what is left is within bounds: those whose time of modification is longest ago go
 * first. The newest stays, however large. Folders that become empty go too. Files that somebody else removes meanwhile are no error.
 */
export function keepRecent(folder: string, bounds: Bounds): void {
  const { files = Number.POSITIVE_INFINITY, bytes = Number.POSITIVE_INFINITY } = bounds;
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  if (paths.length <= files && bytes === Number.POSITIVE_INFINITY) return;
  const found = paths.map((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    return { path, used: stat?.mtimeMs ?? 0, size: stat?.size ?? 0 };
  });
  found.sort((a, b) => b.used - a.used);
  let total = 0;
  for (const [place, { path, size }] of found.entries()) {
    total += size;
    if (place === 0 || (place < files && total <= bytes)) continue;
    rmSync(path, { force: true });
    removeWhereEmpty(dirname(path), folder);
  }
}

function removeWhereEmpty(folder: string, top: string): void {
  if (folder === top) return;
  try {
    rmdirSync(folder);
  } catch {
    // Something is left in it.
  }
}
