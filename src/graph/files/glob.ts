import { matchGlob } from '../names/wildcard.ts';
import { childPath, lastPart } from '../paths.ts';
import type { SourceTree } from './tree.ts';

export interface GlobOptions {
  readonly include: readonly string[];
  /** A pattern without `/` leaves out files of that name at any depth; a path all that is below it. */
  readonly exclude: readonly string[];
  /** Names that begin with a dot too. */
  readonly hidden: boolean;
  readonly includeSymlinks: boolean;
}

/**
 * Files of a package that fit patterns, relative to it: those of the first pattern first, each pattern's in the order of their
 * names, folder by folder. Stops at folders that are packages of their own and at submodules; leaves out the BUILD file, so that
 * a comment in it changes no target.
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
    path: normalised(pattern).join('/'),
    name: pattern.includes('/') ? undefined : pattern,
  }));
  // Most globs name one folder: look no deeper than the patterns reach.
  const depth = Math.max(
    0,
    ...include.map((parts) => (parts.some((part) => part.includes('**')) ? Number.POSITIVE_INFINITY : parts.length)),
  );
  const found: string[][] = include.map(() => []);
  const walk = (path: string, parts: readonly string[]) => {
    for (const { name, kind } of tree.list(path)) {
      const inside = [...parts, name];
      if (kind === 'folder') {
        const full = childPath(path, name);
        if (inside.length < depth && buildFileOf(tree, full, buildFiles) === undefined) walk(full, inside);
        continue;
      }
      if (!options.hidden && isHidden(name)) continue;
      if (kind === 'submodule' || (kind === 'symlink' && !options.includeSymlinks)) continue;
      if (parts.length === 0 && buildFiles.includes(name)) continue;
      const fitting = include.findIndex((pattern) => matchGlob(pattern, inside));
      if (fitting === -1) continue;
      const whole = inside.join('/');
      const excluded = exclude.some(
        ({ pattern, path: excluded, name: only }) =>
          matchGlob(pattern, inside) ||
          (only !== undefined && matchGlob([only], [name])) ||
          whole.startsWith(`${excluded}/`),
      );
      if (!excluded) found[fitting]!.push(whole);
    }
  };
  walk(folder, []);
  return found.flat();
}

/** Files in folders whose names begin with a dot are not hidden by that. */
function isHidden(name: string): boolean {
  return name.startsWith('.') || /^#.*#$/.test(name);
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
