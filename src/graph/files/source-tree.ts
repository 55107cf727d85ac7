import { hash } from 'node:crypto';
import { childPath, lastPart, parentPath, resolvePath } from '../paths.ts';
import type { Entry, EntryKind, SourceTree } from './tree.ts';

/** What a work tree and a commit each do in their own way; links, folders and submodules are then the same for both. */
export interface TreeStore {
  readonly name: string;
  readonly commit?: string;
  /** Symbolic links in the folders of the path are not followed. */
  kind(path: string): EntryKind | undefined;
  list(folder: string): readonly Entry[];
  /** The bytes of what is a file. */
  readFile(path: string): Buffer;
  /** What a symbolic link says. */
  readLink(path: string): string;
  /** Id of a file's blob as git computes it, with `x` in front for an executable one. */
  fileId(path: string): string;
  /** The commit that a submodule stands at, and a mark where files in it differ. */
  submoduleId(path: string): string;
  isTracked(path: string): boolean;
  save(): Promise<void>;
}

/** Where builds put their results; never listed as a source. */
export const outputFolder = 'banksman-out';

/** As many as the kernel follows, see path_resolution(7). */
const maximumLinks = 40;

export function createSourceTree(store: TreeStore): SourceTree {
  const hashes = new Map<string, string | undefined>();
  /** Folders and links whose hash is being computed: a link back into one of them ends there. */
  const pending = new Set<string>();

  /** Where a path leads when the links in it are followed; undefined where it leads nowhere or out of the tree. */
  const follow = (path: string, last: boolean): string | undefined => {
    let at = '';
    let rest = path === '' ? [] : path.split('/');
    for (let links = 0; rest.length > 0; ) {
      const next = childPath(at, rest[0]!);
      rest = rest.slice(1);
      if (store.kind(next) === 'symlink' && (rest.length > 0 || last)) {
        if (++links > maximumLinks) return undefined;
        const target = resolvePath(at, store.readLink(next));
        if (target === undefined) return undefined;
        rest = [...(target === '' ? [] : target.split('/')), ...rest];
        at = '';
      } else at = next;
    }
    return at;
  };

  const submoduleOf = (path: string): string | undefined => {
    for (let at = parentPath(path); at !== ''; at = parentPath(at)) if (store.kind(at) === 'submodule') return at;
    return undefined;
  };

  const hashed = (path: string): string | undefined => {
    const known = hashes.get(path);
    if (known !== undefined || hashes.has(path)) return known;
    if (store.kind(path) === 'file') {
      const id = store.fileId(path);
      hashes.set(path, id);
      return id;
    }
    if (pending.has(path)) return 'loop';
    pending.add(path);
    const result = compute(path);
    pending.delete(path);
    // What was computed inside a loop depends on where the loop was entered.
    if (pending.size === 0) hashes.set(path, result);
    return result;
  };

  const compute = (path: string): string | undefined => {
    switch (store.kind(path)) {
      case 'file':
        return hashed(path);
      case 'symlink': {
        const link = store.readLink(path);
        const target = resolvePath(parentPath(path), link);
        const behind = target === undefined ? 'outside' : (hashed(target) ?? 'nothing');
        return `link ${JSON.stringify(link)} ${behind}`;
      }
      case 'folder': {
        let listing = '';
        for (const entry of store.list(path)) {
          const inside = hashed(childPath(path, entry.name));
          if (inside !== undefined || entry.kind !== 'folder') listing += `${entry.name}\0${inside}\n`;
        }
        return listing === '' && path !== '' ? undefined : `folder ${hash('sha256', listing)}`;
      }
      case 'submodule':
        return `submodule ${store.submoduleId(path)}`;
      case undefined: {
        const module = submoduleOf(path);
        if (module !== undefined) return `submodule ${store.submoduleId(module)} ${path.slice(module.length + 1)}`;
        const real = follow(path, false);
        if (real === undefined || real === path) return undefined;
        const behind = hashed(real);
        return behind === undefined ? undefined : `via ${behind}`;
      }
    }
  };

  const bare = new Map<string, boolean>();
  /** Git knows no folders without files, so that they must not tell a work tree from its commit: there are none. */
  const isBare = (folder: string): boolean => {
    let known = bare.get(folder);
    if (known === undefined) {
      known = store.list(folder).every(({ name, kind }) => kind === 'folder' && isBare(childPath(folder, name)));
      bare.set(folder, known);
    }
    return known;
  };

  return {
    name: store.name,
    commit: store.commit,
    kind(path) {
      const direct = store.kind(path);
      if (direct === 'folder' && path !== '' && isBare(path)) return undefined;
      if (direct !== undefined || path === '') return direct;
      // What lies in a submodule is not looked into: its commit stands for all of it.
      if (submoduleOf(path) !== undefined) return 'file';
      const real = follow(path, false);
      if (real === undefined || real === path) return undefined;
      const behind = store.kind(real);
      return behind === 'folder' && real !== '' && isBare(real) ? undefined : behind;
    },
    list: (folder) => store.list(folder),
    read(path) {
      const real = follow(path, true);
      return real !== undefined && store.kind(real) === 'file' ? store.readFile(real) : undefined;
    },
    contentHash: hashed,
    // Nobody watches the output folder, where no file should be tracked.
    isTracked: (path) => !path.startsWith(`${outputFolder}/`) && store.isTracked(path),
    save: () => store.save(),
  };
}

/** Names in the order of their UTF-16 code units, whatever order the source has. */
export function sortEntries(entries: Entry[]): Entry[] {
  return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Folders of files by path, for stores that know a list of all files. */
export function foldersOf(paths: Iterable<readonly [path: string, kind: EntryKind]>): Map<string, Entry[]> {
  const folders = new Map<string, Entry[]>([['', []]]);
  const entriesOf = (folder: string): Entry[] => {
    const known = folders.get(folder);
    if (known !== undefined) return known;
    const entries: Entry[] = [];
    folders.set(folder, entries);
    entriesOf(parentPath(folder)).push({ name: lastPart(folder), kind: 'folder' });
    return entries;
  };
  for (const [path, kind] of paths) entriesOf(parentPath(path)).push({ name: lastPart(path), kind });
  for (const entries of folders.values()) sortEntries(entries);
  return folders;
}
