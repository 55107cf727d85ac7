import { GraphFault } from '../fault.ts';
import {
  listCommit,
  listFoldersNow,
  readBlobNow,
  readBlobs,
  readBlobsNow,
  resolveRevision,
  type TreeEntry,
} from '../git/objects.ts';
import { findRepository, type Repository } from '../git/repository.ts';
import { lastPart, parentPath } from '../paths.ts';
import { createSourceTree, foldersOf, sortEntries } from './source-tree.ts';
import type { EntryKind, SourceTree } from './tree.ts';

/**
 * A commit's files, read from git's objects: the work tree is not touched.
 *
 * @param root the workspace's folder; paths count from it
 * @param buildFiles names of BUILD files, whose content is fetched at once
 * @throws GraphFault for an unknown revision, a shallow clone, no repository
 */
export async function openCommit(
  root: string,
  revision: string,
  buildFiles: readonly string[] = ['BUILD'],
): Promise<SourceTree> {
  const repository = repositoryOf(root);
  const commit = await resolveRevision(repository, revision);
  const entries = new Map((await listCommit(repository, commit)).map((entry) => [entry.path, entry]));
  const early = [...entries.values()].filter((entry) => isReadEarly(entry, buildFiles)).map(({ id }) => id);
  const blobs = await readBlobs(repository, early);
  return createSourceTree(commitStore(repository, commit, entries, blobs));
}

/**
 * The same tree, whose folders are listed when they are asked for: for evaluations that look at few of them. Each that was not
 * named before costs a process of git.
 *
 * @param folders to list at once, with the BUILD files in them
 */
export function openCommitPart(
  root: string,
  commit: string,
  folders: readonly string[],
  buildFiles: readonly string[],
): SourceTree {
  const repository = repositoryOf(root);
  const listed = new Map<string, ReadonlyMap<string, TreeEntry>>();
  const list = (wanted: readonly string[]) => {
    for (const [folder, entries] of listFoldersNow(repository, commit, wanted)) {
      listed.set(folder, new Map(entries.map((entry) => [entry.path, entry])));
    }
  };
  const blobs = new Map<string, Buffer>();
  const begin = () => {
    list([...new Set(['', ...folders])]);
    const entries = [...listed.values()].flatMap((each) => [...each.values()]);
    const early = entries.filter((entry) => entry.mode !== treeMode && isReadEarly(entry, buildFiles));
    for (const [id, content] of readBlobsNow(
      repository,
      early.map((each) => each.id),
    )) {
      blobs.set(id, content);
    }
  };
  const inFolder = (folder: string): ReadonlyMap<string, TreeEntry> => {
    if (listed.size === 0) begin();
    if (!listed.has(folder)) {
      // Git would follow no link in a path: what is below one is no folder of the commit.
      const known = folder === '' || entryAt(folder)?.mode === treeMode;
      if (known) list([folder]);
      else listed.set(folder, new Map());
    }
    return listed.get(folder)!;
  };
  const entryAt = (path: string) => inFolder(parentPath(path)).get(path);
  const blob = (path: string): Buffer => {
    const { id } = entryAt(path)!;
    let content = blobs.get(id);
    if (content === undefined) {
      content = readBlobNow(repository, id);
      blobs.set(id, content);
    }
    return content;
  };
  return createSourceTree({
    name: `commit ${commit.slice(0, 12)}`,
    commit,
    kind(path) {
      if (path === '') return 'folder';
      const mode = entryAt(path)?.mode;
      return mode === undefined ? undefined : mode === treeMode ? 'folder' : kindOf(mode);
    },
    list: (folder) =>
      sortEntries(
        [...inFolder(folder).values()].map(({ path, mode }) => ({
          name: lastPart(path),
          kind: mode === treeMode ? 'folder' : kindOf(mode),
        })),
      ),
    readFile: blob,
    readLink: (path) => blob(path).toString('utf8'),
    fileId: (path) => {
      const { mode, id } = entryAt(path)!;
      return mode === 0o100755 ? `x${id}` : id;
    },
    submoduleId: (path) => entryAt(path)!.id,
    isTracked: (path) => isPlainFile(entryAt(path)?.mode),
    save: async () => {},
  });
}

const treeMode = 0o40000;

/** @throws GraphFault graph/no-repository */
export function repositoryOf(root: string): Repository {
  const repository = findRepository(root);
  if (repository === undefined) {
    throw new GraphFault(
      'graph/no-repository',
      `${root} is not in a git repository, so there is no commit to compare with`,
      {
        next: 'run git init and commit the workspace',
      },
    );
  }
  return repository;
}

/** What evaluation is sure or likely to read: one process for all of them. */
function isReadEarly(entry: TreeEntry, buildFiles: readonly string[]): boolean {
  const name = lastPart(entry.path);
  return (
    buildFiles.includes(name) ||
    name.endsWith('.build_defs') ||
    entry.path === 'banksman.yaml' ||
    entry.mode === 0o120000
  );
}

function isPlainFile(mode = 0): boolean {
  return (mode & 0o170000) === 0o100000;
}

function kindOf(mode: number): EntryKind {
  if (mode === 0o120000) return 'symlink';
  return mode === 0o160000 ? 'submodule' : 'file';
}

function commitStore(
  repository: Repository,
  commit: string,
  entries: ReadonlyMap<string, TreeEntry>,
  blobs: Map<string, Buffer>,
): Parameters<typeof createSourceTree>[0] {
  const folders = foldersOf([...entries.values()].map((entry) => [entry.path, kindOf(entry.mode)] as const));
  const blob = (path: string): Buffer => {
    const { id } = entries.get(path)!;
    let content = blobs.get(id);
    if (content === undefined) {
      content = readBlobNow(repository, id);
      blobs.set(id, content);
    }
    return content;
  };
  return {
    name: `commit ${commit.slice(0, 12)}`,
    commit,
    kind: (path) => {
      const entry = entries.get(path);
      if (entry !== undefined) return kindOf(entry.mode);
      return folders.has(path) ? 'folder' : undefined;
    },
    list: (folder) => folders.get(folder) ?? [],
    readFile: blob,
    readLink: (path) => blob(path).toString('utf8'),
    fileId: (path) => {
      const { mode, id } = entries.get(path)!;
      return mode === 0o100755 ? `x${id}` : id;
    },
    submoduleId: (path) => entries.get(path)!.id,
    isTracked: (path) => isPlainFile(entries.get(path)?.mode),
    save: async () => {},
  };
}
