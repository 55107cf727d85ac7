import { matchName, matchPath } from '../names/wildcard.ts';

/** One line of a .gitignore file. */
interface Rule {
  readonly negated: boolean;
  readonly folderOnly: boolean;
  /** Parts below the file's folder; undefined where the pattern is a name at any depth. */
  readonly parts: readonly string[] | undefined;
  readonly name: string;
}

/** The rules of one .gitignore file, for the folder where it stands. See gitignore(5). */
export interface IgnoreFile {
  /** Folder of the file, relative to the root that paths count from. */
  readonly folder: string;
  readonly rules: readonly Rule[];
}

export function parseIgnoreFile(folder: string, text: string): IgnoreFile {
  const rules: Rule[] = [];
  for (const line of text.split(/\r?\n/)) {
    let pattern = line.replace(/^\uFEFF/, '');
    // Spaces at the end count only behind a backslash.
    pattern = pattern.replace(/(\\ )? *$/, '$1');
    if (pattern === '' || pattern.startsWith('#')) continue;
    const negated = pattern.startsWith('!');
    if (negated) pattern = pattern.slice(1);
    const folderOnly = pattern.endsWith('/');
    if (folderOnly) pattern = pattern.slice(0, -1);
    if (pattern === '') continue;
    const anchored = pattern.includes('/');
    const parts = pattern.replace(/^\//, '').split('/');
    rules.push({ negated, folderOnly, parts: anchored ? parts : undefined, name: pattern });
  }
  return { folder, rules };
}

/**
 * Whether git would ignore what stands at a path, its folders not being ignored themselves.
 *
 * @param files from the outermost folder inwards; the innermost file decides, and in it the last rule that fits
 */
export function isIgnored(files: readonly IgnoreFile[], path: string, isFolder: boolean): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  for (let index = files.length - 1; index >= 0; index--) {
    const { folder, rules } = files[index]!;
    const below = folder === '' ? path : path.slice(folder.length + 1);
    for (let at = rules.length - 1; at >= 0; at--) {
      const rule = rules[at]!;
      if (rule.folderOnly && !isFolder) continue;
      const fits = rule.parts === undefined ? matchName(rule.name, name) : fitsPath(rule.parts, below.split('/'));
      if (fits) return !rule.negated;
    }
  }
  return false;
}

/** A `**` at the end stands for what is inside a folder, not for the folder itself. */
function fitsPath(pattern: readonly string[], path: readonly string[]): boolean {
  if (pattern.at(-1) === '**' && pattern.length > 1) return matchPath([...pattern, '*'], path);
  return matchPath(pattern, path);
}
