import { isAbsolute, join, normalize } from 'node:path/posix';
import { type Artifact, type FileArtifact, type FolderEntry, folderSum } from '../artifact.ts';
import { RemoteFailure } from './failure.ts';
import { type ActionResult, type Codec, type Digest, type Directory, digestOf, type Timestamp } from './messages.ts';

/** Something to send: a file of the local cache, or bytes that only the protocol needs. */
export type Upload = { readonly digest: Digest } & ({ readonly file: FileArtifact } | { readonly data: Buffer });

/** What a key of ours is called there: an action, as the protocol has it, whose command is the key. */
export function actionOf(codec: Codec, kind: 'action' | 'test', key: string): { digest: Digest; uploads: Upload[] } {
  const command = codec.command({ arguments: ['banksman', kind, key] });
  const commandDigest = digestOf(command);
  // The empty folder: what inputs were is in the key already.
  const action = codec.action({ commandDigest, inputRootDigest: digestOf(Buffer.alloc(0)) });
  const digest = digestOf(action);
  return {
    digest,
    uploads: [
      { digest, data: action },
      { digest: commandDigest, data: command },
    ],
  };
}

/** @param seconds that the action took */
export function toResult(
  codec: Codec,
  outputs: readonly Artifact[],
  seconds: number,
): { result: ActionResult; uploads: Upload[] } {
  const uploads: Upload[] = [];
  const add = (file: FileArtifact): Digest => {
    const digest = digestOfFile(file);
    uploads.push({ digest, file });
    return digest;
  };
  const files: { path: string; digest: Digest; isExecutable: boolean }[] = [];
  const folders: { path: string; treeDigest: Digest }[] = [];
  for (const output of outputs) {
    if (output.kind === 'file') {
      files.push({ path: output.path, digest: add(output), isExecutable: output.executable });
      continue;
    }
    for (const entry of output.entries) if (entry.kind === 'file') add(entry);
    const data = treeOf(codec, output.entries);
    const treeDigest = digestOf(data);
    uploads.push({ digest: treeDigest, data });
    folders.push({ path: output.path, treeDigest });
  }
  const now = Date.now();
  return {
    result: {
      outputFiles: files,
      outputDirectories: folders,
      exitCode: 0,
      executionMetadata: {
        worker: 'banksman',
        executionStartTimestamp: timestamp(now - seconds * 1000),
        executionCompletedTimestamp: timestamp(now),
      },
    },
    uploads,
  };
}

export function digestOfFile({ sha256, size }: FileArtifact): Digest {
  return { hash: sha256, sizeBytes: size };
}

/** Seconds that the action took where it ran; 0 where the result does not say. */
export function secondsOf({ executionMetadata }: ActionResult): number {
  const { executionStartTimestamp: start, executionCompletedTimestamp: end } = executionMetadata ?? {};
  if (!start || !end) return 0;
  const seconds = end.seconds - start.seconds + (end.nanos - start.nanos) / 1e9;
  return Number.isFinite(seconds) && seconds > 0 ? seconds : 0;
}

function timestamp(milliseconds: number): Timestamp {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanos: Math.floor((milliseconds - seconds * 1000) * 1e6) };
}

/** A digest that came from outside. @throws RemoteFailure */
export function checkedDigest(digest: Digest | null | undefined): Digest {
  if (
    !digest ||
    !/^[0-9a-f]{64}$/.test(digest.hash) ||
    !Number.isSafeInteger(digest.sizeBytes) ||
    digest.sizeBytes < 0
  ) {
    throw new RemoteFailure('corrupt', 'a digest of it is none');
  }
  return digest;
}

export function fileOf(path: string, digest: Digest | null, executable: boolean): FileArtifact {
  const { hash, sizeBytes } = checkedDigest(digest);
  return { kind: 'file', path, sha256: hash, size: sizeBytes, executable };
}

interface MutableDirectory {
  readonly files: { name: string; digest: Digest; isExecutable: boolean }[];
  readonly folders: Map<string, MutableDirectory>;
  readonly symlinks: { name: string; target: string }[];
}

/** A folder as a message `Tree`: the listing of it and of all folders below, in the order of names that the standard asks for. */
export function treeOf(codec: Codec, entries: readonly FolderEntry[]): Buffer {
  const empty = (): MutableDirectory => ({ files: [], folders: new Map(), symlinks: [] });
  const top = empty();
  const folders = new Map<string, MutableDirectory>([['', top]]);
  for (const entry of entries) {
    const slash = entry.path.lastIndexOf('/');
    const name = entry.path.slice(slash + 1);
    // Parents come before what is in them.
    const parent = folders.get(slash < 0 ? '' : entry.path.slice(0, slash));
    if (parent === undefined) throw new Error(`${entry.path} comes before its folder`);
    if (entry.kind === 'file') parent.files.push({ name, digest: digestOfFile(entry), isExecutable: entry.executable });
    else if (entry.kind === 'symlink') parent.symlinks.push({ name, target: entry.target });
    else {
      const folder = empty();
      parent.folders.set(name, folder);
      folders.set(entry.path, folder);
    }
  }
  const children = new Map<string, Directory>();
  const close = (folder: MutableDirectory): Directory => ({
    files: sorted(folder.files),
    directories: sorted(
      [...folder.folders].map(([name, child]) => {
        const directory = close(child);
        const digest = digestOf(codec.directory(directory));
        children.set(digest.hash, directory);
        return { name, digest };
      }),
    ),
    symlinks: sorted(folder.symlinks),
  });
  const root = close(top);
  return codec.tree({ root, children: [...children.values()] });
}

/** Entries that a folder may have. A small message can name the same folder again and again: what it stands for has no bound. */
const entryLimit = 1_000_000;
/** Folders within each other: a path has 4096 bytes at most (PATH_MAX). */
const depthLimit = 2048;

/**
 * The entries of a folder, in the order in which they are collected from disk.
 *
 * @throws RemoteFailure where the bytes are no tree, or one that no action of ours can have made
 */
export function entriesOf(codec: Codec, bytes: Buffer): FolderEntry[] {
  let tree: ReturnType<Codec['readTree']>;
  try {
    tree = codec.readTree(bytes);
  } catch (error) {
    throw new RemoteFailure('corrupt', 'the listing of a folder can not be read', error);
  }
  if (tree.root === null) throw new RemoteFailure('corrupt', 'the listing of a folder is empty');
  const children = new Map(tree.children.map((child) => [digestOf(codec.directory(child)).hash, child]));
  const entries: FolderEntry[] = [];
  const walk = ({ files, directories, symlinks }: Directory, below: string, depth: number) => {
    if (depth > depthLimit)
      throw new RemoteFailure('corrupt', `a folder has more than ${depthLimit} within each other`);
    const named = sorted([
      ...files.map((file) => ({ name: file.name, file })),
      ...directories.map((folder) => ({ name: folder.name, folder })),
      ...symlinks.map((link) => ({ name: link.name, link })),
    ]);
    let last: string | undefined;
    for (const each of named) {
      const { name } = each;
      if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name) || name === last) {
        throw new RemoteFailure('corrupt', `a folder can't have an entry ${JSON.stringify(name)}`);
      }
      last = name;
      if (entries.length >= entryLimit)
        throw new RemoteFailure('corrupt', `a folder has more than ${entryLimit} entries`);
      const path = below === '' ? name : `${below}/${name}`;
      if ('file' in each) entries.push(fileOf(path, each.file.digest, each.file.isExecutable));
      else if ('link' in each) {
        const { target } = each.link;
        const leads = normalize(join(below, target));
        if (isAbsolute(target) || target === '' || leads === '..' || leads.startsWith('../')) {
          throw new RemoteFailure('corrupt', `the link ${JSON.stringify(path)} leads out of its folder`);
        }
        entries.push({ kind: 'symlink', path, target });
      } else {
        const child = children.get(checkedDigest(each.folder.digest).hash);
        if (child === undefined)
          throw new RemoteFailure('corrupt', `the listing of ${JSON.stringify(path)} is missing`);
        entries.push({ kind: 'folder', path });
        walk(child, path, depth + 1);
      }
    }
  };
  walk(tree.root, '', 0);
  return entries;
}

export function folderOf(codec: Codec, path: string, tree: Buffer): Artifact {
  const entries = entriesOf(codec, tree);
  return { kind: 'folder', path, sha256: folderSum(entries), entries };
}

function sorted<T extends { readonly name: string }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
