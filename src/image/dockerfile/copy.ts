import { posix } from 'node:path';
import type { Changes } from './changes.ts';
import { CopyProblem } from './copy-problem.ts';
import { compileGlob, hasWildcards, withoutEscapes } from './glob.ts';
import type { PathFilter } from './ignore.ts';
import type { ModeChange } from './mode.ts';
import type { Owner } from './owner.ts';
import { type FolderNode, partsOf, resolvePath, type Tree, type TreeNode } from './tree.ts';

/** A file or folder that an instruction's source has turned out to be. */
export interface FoundSource {
  /** Without links. */
  readonly path: readonly string[];
  /** What it is called: the name of the link where it is one. */
  readonly name: string;
  readonly node: TreeNode;
}

/** What of a copy is the same for all its sources. */
export interface CopyOptions {
  /** In place of the source's own. */
  readonly owner: Owner | undefined;
  readonly mode: ModeChange | undefined;
  readonly exclude: PathFilter | undefined;
}

/**
 * What a source names, in the order of names. Wildcards are Go's filepath.Match; one that fits nothing finds nothing.
 *
 * @param what names the tree: `the context`
 * @param byName where a file is that is called by its name alone, as Please has it, whose contexts have no folders
 * @throws CopyProblem missing-source, outside-context
 */
export function findSources(
  tree: Tree,
  source: string,
  what: string,
  byName?: (name: string) => string | undefined,
): FoundSource[] {
  refuseOutside(source, what);
  const parts = partsOf(source);
  const first = parts.findIndex(hasWildcards);
  if (first < 0) {
    const path = parts.map(withoutEscapes);
    const elsewhere = path.length === 1 && tree.at(path) === undefined ? byName?.(path[0] ?? '') : undefined;
    return [findOne(tree, elsewhere === undefined ? path : partsOf(elsewhere), source, what)];
  }
  const base = resolvePath(tree, parts.slice(0, first).map(withoutEscapes));
  const folder = base && tree.at(base);
  if (base === undefined || folder?.type !== 'directory') return [];
  const pattern = parts.slice(first).join('/');
  const fits = compileGlob(pattern);
  if (fits === undefined) throw new CopyProblem('missing-source', `${JSON.stringify(source)} is not a pattern`);
  return matching(folder, '', fits).map((path) => {
    const inside = [...base, ...path.split('/')];
    return { ...findOne(tree, inside, inside.join('/'), what), name: inside.at(-1) ?? '' };
  });
}

/** Goes no deeper below what fits: all that is in it comes with it. */
function matching(folder: FolderNode, below: string, fits: (path: string) => boolean): string[] {
  return sortedNames(folder).flatMap((name) => {
    const path = below === '' ? name : `${below}/${name}`;
    if (fits(path)) return [path];
    const child = folder.children.get(name);
    return child?.type === 'directory' ? matching(child, path, fits) : [];
  });
}

function findOne(tree: Tree, parts: readonly string[], written: string, what: string): FoundSource {
  const path = resolvePath(tree, parts);
  if (path === undefined)
    throw new CopyProblem('bad-source', `${JSON.stringify(written)} is a link that leads in circles`);
  const node = tree.at(path);
  if (node !== undefined) return { path, name: parts.at(-1) ?? '', node };
  const link = tree.at(parts);
  if (link?.type === 'symlink') {
    throw new CopyProblem(
      'outside-context',
      `${JSON.stringify(written)} is a link to ${JSON.stringify(link.target)}, which is not in ${what}`,
      'copy the file itself, or take it into srcs',
    );
  }
  throw new CopyProblem(
    'missing-source',
    `${JSON.stringify(written)} is not in ${what}`,
    what === 'the context' ? 'add it to srcs, or look whether the .dockerignore file leaves it out' : undefined,
  );
}

/** Docker takes `../x` for `x`: nobody who writes it means that. */
export function refuseOutside(source: string, what: string): void {
  let depth = 0;
  for (const part of source.split('/')) {
    if (part === '..') depth -= 1;
    else if (part !== '' && part !== '.') depth += 1;
    if (depth < 0) {
      throw new CopyProblem(
        'outside-context',
        `${JSON.stringify(source)} leads out of ${what}`,
        what === 'the context' ? 'name a target that gives the file in srcs, and copy it by its name' : undefined,
      );
    }
  }
}

/** Whether a destination is a folder by how it is written. */
export function isFolderName(destination: string): boolean {
  const name = posix.basename(destination);
  return destination.endsWith('/') || name === '.' || name === '..' || destination === '';
}

/**
 * Copies one source to the destination, as Docker does: of a folder its contents, of a file the file, into the destination where that
 * is a folder.
 *
 * @param destination absolute
 * @throws CopyProblem
 */
export function copySource(
  changes: Changes,
  { node, name }: Pick<FoundSource, 'node' | 'name'>,
  destination: string,
  options: CopyOptions,
): void {
  const { exclude } = options;
  if (exclude?.fits(name)) return;
  const target = prepareDestination(changes, destination, options);
  const there = changes.tree.at(target);
  if (node.type !== 'directory') {
    const place = there?.type === 'directory' ? [...target, name] : target;
    putOne(changes, node, place, name, options);
    return;
  }
  makeFolders(changes, target, options);
  copyContents(changes, node, target, { include: undefined, ...options }, '', []);
}

/**
 * `--parents`: what fits a pattern, with the folders above it below the point that `/./` marks.
 *
 * @throws CopyProblem
 */
export function copyWithParents(
  changes: Changes,
  tree: Tree,
  source: string,
  destination: string,
  options: CopyOptions & { readonly patternsOf: (patterns: readonly string[]) => PathFilter },
  what: string,
): number {
  refuseOutside(source, what);
  const cut = source.indexOf('/./');
  const pivot = cut < 0 ? [] : partsOf(source.slice(0, cut));
  const pattern = partsOf(cut < 0 ? source : source.slice(cut + 3)).join('/');
  if (!hasWildcards(source)) findOne(tree, [...pivot, ...partsOf(pattern)].map(withoutEscapes), source, what);
  const begin = resolvePath(tree, pivot.map(withoutEscapes));
  const folder = begin && tree.at(begin);
  if (folder?.type !== 'directory') return 0;
  const target = prepareDestination(changes, destination, options);
  makeFolders(changes, target, options);
  const include = pattern === '' ? undefined : options.patternsOf([pattern]);
  return copyContents(changes, folder, target, { ...options, include }, '', []);
}

interface Selection extends CopyOptions {
  readonly include: PathFilter | undefined;
}

/** Folders that are made when something in them is taken. */
interface Waiting {
  readonly node: FolderNode;
  readonly target: readonly string[];
  made: boolean;
}

/** @returns how many files, links and folders were copied */
function copyContents(
  changes: Changes,
  folder: FolderNode,
  target: readonly string[],
  selection: Selection,
  below: string,
  waiting: readonly Waiting[],
): number {
  let count = 0;
  for (const name of sortedNames(folder)) {
    const node = folder.children.get(name);
    if (node === undefined) continue;
    const path = below === '' ? name : `${below}/${name}`;
    const place = [...target, name];
    const taken = (selection.include?.fits(path) ?? true) && !selection.exclude?.fits(path);
    if (taken) {
      for (const each of waiting) {
        if (!each.made) putFolder(changes, each.node, each.target, selection);
        each.made = true;
      }
    }
    if (node.type !== 'directory') {
      if (!taken) continue;
      putOne(changes, node, place, path, selection);
      count += 1;
      continue;
    }
    if (taken) {
      putFolder(changes, node, place, selection);
      count += 1;
    }
    count += copyContents(changes, node, place, selection, path, [...waiting, { node, target: place, made: taken }]);
  }
  return count;
}

/** The folder that a destination names or lies in is there afterwards. @returns the destination without links */
export function prepareDestination(changes: Changes, destination: string, options: CopyOptions): string[] {
  const parts = partsOf(destination);
  const above = resolvePath(changes.tree, isFolderName(destination) ? parts : parts.slice(0, -1));
  if (above === undefined) throw circles(destination);
  makeFolders(changes, above, options);
  const target = resolvePath(changes.tree, parts);
  if (target === undefined) throw circles(destination);
  makeFolders(changes, target.slice(0, -1), options);
  return target;
}

function circles(destination: string): CopyProblem {
  return new CopyProblem('bad-destination', `${JSON.stringify(destination)} is a link that leads in circles`);
}

/** Folders on the way have the owner of what is copied; --chmod is for what is copied. */
function makeFolders(changes: Changes, path: readonly string[], { owner }: CopyOptions): void {
  const inTheWay = changes.makeFolders(path, owner ?? { uid: 0, gid: 0 });
  if (inTheWay === undefined) return;
  throw new CopyProblem('bad-destination', `/${inTheWay.join('/')} is not a folder`);
}

function putFolder(changes: Changes, node: FolderNode, place: readonly string[], options: CopyOptions): void {
  const there = changes.tree.at(place);
  if (there !== undefined && there.type !== 'directory') {
    throw new CopyProblem(
      'bad-destination',
      `a folder would be put in place of /${place.join('/')}, which is ${there.type === 'symlink' ? `a link to ${there.target}` : 'a file'}`,
      there.type === 'symlink' ? 'copy to where the link leads' : undefined,
    );
  }
  const meta = { ...ownerOf(node, options), mode: options.mode?.(node.mode, true) ?? node.mode };
  if (there?.mode === meta.mode && there.uid === meta.uid && there.gid === meta.gid) return;
  changes.put(place, { ...meta, type: 'directory', children: there?.children ?? new Map() });
}

function putOne(
  changes: Changes,
  node: Exclude<TreeNode, FolderNode>,
  place: readonly string[],
  path: string,
  options: CopyOptions,
): void {
  if (changes.tree.at(place)?.type === 'directory' || place.length === 0) {
    throw new CopyProblem('bad-destination', `a file would be put in place of the folder /${place.join('/')}`);
  }
  if (node.type === 'special')
    throw new CopyProblem('bad-source', `${path} is a ${node.what}, which no layer can hold`);
  const owner = ownerOf(node, options);
  if (node.type === 'symlink') changes.put(place, { ...node, ...owner });
  else changes.put(place, { ...node, ...owner, mode: options.mode?.(node.mode, false) ?? node.mode });
}

function ownerOf({ uid, gid }: Owner, { owner }: CopyOptions): Owner {
  return { uid: owner?.uid ?? uid, gid: owner?.gid ?? gid };
}

function sortedNames(folder: FolderNode): string[] {
  return [...folder.children.keys()].sort();
}
