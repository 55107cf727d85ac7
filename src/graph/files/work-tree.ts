import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, lstatSync, openSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type Index, readIndex } from '../git/index-file.ts';
import { findRepository, type Repository } from '../git/repository.ts';
import { submoduleState } from '../git/submodule.ts';
import { childPath, parentPath } from '../paths.ts';
import { type HashCache, openHashCache } from './hash-cache.ts';
import { type IgnoreFile, isIgnored, parseIgnoreFile } from './ignore.ts';
import { ObservationNotes, type Observations, readFolder } from './observed.ts';
import { createSourceTree, outputFolder, sortEntries, type TreeStore } from './source-tree.ts';
import type { Entry, EntryKind, SourceTree } from './tree.ts';

/**
 * The files as they lie on the disk now. What git ignores is not listed, but can be named. A tree is for one command:
 * what it has once seen it doesn't look at again.
 *
 * @param changes paths of all files that are not as git's index has them, where that is known: others are not looked at
 */
export function openWorkTree(root: string, changes?: ReadonlySet<string>): SourceTree {
  return createSourceTree(new WorkTreeStore(root, changes));
}

/**
 * The same, with all that is asked of it noted.
 *
 * @returns `observed`: what was asked so far; undefined where that includes what can't be noted
 */
export function openObservedWorkTree(root: string): {
  readonly tree: SourceTree;
  observed(): Observations | undefined;
} {
  const notes = new ObservationNotes(root, findRepository(root));
  return { tree: createSourceTree(new WorkTreeStore(root, undefined, notes)), observed: () => notes.all() };
}

/** What git knows a folder's files to be: which patterns of .gitignore files hold there. */
interface IgnoreState {
  readonly files: readonly IgnoreFile[];
  /** The folder itself is ignored: only what is tracked in it counts. */
  readonly whole: boolean;
}

const noEntries: ReadonlyMap<string, EntryKind> = new Map();

class WorkTreeStore implements TreeStore {
  readonly name = 'the work tree';
  private readonly root: string;
  private readonly changes: ReadonlySet<string> | undefined;
  private readonly repository: Repository | undefined;
  private index: Index | undefined;
  private indexRead = false;
  private readonly raw = new Map<string, ReadonlyMap<string, EntryKind>>();
  private readonly listed = new Map<string, readonly Entry[]>();
  private readonly ignoring = new Map<string, IgnoreState>();
  private readonly opaque = new Map<string, boolean>();
  private cache: HashCache | undefined;
  private readonly notes: ObservationNotes | undefined;

  constructor(root: string, changes?: ReadonlySet<string>, notes?: ObservationNotes) {
    this.root = root;
    this.changes = changes;
    this.notes = notes;
    this.repository = findRepository(root);
  }

  kind(path: string): EntryKind | undefined {
    if (path === '') return 'folder';
    const parent = parentPath(path);
    // What lies in a repository of its own is as unknown here as it is in a commit.
    if (this.isOpaque(parent)) return undefined;
    const found = this.folder(parent).get(path.slice(path.lastIndexOf('/') + 1));
    if (found !== 'folder') return found;
    return this.isOpaque(path) ? 'submodule' : 'folder';
  }

  list(folder: string): readonly Entry[] {
    let entries = this.listed.get(folder);
    if (entries === undefined) {
      const found: Entry[] = [];
      const state = this.ignoreState(folder);
      for (const [name, kind] of this.folder(folder)) {
        if (name === '.git' || (folder === '' && name === outputFolder)) continue;
        const path = childPath(folder, name);
        if (this.ignored(state, path, kind)) continue;
        const shown = kind === 'folder' ? this.kind(path)! : kind;
        // Git takes in no untracked repository.
        if (shown === 'submodule' && !this.isSubmodule(path)) continue;
        found.push({ name, kind: shown });
      }
      entries = sortEntries(found);
      this.listed.set(folder, entries);
    }
    return entries;
  }

  readFile(path: string): Buffer {
    const state = this.notes?.stateOf(path);
    const bytes = readFileSync(join(this.root, path));
    this.notes?.file(path, state!, bytes);
    return bytes;
  }

  readLink(path: string): string {
    const text = readlinkSync(join(this.root, path), 'utf8');
    this.notes?.link(path, text);
    return text;
  }

  fileId(path: string): string {
    this.notes?.leave();
    if (this.changes?.has(path) === false && !path.startsWith(`${outputFolder}/`)) {
      const index = this.tracked();
      const full = this.inRepository(path);
      const entry = index?.find(full);
      const mode = entry === undefined ? 0 : index!.modeOf(entry);
      if (mode === 0o100644) return index!.idOf(entry!);
      if (mode === 0o100755) return `x${index!.idOf(entry!)}`;
    }
    const stat = lstatSync(join(this.root, path), { bigint: true });
    const id = this.indexedId(path, stat) ?? this.hashedId(path, stat);
    return (stat.mode & 0o100n) !== 0n ? `x${id}` : id;
  }

  submoduleId(path: string): string {
    this.notes?.leave();
    const index = this.tracked();
    const entry = index?.find(this.inRepository(path));
    // Not checked out: it is what the commit says.
    if (entry !== undefined && !this.folder(path).has('.git')) return index!.idOf(entry);
    const { commit, status } = submoduleState(join(this.root, path));
    if (status === '') return commit;
    return `${commit} changed ${createHash('sha256').update(status).digest('hex')}`;
  }

  isTracked(path: string): boolean {
    return (this.trackedMode(path) & 0o170000) === 0o100000;
  }

  async save(): Promise<void> {
    await this.cache?.save();
  }

  private folder(path: string): ReadonlyMap<string, EntryKind> {
    let entries = this.raw.get(path);
    if (entries === undefined) {
      entries = this.isFolder(path) ? this.entries(path) : noEntries;
      this.raw.set(path, entries);
    }
    return entries;
  }

  private entries(path: string): ReadonlyMap<string, EntryKind> {
    const state = this.notes?.stateOf(path);
    const found = readFolder(join(this.root, path));
    this.notes?.folder(path, state!, found);
    return found;
  }

  /** Not through a symbolic link, which the system would follow, and not inside another repository. */
  private isFolder(path: string): boolean {
    if (path === '') return true;
    const parent = parentPath(path);
    return this.folder(parent).get(path.slice(path.lastIndexOf('/') + 1)) === 'folder' && !this.isOpaque(parent);
  }

  private inRepository(path: string): string {
    const prefix = this.repository?.prefix ?? '';
    return prefix === '' ? path : childPath(prefix, path);
  }

  private tracked(): Index | undefined {
    if (!this.indexRead) {
      this.indexRead = true;
      this.index = this.notes === undefined ? this.repository && readIndex(this.repository) : this.notes.readIndex();
    }
    return this.index;
  }

  /** 0 for what is not tracked. */
  private trackedMode(path: string): number {
    return this.modeOf(this.inRepository(path));
  }

  /** @param full the path in the repository */
  private modeOf(full: string): number {
    const index = this.tracked();
    const entry = index?.find(full);
    const mode = entry === undefined ? 0 : index!.modeOf(entry);
    this.notes?.mode(full, mode);
    return mode;
  }

  /** A repository inside this one is opaque to git, whether it is a submodule or just lies there. */
  private isOpaque(folder: string): boolean {
    let known = this.opaque.get(folder);
    if (known === undefined) {
      known = folder !== '' && (this.folder(folder).has('.git') || this.isSubmodule(folder));
      this.opaque.set(folder, known);
    }
    return known;
  }

  private isSubmodule(path: string): boolean {
    return this.trackedMode(path) === 0o160000;
  }

  private ignoreState(folder: string): IgnoreState {
    let state = this.ignoring.get(folder);
    if (state === undefined) {
      const outer = folder === '' ? this.outermostState() : this.ignoreState(parentPath(folder));
      const own = this.folder(folder).get('.gitignore') === 'file' ? [this.ignoreFile(folder)] : [];
      const whole = outer.whole || (folder !== '' && isIgnored(outer.files, this.inRepository(folder), true));
      state = { files: [...outer.files, ...own], whole };
      this.ignoring.set(folder, state);
    }
    return state;
  }

  /** What holds above the workspace: the repository's own list and the folders between its top and the workspace. */
  private outermostState(): IgnoreState {
    if (this.repository === undefined) return { files: [], whole: false };
    const files: IgnoreFile[] = [];
    const read = (path: string, folder: string) => {
      const state = this.notes?.stateOf(path);
      let bytes: Buffer | undefined;
      try {
        bytes = readFileSync(path);
      } catch {
        // Most repositories and folders have none.
      }
      this.notes?.file(path, state!, bytes);
      if (bytes !== undefined) files.push(parseIgnoreFile(folder, bytes.toString('utf8')));
    };
    read(join(this.repository.common, 'info', 'exclude'), '');
    const parts = this.repository.prefix === '' ? [] : this.repository.prefix.split('/');
    for (let depth = 0; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join('/');
      read(join(this.repository.top, folder, '.gitignore'), folder);
    }
    return { files, whole: false };
  }

  private ignoreFile(folder: string): IgnoreFile {
    return parseIgnoreFile(this.inRepository(folder), this.readFile(childPath(folder, '.gitignore')).toString('utf8'));
  }

  /** What is tracked is never ignored, whatever the patterns say. */
  private ignored(state: IgnoreState, path: string, kind: EntryKind): boolean {
    const full = this.inRepository(path);
    if (!state.whole && !isIgnored(state.files, full, kind === 'folder')) return false;
    const tracked = this.tracked();
    if (tracked === undefined) return true;
    if (kind !== 'folder') return this.modeOf(full) === 0;
    const inside = tracked.hasBelow(full);
    this.notes?.trackedBelow(full, inside);
    return !inside;
  }

  /** The hash that git's index holds, where the file is as it was when git computed it. */
  private indexedId(path: string, stat: BigIntStats): string | undefined {
    const index = this.tracked();
    const entry = index?.find(this.inRepository(path));
    if (index === undefined || entry === undefined || (index.modeOf(entry) & 0o170000) !== 0o100000) return undefined;
    const known = index.stateOf(entry);
    const same =
      known.modified === stat.mtimeNs &&
      known.changed === stat.ctimeNs &&
      known.inode === Number(stat.ino & 0xffffffffn) &&
      known.size === Number(stat.size & 0xffffffffn);
    return same && stat.mtimeNs < index.written ? index.idOf(entry) : undefined;
  }

  private hashedId(path: string, stat: BigIntStats): string {
    this.cache ??= openHashCache(this.root);
    const known = this.cache.get(path, stat);
    if (known !== undefined) return known;
    const id = blobId(join(this.root, path), Number(stat.size), this.repository?.objectFormat ?? 'sha1');
    this.cache.set(path, stat, id);
    return id;
  }
}

/** The id that git gives to a file's bytes: the hash of `blob <size>\0` and the bytes. */
function blobId(path: string, size: number, algorithm: 'sha1' | 'sha256'): string {
  const file = openSync(path, 'r');
  try {
    const head = (length: number) => createHash(algorithm).update(`blob ${length}\0`);
    if (size <= 1 << 20) {
      // Read to its end, wherever that is by now: the size of the head and the bytes belong together.
      const bytes = readFileSync(file);
      return head(bytes.length).update(bytes).digest('hex');
    }
    const hash = head(size);
    const piece = Buffer.allocUnsafe(1 << 20);
    for (let count = readSync(file, piece); count > 0; count = readSync(file, piece))
      hash.update(piece.subarray(0, count));
    return hash.digest('hex');
  } finally {
    closeSync(file);
  }
}
