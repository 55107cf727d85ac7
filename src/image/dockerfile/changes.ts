import { arrange, type LayerEntry } from '../tar/write.ts';
import { CopyProblem } from './copy-problem.ts';
import type { Owner } from './owner.ts';
import type { FolderNode, Tree, TreeNode } from './tree.ts';

/** What an instruction does to a tree; what of it is new becomes a layer. */
export interface Changes {
  readonly tree: Tree;
  put(path: readonly string[], node: TreeNode): void;
  /**
   * Makes folders that are missing.
   *
   * @param path without links
   * @returns the part of the path that is in the way where it is no folder
   */
  makeFolders(path: readonly string[], owner: Owner): readonly string[] | undefined;
  /** Entries of the layer in their order, folders above them included, each with a name for its content. */
  entries(): { readonly entries: readonly LayerEntry[]; readonly identities: readonly string[] };
}

export function recordChanges(tree: Tree): Changes {
  const changed = new Map<string, TreeNode>();

  function put(path: readonly string[], node: TreeNode): void {
    if (path.at(-1)?.startsWith('.wh.')) {
      throw new CopyProblem(
        'bad-source',
        `${path.at(-1)} is a name that layers use to remove files`,
        'give the file another name',
      );
    }
    tree.put(path, node);
    changed.set(path.join('/'), node);
  }

  return {
    tree,
    put,
    makeFolders(path, owner) {
      for (let length = 1; length <= path.length; length++) {
        const place = path.slice(0, length);
        const there = tree.at(place);
        if (there === undefined) put(place, { type: 'directory', mode: 0o755, ...owner, children: new Map() });
        else if (there.type !== 'directory') return place;
      }
      return undefined;
    },
    entries() {
      const known = new Map<string, LayerEntry>();
      const list: LayerEntry[] = [];
      const identities = new Map<string, string>();
      const names = new Map<object, string>();
      for (const [path, node] of changed) {
        // What was put below it later has replaced it, or it is the root, which no layer holds.
        if (path === '') continue;
        const parts = path.split('/');
        for (let length = 1; length < parts.length; length++) {
          const above = parts.slice(0, length);
          const name = above.join('/');
          const folder = known.has(name) ? undefined : tree.at(above);
          if (folder?.type === 'directory') known.set(name, folderEntry(name, folder));
        }
        if (node.type === 'file' && node.linked !== undefined) {
          const first = names.get(node.linked);
          if (first !== undefined) {
            list.push({ ...ownerOf(node), path, type: 'hardlink', size: 0, target: first });
            continue;
          }
          names.set(node.linked, path);
        }
        list.push(entryOf(path, node));
        if (node.type === 'file') identities.set(path, node.content.identity);
      }
      const entries = arrange(list, known);
      // The first name of a file, by the order of names, holds the content.
      const contents = new Map(list.map((entry) => [entry.content, identities.get(entry.path) ?? '']));
      return { entries, identities: entries.map(({ content }) => (content ? (contents.get(content) ?? '') : '')) };
    },
  };
}

function ownerOf({ mode, uid, gid }: TreeNode) {
  return { mode, uid, gid };
}

function folderEntry(path: string, node: FolderNode): LayerEntry {
  return { ...ownerOf(node), path, type: 'directory', size: 0, target: '' };
}

function entryOf(path: string, node: TreeNode): LayerEntry {
  switch (node.type) {
    case 'directory':
      return folderEntry(path, node);
    case 'symlink':
      return { ...ownerOf(node), path, type: 'symlink', size: 0, target: node.target };
    case 'file': {
      const { size, content, attributes } = node;
      return {
        ...ownerOf(node),
        path,
        type: 'file',
        size,
        target: '',
        content: content.bytes,
        ...(attributes && { attributes }),
      };
    }
    default:
      throw new Error(`${path} can't be in a layer`);
  }
}
