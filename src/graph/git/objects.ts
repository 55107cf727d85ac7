import { spawnSync } from 'node:child_process';
import { ProcessFault, run } from '../../process/index.ts';
import { GraphFault } from '../fault.ts';
import { childPath } from '../paths.ts';
import { gitEnvironment } from './environment.ts';
import { readIndex } from './index-file.ts';
import { isShallow, type Repository } from './repository.ts';

/** Bytes of the answers of git that are held at a time: listings and BUILD files of very large repositories. */
const maximumOutput = 1024 * 1024 * 1024;

/** Runs git in a repository, with messages in English and without a lock or a pager. */
async function git(repository: Repository, args: readonly string[], input?: string): Promise<Buffer> {
  try {
    const { stdout } = await run('git', ['--no-optional-locks', '-C', repository.top, ...args], {
      env: gitEnvironment(),
      maximumOutput,
      ...(input !== undefined && { input }),
    });
    return stdout;
  } catch (cause) {
    if (!(cause instanceof ProcessFault) || cause.code !== 'process/failed') throw cause;
    throw new GraphFault('graph/git', `git ${args[0]} failed`, { notes: cause.notes, cause });
  }
}

/**
 * The commit that a revision names.
 *
 * @throws GraphFault graph/unknown-revision | graph/shallow-clone
 */
export async function resolveRevision(repository: Repository, revision: string): Promise<string> {
  const id = await git(repository, [
    'rev-parse',
    '--verify',
    '--quiet',
    '--end-of-options',
    `${revision}^{commit}`,
  ]).catch((cause: unknown) => {
    if (!(cause instanceof GraphFault) || cause.notes.some((note) => note.includes('dubious ownership'))) throw cause;
    if (isShallow(repository)) {
      throw new GraphFault('graph/shallow-clone', `${revision} is not in this clone, whose history was cut off`, {
        next: 'run git fetch --unshallow, or git fetch --depth=1 origin with that commit',
        cause,
      });
    }
    const isUnborn = /^(HEAD|@)(?![\w/])/.test(revision);
    throw new GraphFault('graph/unknown-revision', `git knows no commit ${revision}`, {
      next: isUnborn
        ? 'name one that is there (git log); a repository without a commit has nothing to compare with yet'
        : 'name a branch, a tag or a commit; git fetch may bring it',
      cause,
    });
  });
  return id.toString('latin1').trim().split('\n').at(-1)!;
}

/** Id of the tree that a commit has at the workspace's folder: the name of all files' paths, modes and contents. */
export async function treeOf(repository: Repository, revision: string): Promise<string> {
  const { prefix } = repository;
  const name = prefix === '' ? `${revision}^{tree}` : `${revision}:${prefix}`;
  const id = await git(repository, ['rev-parse', '--verify', '--quiet', '--end-of-options', name]);
  return id.toString('latin1').trim();
}

/** What one look at a commit tells. */
export interface CommitTop {
  readonly commit: string;
  /** Id of the tree that the commit has at the workspace's folder; undefined where it has none. */
  readonly tree: string | undefined;
  /** The files at the top of the workspace that were asked for: 'other' for what is no plain file. Those that are missing are left out. */
  readonly files: ReadonlyMap<string, Buffer | 'other'>;
}

/**
 * The commit that a revision names, and some files at its top, by one process.
 *
 * @throws GraphFault graph/unknown-revision | graph/shallow-clone
 */
export async function readCommitTop(
  repository: Repository,
  revision: string,
  names: readonly string[],
): Promise<CommitTop> {
  const { prefix } = repository;
  const top = (commit: string) => (prefix === '' ? `${commit}^{tree}` : `${commit}:${prefix}`);
  const file = (commit: string, name: string) => `${commit}:${prefix === '' ? '' : `${prefix}/`}${name}`;
  const ask = (commit: string) => [`${commit}^{commit}`, top(commit), ...names.map((name) => file(commit, name))];
  // A plain name is asked for as it is: others (`:/text`, `@{one day ago}`) swallow what follows them, or hold a line break.
  const isPlain = /^[\w./@~^-]+$/.test(revision) && !revision.includes('@{');
  let found = isPlain ? await readObjects(repository, ask(revision)) : undefined;
  if (found?.[0] === undefined) found = await readObjects(repository, ask(await resolveRevision(repository, revision)));
  const [commit, tree, ...files] = found;
  const idLength = repository.objectFormat === 'sha1' ? 20 : 32;
  const entries = tree?.type === 'tree' ? parseTree(tree.content, '', idLength) : [];
  const modes = new Map(entries.map(({ path, mode }) => [path, mode]));
  const read = names.flatMap((name, at): [string, Buffer | 'other'][] => {
    const mode = modes.get(name);
    if (mode === undefined) return [];
    const object = files[at];
    return [[name, (mode & 0o170000) === 0o100000 && object?.type === 'blob' ? object.content : 'other']];
  });
  return { commit: commit!.id, tree: tree?.type === 'tree' ? tree.id : undefined, files: new Map(read) };
}

interface GitObject {
  readonly id: string;
  readonly type: string;
  readonly content: Buffer;
}

/** Objects by whatever names them; undefined where there is none. */
async function readObjects(repository: Repository, names: readonly string[]): Promise<(GitObject | undefined)[]> {
  const output = await git(repository, ['cat-file', '--batch'], `${names.join('\n')}\n`);
  let at = 0;
  return names.map(() => {
    const end = output.indexOf(10, at);
    // "<id> <type> <size>\n<bytes>\n", or "<name> missing\n" and its like
    const [, id, type, size] = /^([0-9a-f]{40,}) (\w+) (\d+)$/.exec(output.toString('latin1', at, end)) ?? [];
    at = end + 1;
    if (type === undefined) return undefined;
    const content = output.subarray(at, at + Number(size));
    at += Number(size) + 1;
    return { id: id!, type, content };
  });
}

/** A path that differs between two states of the files. */
export interface ChangedPath {
  /** Relative to the workspace. */
  readonly path: string;
  /** Only the bytes or the executable bit of a plain file differ. Else something came, went or became of another kind. */
  readonly sameKind: boolean;
}

const isPlainFile = (mode: string | undefined) => mode?.startsWith('100') === true;

/**
 * What differs from HEAD: changed, added, deleted, untracked. Ignored files are not told.
 *
 * @param without a folder of the workspace that is left out
 */
export async function changedPaths(repository: Repository, without: string): Promise<ChangedPath[]> {
  const { prefix } = repository;
  const scope = ['--', prefix === '' ? '.' : prefix, `:(top,exclude,literal)${childPath(prefix, without)}`];
  const modes = ['-c', 'core.fileMode=true', '-c', 'status.renames=false'];
  const form = ['--porcelain=v2', '-z', '--untracked-files=all', '--ignore-submodules=none', '--no-renames'];
  const output = await git(repository, [...modes, 'status', ...form, ...scope]);
  return output
    .toString('utf8')
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => {
      // "? path", "1 XY sub mH mI mW hH hI path", "u XY sub m1 m2 m3 mW h1 h2 h3 path"; a path may have spaces.
      const parts = line.split(' ');
      const fields = line.startsWith('?') ? 1 : line.startsWith('1') ? 8 : 10;
      const path = parts.slice(fields).join(' ').replace(/\/$/, '');
      return {
        path: prefix === '' ? path : path.slice(prefix.length + 1),
        sameKind: fields === 8 && isPlainFile(parts[3]) && isPlainFile(parts[5]),
      };
    });
}

/** What differs between two trees, by their ids: paths relative to the trees. @throws GraphFault where one of them is gone */
export async function treeDifference(repository: Repository, from: string, to: string): Promise<ChangedPath[]> {
  if (from === to) return [];
  const output = await git(repository, ['diff-tree', '-r', '-z', '--raw', '--no-renames', '--no-ext-diff', from, to]);
  const fields = output.toString('utf8').split('\0');
  const found: ChangedPath[] = [];
  // ":<mode> <mode> <id> <id> <status>\0<path>\0"
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [before, after] = fields[at]!.slice(1).split(' ');
    found.push({ path: fields[at + 1]!, sameKind: isPlainFile(before) && isPlainFile(after) });
  }
  return found;
}

/** Whether git was told not to look at some tracked files (`update-index --assume-unchanged`, `--skip-worktree`). */
export async function hidesChanges(repository: Repository): Promise<boolean> {
  const index = readIndex(repository);
  if (index !== undefined) return index.hidesChanges;
  const output = await git(repository, ['ls-files', '-v', '-z']);
  // "H path\0": small letters for --assume-unchanged, S for --skip-worktree.
  for (let at = 0; at < output.length; at = output.indexOf(0, at) + 1) {
    const letter = output[at]!;
    if (letter === 83 || (letter >= 97 && letter <= 122)) return true;
  }
  return false;
}

/** The entries of a commit's folders, by folder, asked of one process: those that are no folders there have none. */
export function listFoldersNow(
  repository: Repository,
  commit: string,
  folders: readonly string[],
): Map<string, TreeEntry[]> {
  const { prefix } = repository;
  const found = new Map<string, TreeEntry[]>();
  // A name with a line break can't be asked for in this way.
  const asked = folders.filter((folder) => !folder.includes('\n'));
  for (const folder of folders) found.set(folder, []);
  const input = asked
    .map((folder) => `${commit}:${[prefix, folder].filter((part) => part !== '').join('/')}\n`)
    .join('');
  const output = gitNow(repository, ['cat-file', '--batch'], commit, input);
  const idLength = repository.objectFormat === 'sha1' ? 20 : 32;
  let at = 0;
  for (const folder of asked) {
    const end = output.indexOf(10, at);
    // "<id> tree <size>\n<bytes>\n", or "<name> missing\n"
    const [, type, size] = /^\S+ (\w+) (\d+)$/.exec(output.toString('latin1', at, end)) ?? [];
    at = end + 1;
    if (type === undefined) continue;
    if (type === 'tree') found.set(folder, parseTree(output.subarray(at, at + Number(size)), folder, idLength));
    at += Number(size) + 1;
  }
  return found;
}

/** A tree object: "<mode> <name>\0<id>" for each entry, the id as bytes. */
function parseTree(data: Buffer, folder: string, idLength: number): TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(32, at);
    const end = data.indexOf(0, space);
    entries.push({
      path: childPath(folder, data.toString('utf8', space + 1, end)),
      mode: Number.parseInt(data.toString('latin1', at, space), 8),
      id: data.toString('hex', end + 1, end + 1 + idLength),
    });
    at = end + 1 + idLength;
  }
  return entries;
}

export interface TreeEntry {
  readonly path: string;
  readonly mode: number;
  readonly id: string;
}

/** All files of a commit below a folder; '' for all. A folder that is not in the commit has none. */
export async function listCommit(repository: Repository, commit: string): Promise<TreeEntry[]> {
  const { prefix } = repository;
  if (prefix !== '') {
    const found = await git(repository, ['ls-tree', '-z', commit, '--', prefix]);
    if (!found.toString('utf8').includes(' tree ')) return [];
  }
  const text = (
    await git(repository, ['ls-tree', '-r', '-z', prefix === '' ? commit : `${commit}:${prefix}`])
  ).toString('utf8');
  const entries: TreeEntry[] = [];
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\0', at);
    const tab = text.indexOf('\t', at);
    // "<mode> <type> <id>\t<path>\0"
    const [mode, , id] = text.slice(at, tab).split(' ');
    entries.push({ path: text.slice(tab + 1, end), mode: Number.parseInt(mode!, 8), id: id! });
    at = end + 1;
  }
  return entries;
}

/** The contents of blobs, read by one process. */
export async function readBlobs(repository: Repository, ids: Iterable<string>): Promise<Map<string, Buffer>> {
  const wanted = [...new Set(ids)];
  if (wanted.length === 0) return new Map();
  return parseBlobs(wanted, await git(repository, ['cat-file', '--batch'], `${wanted.join('\n')}\n`));
}

/** The same, at once. */
export function readBlobsNow(repository: Repository, ids: Iterable<string>): Map<string, Buffer> {
  const wanted = [...new Set(ids)];
  if (wanted.length === 0) return new Map();
  return parseBlobs(wanted, gitNow(repository, ['cat-file', '--batch'], wanted[0]!, `${wanted.join('\n')}\n`));
}

function parseBlobs(wanted: readonly string[], output: Buffer): Map<string, Buffer> {
  const blobs = new Map<string, Buffer>();
  let at = 0;
  for (const id of wanted) {
    const end = output.indexOf(10, at);
    // "<id> blob <size>\n<bytes>\n", or "<id> missing\n"
    const [, type, size] = output.toString('latin1', at, end).split(' ');
    if (type !== 'blob') throw missing(id);
    const length = Number(size);
    blobs.set(id, output.subarray(end + 1, end + 1 + length));
    at = end + 1 + length + 1;
  }
  return blobs;
}

/** The content of one blob, at once: for what turns out to be needed in the middle of an evaluation. */
export function readBlobNow(repository: Repository, id: string): Buffer {
  return gitNow(repository, ['cat-file', 'blob', id], id);
}

/** @param object what is asked for, for the fault */
function gitNow(repository: Repository, args: readonly string[], object: string, input = ''): Buffer {
  const result = spawnSync('git', ['--no-optional-locks', '-C', repository.top, ...args], {
    env: gitEnvironment() as NodeJS.ProcessEnv,
    input,
    maxBuffer: maximumOutput,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  if (result.status !== 0) throw missing(object, result.stderr?.toString('utf8'));
  return result.stdout;
}

function missing(id: string, said?: string): GraphFault {
  return new GraphFault('graph/git', `git can't read the object ${id}`, {
    notes: said ? [said] : [],
    next: 'run git fsck; in a partial clone, fetch with a connection to the remote',
  });
}
