import { hash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { childPath } from '../paths.ts';
import { createSourceTree, sortEntries } from './source-tree.ts';
import type { Entry, EntryKind, SourceTree } from './tree.ts';

/** The files of a workspace with those of subrepos that are built. */
export interface MountedTree extends SourceTree {
  placeOf(path: string): string | undefined;
  /** @param place absolute path of a folder that stays as it is */
  mount(folder: string, place: string): void;
  isMounted(folder: string): boolean;
}

/**
 * A tree in which further folders can be shown, each from elsewhere on the disk; the same one where it is such a tree. They are not listed
 * in the folders above them.
 */
export function createMountedTree(base: SourceTree): MountedTree {
  if ('mount' in base) return base as MountedTree;
  const mounts = new Map<string, { readonly tree: SourceTree; readonly place: string }>();
  /** The innermost one around a path. */
  const around = (path: string) => {
    if (mounts.size === 0) return undefined;
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const found = mounts.get(path.slice(0, end));
      if (found !== undefined) return { ...found, below: path.slice(end + 1) };
    }
    return undefined;
  };
  const ask = <T>(path: string, question: (tree: SourceTree, path: string) => T): T => {
    const found = around(path);
    return found === undefined ? question(base, path) : question(found.tree, found.below);
  };
  return {
    ...base,
    kind: (path) => ask(path, (tree, below) => tree.kind(below)),
    list: (folder) => ask(folder, (tree, below) => tree.list(below)),
    read: (path) => ask(path, (tree, below) => tree.read(below)),
    contentHash: (path) => ask(path, (tree, below) => tree.contentHash(below)),
    isTracked: (path) => ask(path, (tree, below) => tree.isTracked(below)),
    placeOf(path) {
      const found = around(path);
      return found && join(found.place, found.below);
    },
    isMounted: (folder) => mounts.has(folder),
    mount(folder, place) {
      mounts.set(folder, { tree: openFolder(place), place });
    },
  };
}

/** The files of a folder that nobody changes, with the ids that git would give them. */
function openFolder(place: string): SourceTree {
  const listed = new Map<string, ReadonlyMap<string, EntryKind>>();
  const entriesOf = (folder: string): ReadonlyMap<string, EntryKind> => {
    let found = listed.get(folder);
    if (found === undefined) {
      found = new Map(
        foldersEntries(join(place, folder)).flatMap((entry): [string, EntryKind][] => {
          if (entry.isSymbolicLink()) return [[entry.name, 'symlink']];
          if (entry.isDirectory()) return [[entry.name, 'folder']];
          return entry.isFile() ? [[entry.name, 'file']] : [];
        }),
      );
      listed.set(folder, found);
    }
    return found;
  };
  const kind = (path: string): EntryKind | undefined => {
    if (path === '') return 'folder';
    const at = path.lastIndexOf('/');
    const parent = at === -1 ? '' : path.slice(0, at);
    // A link among the folders is followed by whoever asks.
    return parent === '' || kind(parent) === 'folder' ? entriesOf(parent).get(path.slice(at + 1)) : undefined;
  };
  return createSourceTree({
    name: 'a built folder',
    kind,
    list: (folder) =>
      kind(folder) === 'folder'
        ? sortEntries([...entriesOf(folder)].map(([name, each]): Entry => ({ name, kind: each })))
        : [],
    readFile: (path) => readFileSync(join(place, path)),
    readLink: (path) => readlinkSync(join(place, path), 'utf8'),
    fileId(path) {
      const file = join(place, path);
      const bytes = readFileSync(file);
      const id = hash('sha1', Buffer.concat([Buffer.from(`blob ${bytes.length}\0`), bytes]));
      return (lstatSync(file).mode & 0o100) === 0 ? id : `x${id}`;
    },
    submoduleId: (path) => childPath(place, path),
    isTracked: () => false,
    save: async () => {},
  });
}

function foldersEntries(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // No folder: nothing in it.
    return [];
  }
}
