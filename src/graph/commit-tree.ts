import { GraphFault } from './fault.ts';
import { listCommit, readBlobNow, readBlobs, resolveRevision, type TreeEntry } from './git/objects.ts';
import { findRepository, type Repository } from './git/repository.ts';
import { lastPart } from './paths.ts';
import { createSourceTree, foldersOf } from './source-tree.ts';
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
    isTracked: (path) => entries.has(path),
    save: async () => {},
  };
}
