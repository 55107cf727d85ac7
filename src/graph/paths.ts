/** Paths of a source tree: relative to the workspace root, `/` between parts, '' for the root itself. */

export function childPath(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

export function parentPath(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

export function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * Joins a relative path with `.` and `..` to a folder.
 *
 * @returns undefined where it is absolute or leads out of the root
 */
export function resolvePath(folder: string, path: string): string | undefined {
  if (path.startsWith('/')) return undefined;
  const parts = folder === '' ? [] : folder.split('/');
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/** Whether a path is one of these, or lies below one. */
export function liesIn(roots: ReadonlySet<string>, path: string): boolean {
  for (let at = path; at !== ''; at = parentPath(at)) if (roots.has(at)) return true;
  return false;
}
