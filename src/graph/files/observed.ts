import { hash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Index, readIndex } from '../git/index-file.ts';
import { findRepository, type Repository } from '../git/repository.ts';
import type { EntryKind } from './tree.ts';

/**
 * All that was asked of a work tree, with the answers. Evaluation knows nothing else of the disk: where each question has its old
 * answer, it would go the same way and end the same.
 */
export interface Observations {
  readonly repository: string;
  readonly looks: readonly Look[];
  /** Undefined where it was not read. */
  readonly index?: IndexObservations;
}

/** What was asked of git's index. */
interface IndexObservations {
  readonly state: string;
  /** Whether there is one that can be read. */
  readonly exists: boolean;
  /** Mode of each path, 0 where it is not tracked. */
  readonly modes: readonly (readonly [path: string, mode: number])[];
  /** Whether something below a folder is tracked. */
  readonly below: readonly (readonly [folder: string, is: boolean])[];
}

/**
 * A folder's listing (d), a file's bytes (f) or a link's text (l): its path from the root of the work tree or an absolute one, the
 * state that it was in, and the sum of what was found. Where the state is the same nothing need be read.
 */
type Look = readonly [kind: LookKind, path: string, state: string, sum: string];
type LookKind = 'd' | 'f' | 'l';

/** Notes what is asked of a work tree. */
export class ObservationNotes {
  private readonly root: string;
  private readonly looks = new Map<string, Look>();
  private readonly modes = new Map<string, number>();
  private readonly below = new Map<string, boolean>();
  private readonly repository: Repository | undefined;
  private index: Pick<IndexObservations, 'state' | 'exists'> | undefined;
  private incomplete = false;

  constructor(root: string, repository: Repository | undefined) {
    this.root = root;
    this.repository = repository;
  }

  /** The state of a path has to be asked for before it is read: what changes meanwhile is found then. */
  stateOf(path: string): string {
    return stateOf(resolve(this.root, path));
  }

  folder(path: string, state: string, entries: ReadonlyMap<string, EntryKind>): void {
    this.note('d', path, state, listingSum(entries));
  }

  file(path: string, state: string, bytes: Uint8Array | undefined): void {
    this.note('f', path, state, contentSum(bytes));
  }

  link(path: string, text: string): void {
    this.note('l', path, '', text);
  }

  /** Reads git's index. */
  readIndex(): Index | undefined {
    if (this.repository === undefined) return undefined;
    const state = stateOf(indexPlace(this.repository));
    const index = readIndex(this.repository);
    this.index = { state, exists: index !== undefined };
    return index;
  }

  mode(path: string, mode: number): void {
    this.modes.set(path, mode);
  }

  trackedBelow(folder: string, is: boolean): void {
    this.below.set(folder, is);
  }

  /** Something was asked whose answer can't be told again in short. */
  leave(): void {
    this.incomplete = true;
  }

  /** @returns undefined where more was asked than what is noted */
  all(): Observations | undefined {
    if (this.incomplete) return undefined;
    const { index } = this;
    return {
      repository: repositoryText(this.repository),
      looks: [...this.looks.values()],
      ...(index !== undefined && { index: { ...index, modes: [...this.modes], below: [...this.below] } }),
    };
  }

  private note(kind: LookKind, path: string, state: string, sum: string): void {
    const key = kind + path;
    const before = this.looks.get(key);
    // Two looks with two answers: evaluation has seen a file change.
    if (before !== undefined && before[3] !== sum) this.incomplete = true;
    this.looks.set(key, [kind, path, state, sum]);
  }
}

/**
 * Whether another look at the work tree would give the same answers.
 *
 * @returns undefined where it would not; else the observations, with the states of what was touched and is the same all the same
 */
export function stillObserved(root: string, before: Observations): Observations | undefined {
  const repository = findRepository(root);
  if (repositoryText(repository) !== before.repository) return undefined;
  let touched = false;
  const looks: Look[] = [];
  for (const look of before.looks) {
    const [kind, path, state, sum] = look;
    const full = resolve(root, path);
    const now = kind === 'l' ? '' : stateOf(full);
    if (now === state && now !== '') {
      looks.push(look);
      continue;
    }
    if (sumNow(kind, full) !== sum) return undefined;
    touched ||= now !== state;
    looks.push([kind, path, now, sum]);
  }
  if (repository === undefined || before.index === undefined) return touched ? { ...before, looks } : before;
  const index = indexNow(repository, before.index);
  if (index === undefined) return undefined;
  return touched || index !== before.index ? { ...before, looks, index } : before;
}

function indexNow(repository: Repository, before: IndexObservations): IndexObservations | undefined {
  const state = stateOf(indexPlace(repository));
  if (state === before.state && state !== '') return before;
  const index = readIndex(repository);
  if ((index !== undefined) !== before.exists) return undefined;
  if (index === undefined) return before;
  for (const [path, mode] of before.modes) {
    const entry = index.find(path);
    if ((entry === undefined ? 0 : index.modeOf(entry)) !== mode) return undefined;
  }
  for (const [folder, is] of before.below) if (index.hasBelow(folder) !== is) return undefined;
  return state === before.state ? before : { ...before, state };
}

/** Dirents as a source tree sees them: sockets, pipes and devices are no sources. */
export function readFolder(place: string): Map<string, EntryKind> {
  const found = new Map<string, EntryKind>();
  for (const entry of dirents(place)) {
    if (entry.isFile()) found.set(entry.name, 'file');
    else if (entry.isSymbolicLink()) found.set(entry.name, 'symlink');
    else if (entry.isDirectory()) found.set(entry.name, 'folder');
  }
  return found;
}

function dirents(place: string) {
  try {
    return readdirSync(place, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

/** A file changed within this time of a look may change again within the same tick of the clock, unseen. Milliseconds. */
const settled = 50;

/** Inode, times and size of what stands at a path; '' where that doesn't tell it from what may stand there soon. */
function stateOf(place: string): string {
  let stat: Stats | undefined;
  try {
    stat = statSync(place, { throwIfNoEntry: false });
  } catch {
    return '';
  }
  if (stat === undefined) return 'none';
  if (Date.now() - stat.ctimeMs < settled) return '';
  return `${stat.ino} ${stat.mtimeMs} ${stat.ctimeMs} ${stat.size}`;
}

function sumNow(kind: LookKind, place: string): string | undefined {
  try {
    if (kind === 'd') return listingSum(readFolder(place));
    if (kind === 'l') return readlinkSync(place, 'utf8');
    return contentSum(statSync(place, { throwIfNoEntry: false }) === undefined ? undefined : readFileSync(place));
  } catch {
    // What can't be read is looked at by evaluation, which tells the person.
    return undefined;
  }
}

function listingSum(entries: ReadonlyMap<string, EntryKind>): string {
  return hash('sha256', JSON.stringify([...entries].sort(([a], [b]) => (a < b ? -1 : 1))));
}

function contentSum(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? 'none' : hash('sha256', bytes);
}

function repositoryText(repository: Repository | undefined): string {
  return repository === undefined ? '' : JSON.stringify(repository);
}

function indexPlace({ folder }: Repository): string {
  return join(folder, 'index');
}
