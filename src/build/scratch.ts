import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, statSync, utimesSync } from 'node:fs';
import {
  chmod,
  constants,
  copyFile,
  cp,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hashFile } from '../disk/index.ts';
import type { Label } from '../graph/index.ts';
import type { Artifact, FileArtifact } from './artifact.ts';
import { type Blobs, isUntouched, mark } from './blobs.ts';
import { BuildFault } from './fault.ts';

/** A folder of its own for one action, holding what it declares. */
export interface Scratch {
  /** Absolute. What the action sees as its working folder. */
  readonly root: string;
  /** For temporary files: below the root. */
  readonly temporary: string;
  /** Lays a source file or folder out, as a copy: the action may write to it, and the workspace is not touched. */
  addSource(path: string, at?: string): Promise<void>;
  /**
   * Lays an output out, by hard links to the cache.
   *
   * @throws BuildFault build/input-changed where the cache does not have it any more
   */
  addArtifact(artifact: Artifact, below?: string, of?: Label): Promise<void>;
  /** Writes a file of Banksman's own, at a path below the root. */
  addText(path: string, text: string): Promise<void>;
  /** Whether an absolute path is an input, or in one that is a folder, or for temporary files. */
  isInput(path: string): boolean;
  /** Paths of files that the action wrote to although they belong to the cache; these are removed from the cache. */
  damaged(): Promise<string[]>;
  remove(): Promise<void>;
}

/** What lies at a path. */
interface Claim {
  /** Sum of what a build made; empty for a source. */
  readonly content: string;
  /** Where a source is on the disk. */
  readonly source?: string;
  /** The target that made it. */
  readonly of?: Label | undefined;
}

/** Tools that are targets are laid out here, out of the way of commands that look for files. */
export const toolsFolder = '.tools';
const temporaryFolder = '.tmp';

/** @param placeOf where on the disk a source is */
export async function makeScratch(folder: string, placeOf: (path: string) => string, blobs: Blobs): Promise<Scratch> {
  const root = join(folder, await ownName());
  const temporary = join(root, temporaryFolder);
  await mkdir(temporary, { recursive: true });
  const laid = new Map<string, Claim>();
  const links: { readonly path: string; readonly file: FileArtifact }[] = [];
  const folders = new Set<string>();
  const parent = async (path: string) => {
    const above = dirname(path);
    if (folders.has(above)) return;
    await mkdir(above, { recursive: true });
    folders.add(above);
  };
  /** Whether a path is still to be laid out. The same content twice is no clash: a file can be an input in two ways. */
  const claim = async (path: string, own: Claim): Promise<boolean> => {
    const there = laid.get(path);
    if (there === undefined) {
      laid.set(path, own);
      return true;
    }
    if (there.content === own.content || (await isSame(there, own))) return false;
    const owners = [there, own].map(({ of, source }) => of ?? (source === undefined ? 'an input' : 'the source'));
    throw new BuildFault(
      'build/bad-output',
      `two inputs of the action have the path ${path}, and are not the same: ${owners.join(' and ')}`,
      { next: 'give one of them another name, or take one of them out' },
    );
  };
  /** A source that is an input itself and by way of a filegroup is the same file. */
  const isSame = async (one: Claim, other: Claim): Promise<boolean> => {
    const source = one.source ?? other.source;
    if (source === undefined) return false;
    if (one.source !== undefined && other.source !== undefined) return one.source === other.source;
    // Folders are not looked into: what they hold is told apart by the paths in them.
    if (statSync(source, { throwIfNoEntry: false })?.isFile() !== true) return true;
    return (await hashFile(source)).sha256 === (one.content || other.content);
  };
  const linkFile = async (file: FileArtifact, path: string) => {
    await parent(path);
    if (!(await blobs.linkTo(file, path))) {
      throw new BuildFault('build/input-changed', `${file.path} has gone from the cache while it was needed`, {
        next: 'build again: it is then made anew',
      });
    }
    links.push({ path, file });
  };
  return {
    root,
    temporary,
    async addSource(path, at = path) {
      const from = placeOf(path);
      if (!(await claim(at, { content: '', source: from }))) return;
      const to = join(root, at);
      await parent(to);
      await copySource(from, to);
    },
    async addArtifact(artifact, below = '', of) {
      const at = below === '' ? artifact.path : `${below}/${artifact.path}`;
      if (!(await claim(at, { content: artifact.sha256, of }))) return;
      const to = join(root, at);
      if (artifact.kind === 'file') return linkFile(artifact, to);
      await mkdir(to, { recursive: true });
      for (const entry of artifact.entries) {
        const path = join(to, entry.path);
        if (entry.kind === 'folder') await mkdir(path, { recursive: true });
        else if (entry.kind === 'symlink') await symlink(entry.target, path);
        else await linkFile(entry, path);
      }
    },
    async addText(path, text) {
      if (!(await claim(path, { content: 'text' }))) return;
      await parent(join(root, path));
      await writeFile(join(root, path), text);
      await utimes(join(root, path), mark, mark);
    },
    isInput(path) {
      for (let at = path; at.length > root.length; at = dirname(at)) {
        if (laid.has(at.slice(root.length + 1)) || at === temporary || at === join(root, toolsFolder)) return true;
      }
      return false;
    },
    async damaged() {
      const found: string[] = [];
      for (const { path, file } of links) {
        if (await isUntouched(path, file)) continue;
        found.push(path.slice(root.length + 1));
        await blobs.drop(file);
      }
      return found;
    },
    async remove() {
      await removeTree(root);
    },
  };
}

async function copySource(from: string, to: string): Promise<void> {
  const info = statSync(from);
  if (info.isDirectory()) {
    // Links in it are kept as they are; those that lead out of it dangle, as they would in a check-out of it alone.
    await cp(await realpath(from), to, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
    for (const entry of await readdir(to, { recursive: true, withFileTypes: true })) {
      await lutimes(join(entry.parentPath, entry.name), mark, mark);
    }
    return;
  }
  const mode = (info.mode & 0o100) !== 0 ? 0o755 : 0o644;
  // Archives keep the times of files: like outputs of others, sources have the same on each machine.
  if (info.size <= copiedAtOnce) {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
    chmodSync(to, mode);
    utimesSync(to, mark, mark);
    return;
  }
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  await chmod(to, mode);
  await utimes(to, mark, mark);
}

/** Bytes of a file for which waiting for a thread, four times, takes longer than copying it. */
const copiedAtOnce = 256 * 1024;

/** Folders that an action made read-only can't be emptied (except by root) before they are made writable. */
async function removeTree(root: string): Promise<void> {
  try {
    await rm(root, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    const pending = [root];
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
      await chmod(folder, 0o700).catch(() => {});
      for (const child of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
        if (child.isDirectory()) pending.push(join(folder, child.name));
      }
    }
    await rm(root, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Process id and start time, which together name a process for good. See proc(5), field 22. */
async function owner(pid = process.pid): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  return `${pid}.${text.slice(text.lastIndexOf(')') + 2).split(' ')[19]}`;
}

let own: Promise<string | undefined> | undefined;

/** A name that nothing else has, by which `removeAbandoned` finds what this process leaves behind when it is killed. */
export async function ownName(): Promise<string> {
  own ??= owner();
  return `${await own}-${randomBytes(6).toString('hex')}`;
}

/** Removes what processes that were killed have left in a folder, under names of `ownName`. */
export async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const [who = ''] = name.split('-');
    const pid = Number(who.split('.')[0]);
    if (!Number.isInteger(pid) || (await owner(pid)) === who) continue;
    const path = join(folder, name);
    const found = await lstat(path).catch(() => undefined);
    if (found?.isDirectory()) await removeTree(path);
    else if (found !== undefined) await rm(path, { force: true });
  }
}
