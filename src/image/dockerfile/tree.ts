import type { LayerEntry } from '../tar/write.ts';

/** Where a file's bytes are, and a name for them that is the same wherever they lie. */
export interface FileContent {
  readonly bytes: NonNullable<LayerEntry['content']>;
  /** Two contents with one identity are the same bytes. */
  readonly identity: string;
}

interface Owned {
  /** 0o7777 at most. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface FileNode extends Owned {
  readonly type: 'file';
  readonly size: number;
  readonly content: FileContent;
  /** Extended attributes by name, in base64. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
  /** Names of one file share this. */
  readonly linked?: object;
}

export interface LinkNode extends Owned {
  readonly type: 'symlink';
  readonly target: string;
}

/** What can be in a base image and can't be copied: a device, a pipe. */
export interface SpecialNode extends Owned {
  readonly type: 'special';
  readonly what: string;
}

export interface FolderNode extends Owned {
  readonly type: 'directory';
  /** By name, in no order. */
  readonly children: ReadonlyMap<string, TreeNode>;
}

export type TreeNode = FileNode | LinkNode | SpecialNode | FolderNode;

/** The files of a context, of an image or of a stage, as they would lie on a disk. */
export interface Tree {
  readonly root: FolderNode;
  /** What is at a path without following links; undefined where nothing is, or where it leads through what is no folder. */
  at(path: readonly string[]): TreeNode | undefined;
  /** Puts a node in place of what is there; folders above it must be there. */
  put(path: readonly string[], node: TreeNode): void;
  remove(path: readonly string[]): void;
  /** Another one that begins the same. */
  copy(): Tree;
}

interface MutableFolder extends FolderNode {
  children: Map<string, TreeNode>;
}

export const rootFolder: Omit<FolderNode, 'children'> = { type: 'directory', mode: 0o755, uid: 0, gid: 0 };

export function emptyTree(): Tree {
  return treeOf({ ...rootFolder, children: new Map() });
}

function treeOf(start: MutableFolder): Tree {
  let root = start;

  function at(path: readonly string[]): TreeNode | undefined {
    let node: TreeNode = root;
    for (const name of path) {
      if (node.type !== 'directory') return undefined;
      const child = node.children.get(name);
      if (child === undefined) return undefined;
      node = child;
    }
    return node;
  }

  function folderOf(path: readonly string[]): Map<string, TreeNode> {
    const folder = at(path.slice(0, -1));
    if (folder?.type !== 'directory') throw new Error(`nothing holds /${path.join('/')}`);
    return (folder as MutableFolder).children;
  }

  return {
    get root() {
      return root;
    },
    at,
    put(path, node) {
      // Folders are changed in place: each tree has its own.
      const own = node.type === 'directory' ? { ...node, children: new Map(node.children) } : node;
      if (path.length > 0) folderOf(path).set(path.at(-1) ?? '', own);
      else if (own.type === 'directory') root = own;
      else throw new Error('the root is a folder');
    },
    remove(path) {
      folderOf(path).delete(path.at(-1) ?? '');
    },
    copy: () => treeOf(cloned(root)),
  };
}

function cloned(folder: FolderNode): MutableFolder {
  const children = new Map<string, TreeNode>();
  for (const [name, node] of folder.children) children.set(name, node.type === 'directory' ? cloned(node) : node);
  return { ...folder, children };
}

/** `/a/./b/../c` -> `a`, `c`; `..` at the root stays there. */
export function partsOf(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

/** As many as Linux follows. */
const maximumLinks = 40;

/**
 * Follows symbolic links, which all lead within the tree: as chroot(2) would have it.
 *
 * @param path may lead to what is not there yet
 * @param followLast a link at the very end is followed too
 * @returns a path without links; undefined for links in circles
 */
export function resolvePath(tree: Tree, path: readonly string[], followLast = true): string[] | undefined {
  const waiting = [...path];
  const done: string[] = [];
  let links = 0;
  for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
    if (part === '..') {
      done.pop();
      continue;
    }
    const node = tree.at([...done, part]);
    if (node?.type !== 'symlink' || (waiting.length === 0 && !followLast)) {
      done.push(part);
      continue;
    }
    links += 1;
    if (links > maximumLinks) return undefined;
    if (node.target.startsWith('/')) done.length = 0;
    waiting.unshift(...node.target.split('/').filter((each) => each !== '' && each !== '.'));
  }
  return done;
}
