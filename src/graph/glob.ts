import { childPath, lastPart } from './paths.ts';
import type { SourceTree } from './tree.ts';
import { matchName, matchPath } from './wildcard.ts';

export interface GlobOptions {
  readonly include: readonly string[];
  /** A pattern without `/` leaves out files of that name at any depth. */
  readonly exclude: readonly string[];
  /** Names that begin with a dot too. */
  readonly hidden: boolean;
  readonly includeSymlinks: boolean;
}

/**
 * Files of a package that fit patterns, relative to it, in order. Stops at folders that are packages of their own and
 * at submodules; leaves out the BUILD file, so that a comment in it changes no target.
 */
export function globFiles(
  tree: SourceTree,
  folder: string,
  buildFiles: readonly string[],
  options: GlobOptions,
): string[] {
  const include = options.include.map((pattern) => normalised(pattern));
  const exclude = options.exclude.map((pattern) => ({
    pattern: normalised(pattern),
    name: pattern.includes('/') ? undefined : pattern,
  }));
  // Most globs name one folder: look no deeper than the patterns reach.
  const depth = Math.max(
    0,
    ...include.map((parts) => (parts.includes('**') ? Number.POSITIVE_INFINITY : parts.length)),
  );
  const found: string[] = [];
  const walk = (path: string, parts: readonly string[]) => {
    for (const { name, kind } of tree.list(path)) {
      if (!options.hidden && name.startsWith('.')) continue;
      const inside = [...parts, name];
      const full = childPath(path, name);
      if (kind === 'folder') {
        if (inside.length < depth && buildFileOf(tree, full, buildFiles) === undefined) walk(full, inside);
        continue;
      }
      if (kind === 'submodule' || (kind === 'symlink' && !options.includeSymlinks)) continue;
      if (parts.length === 0 && buildFiles.includes(name)) continue;
      if (!include.some((pattern) => matchPath(pattern, inside))) continue;
      const excluded = exclude.some(
        ({ pattern, name: only }) => matchPath(pattern, inside) || (only !== undefined && matchName(only, name)),
      );
      if (!excluded) found.push(inside.join('/'));
    }
  };
  walk(folder, []);
  return found.sort();
}

function normalised(pattern: string): string[] {
  return pattern.split('/').filter((part) => part !== '' && part !== '.');
}

/** Path of the BUILD file that makes a folder a package; undefined where it is none. */
export function buildFileOf(tree: SourceTree, folder: string, buildFiles: readonly string[]): string | undefined {
  for (const name of buildFiles) {
    const entry = tree.list(folder).find((each) => each.name === name);
    if (entry?.kind === 'file' || entry?.kind === 'symlink') return childPath(folder, name);
  }
  return undefined;
}

/** Names of all packages in and below a folder, sorted. */
export function findPackages(tree: SourceTree, folder: string, buildFiles: readonly string[]): string[] {
  const packages: string[] = [];
  const pending = [folder];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const { name, kind } of tree.list(at)) {
      if (kind === 'folder') pending.push(childPath(at, name));
    }
    if (buildFileOf(tree, at, buildFiles) !== undefined) packages.push(at);
  }
  return packages.sort();
}

/** The package that a path lies in, from the path's own folder upwards; undefined where there is none. */
export function packageOf(tree: SourceTree, path: string, buildFiles: readonly string[]): string | undefined {
  let folder = path;
  while (folder !== '') {
    folder = folder.slice(0, Math.max(0, folder.length - lastPart(folder).length - 1));
    if (buildFileOf(tree, folder, buildFiles) !== undefined) return folder;
  }
  return undefined;
}
