import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, hexOf } from '../digest.ts';
import { writeRecord } from '../layer-record.ts';
import type { BlobStore } from '../store.ts';
import { skippingSource } from '../tar/bytes.ts';
import { readTar } from '../tar/read.ts';
import { emptyTree, type FolderNode, partsOf, resolvePath, type Tree, type TreeNode } from './tree.ts';

/** What a layer's archive says of an entry; `offset` is where its content begins in the uncompressed archive. */
export interface IndexedEntry {
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'special';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly target: string;
  readonly offset: number;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

/** Goes up when the form of what is kept changes. */
const indexVersion = 2;

/**
 * The entries of an uncompressed layer of the store, in their order. Kept beside the store by the layer's sum: an archive is read once.
 *
 * @throws ImageFault image/bad-archive, image/too-large
 */
export async function indexLayer(store: BlobStore, layer: Digest): Promise<readonly IndexedEntry[]> {
  return await remembered(store, `index-${indexVersion}`, hexOf(layer), async () => {
    const entries: IndexedEntry[] = [];
    const special = (header: Omit<IndexedEntry, 'type' | 'offset'>) =>
      entries.push({ ...header, type: 'special', offset: 0 });
    // What was hashed a moment ago need not be read for its sum.
    const source = store.isFresh(layer) ? skippingSource(store.path(layer)) : await store.open(layer);
    for await (const entry of readTar(source, `layer ${layer}`, undefined, special)) {
      const { content: _, ...indexed } = entry;
      entries.push(indexed);
    }
    return entries;
  });
}

/** A result that follows from what names it, kept beside the store. What can't be read is made again. */
export async function remembered<T>(store: BlobStore, kind: string, name: string, make: () => Promise<T>): Promise<T> {
  const path = join(store.folder, 'derived', kind, name.slice(0, 2), name);
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    const made = await make();
    await writeRecord(path, JSON.stringify(made));
    return made;
  }
}

/**
 * The tree of an image, from its layers' entries from the lowest to the topmost: image-spec layer.md, "Applying Changesets".
 *
 * @param layers uncompressed, in the store
 */
export async function treeOfLayers(store: BlobStore, layers: readonly Digest[]): Promise<Tree> {
  const tree = emptyTree();
  for (const layer of layers) applyLayer(tree, store.path(layer), layer, await indexLayer(store, layer));
  return tree;
}

const whiteout = '.wh.';
const opaque = '.wh..wh..opq';

function applyLayer(tree: Tree, path: string, layer: Digest, entries: readonly IndexedEntry[]): void {
  // What a layer takes away is of the layers below it, in whatever order it says so.
  for (const entry of entries) {
    const parts = partsOf(entry.path);
    const name = parts.at(-1) ?? '';
    if (name === opaque) clear(tree, parts.slice(0, -1));
    else if (name.startsWith(whiteout)) {
      const gone = [...parts.slice(0, -1), name.slice(whiteout.length)];
      if (tree.at(gone) !== undefined) tree.remove(gone);
    }
  }
  for (const entry of entries) {
    const parts = partsOf(entry.path);
    if ((parts.at(-1) ?? '').startsWith(whiteout)) continue;
    const parent = resolvePath(tree, parts.slice(0, -1));
    if (parent === undefined) continue;
    ensureFolders(tree, parent);
    const place = parts.length === 0 ? [] : [...parent, parts.at(-1) ?? ''];
    const node = nodeOf(tree, entry, path, layer, tree.at(place));
    if (node !== undefined) tree.put(place, node);
  }
}

function nodeOf(
  tree: Tree,
  entry: IndexedEntry,
  path: string,
  layer: Digest,
  before: TreeNode | undefined,
): TreeNode | undefined {
  const { mode, uid, gid, size } = entry;
  const owned = { mode, uid, gid };
  switch (entry.type) {
    case 'directory': {
      const children: FolderNode['children'] = before?.type === 'directory' ? before.children : new Map();
      return { ...owned, type: 'directory', children };
    }
    case 'symlink':
      return { ...owned, type: 'symlink', target: entry.target };
    case 'special':
      return { ...owned, type: 'special', what: entry.target };
    case 'hardlink': {
      const target = resolvePath(tree, partsOf(entry.target), false);
      const found = target && tree.at(target);
      if (found === undefined || target === undefined || found.type === 'directory') return undefined;
      if (found.type !== 'file') return found;
      const linked = found.linked ?? {};
      if (found.linked === undefined) tree.put(target, { ...found, linked });
      return { ...found, linked };
    }
    default:
      return {
        ...owned,
        type: 'file',
        size,
        ...(entry.attributes !== undefined && { attributes: entry.attributes }),
        content: { bytes: { path, offset: entry.offset }, identity: `${layer}+${entry.offset}+${size}` },
      };
  }
}

/** Folders that no entry speaks of are made as tar makes them. */
function ensureFolders(tree: Tree, path: readonly string[]): void {
  for (let length = 1; length <= path.length; length++) {
    const place = path.slice(0, length);
    if (tree.at(place)?.type === 'directory') continue;
    tree.put(place, { type: 'directory', mode: 0o755, uid: 0, gid: 0, children: new Map() });
  }
}

function clear(tree: Tree, place: readonly string[]): void {
  const folder = tree.at(place);
  if (folder?.type === 'directory') tree.put(place, { ...folder, children: new Map() });
}
