import { lstatSync } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { DockerfileFault } from './fault.ts';
import { compilePatterns, type PathFilter, PatternProblem, readIgnoreFile } from './ignore.ts';
import { emptyTree, type FileNode, partsOf, type Tree, type TreeNode } from './tree.ts';

/** A file or folder of the context. */
export interface ContextFile {
  /** In the context, with slashes. */
  readonly path: string;
  /** Where it lies now. */
  readonly absolute: string;
  readonly kind: 'file' | 'folder';
  /** Sum of its content, for a folder of all that is in it. */
  readonly sha256: string;
  readonly executable: boolean;
  /** The id that git gives to the bytes of a file that lies in the workspace; `sha256` is then taken when it is asked for. */
  readonly sourceId?: string | undefined;
  /** What a symbolic link to something in the context says; it is one in the image, too. */
  readonly link?: string | undefined;
}

/** More files than any image has are a mistake. */
const maximumFiles = 500_000;

/**
 * The context as COPY sees it. Modes are 0755 and 0644 and owners 0, whatever the checkout has.
 *
 * @throws DockerfileFault dockerfile/bad-source for two files with one path, or what is neither file, folder nor link
 */
export async function contextTree(files: readonly ContextFile[], ignored: PathFilter | undefined): Promise<Tree> {
  const tree = emptyTree();
  let count = 0;
  const put = (path: string, node: TreeNode) => {
    const left = ignored?.fits(path) ?? false;
    if (++count > maximumFiles) {
      throw new DockerfileFault('dockerfile/too-large', `the context has more than ${maximumFiles} files`);
    }
    const parts = partsOf(path);
    for (let length = 1; length < parts.length; length++) {
      const above = parts.slice(0, length);
      const there = tree.at(above);
      // The folder of a file that is left out is there, unless it is left out itself.
      if (left && ignored?.fits(above.join('/'))) return;
      if (there === undefined) tree.put(above, folder());
      else if (there.type !== 'directory') throw twice(above.join('/'));
    }
    if (left) return;
    const there = tree.at(parts);
    if (there === undefined) tree.put(parts, node);
    else if (there.type !== 'directory' || node.type !== 'directory') throw twice(path);
  };
  for (const file of files) {
    if (file.link !== undefined) put(file.path, symbolicLink(file.link));
    else if (file.kind === 'file') put(file.path, ownFile(file));
    else for await (const [path, node] of walk(file)) put(path === '' ? file.path : `${file.path}/${path}`, node);
  }
  return tree;
}

/**
 * Patterns of a .dockerignore file.
 *
 * @throws DockerfileFault dockerfile/bad-value at the line
 */
export function ignoreFilter(file: string, text: string): PathFilter {
  const patterns = readIgnoreFile(text);
  try {
    return compilePatterns(patterns.map(({ pattern }) => pattern));
  } catch (error) {
    if (!(error instanceof PatternProblem)) throw error;
    const line = patterns[error.index]?.line ?? 1;
    throw new DockerfileFault('dockerfile/bad-value', `${JSON.stringify(error.pattern)} is not a pattern`, {
      place: { file, line, column: 1, length: error.pattern.length, source: text },
      next: 'close its brackets, and put a backslash before a character that is meant as it is',
    });
  }
}

function ownFile(file: ContextFile): TreeNode {
  const { absolute, executable, sourceId } = file;
  const { size } = lstatSync(absolute);
  const node = fileNode(absolute, size, executable, sourceId === undefined ? file.sha256 : `git ${sourceId}`);
  if (sourceId === undefined) return node;
  return { ...node, content: { ...node.content, bytes: { path: absolute, offset: 0, gitId: sourceId } } };
}

function fileNode(absolute: string, size: number, executable: boolean, identity: string): FileNode {
  return {
    type: 'file',
    mode: executable ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size,
    content: { bytes: { path: absolute, offset: 0 }, identity },
  };
}

function symbolicLink(target: string): TreeNode {
  return { type: 'symlink', mode: 0o777, uid: 0, gid: 0, target };
}

function folder(): TreeNode {
  return { type: 'directory', mode: 0o755, uid: 0, gid: 0, children: new Map() };
}

async function* walk(top: ContextFile, below = ''): AsyncGenerator<[path: string, node: TreeNode]> {
  yield [below, folder()];
  const here = join(top.absolute, below);
  for (const name of (await readdir(here)).sort()) {
    const path = below === '' ? name : `${below}/${name}`;
    const absolute = join(here, name);
    const found = await lstat(absolute);
    if (found.isDirectory()) yield* walk(top, path);
    else if (found.isSymbolicLink()) {
      yield [path, symbolicLink(await readlink(absolute))];
    } else if (found.isFile()) {
      yield [path, fileNode(absolute, found.size, (found.mode & 0o100) !== 0, `${top.sha256}/${path}`)];
    } else {
      throw new DockerfileFault('dockerfile/bad-source', `${top.path}/${path} is neither a file, a folder nor a link`, {
        next: 'leave it out of srcs',
      });
    }
  }
}

function twice(path: string): DockerfileFault {
  return new DockerfileFault(
    'dockerfile/bad-source',
    `two of the sources have the path ${JSON.stringify(path)} in the context`,
    {
      next: 'give one of them another name, or leave it out of srcs',
    },
  );
}
