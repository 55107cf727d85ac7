import { createHash } from 'node:crypto';
import type { Digest } from '../digest.ts';
import type { LayoutContent } from '../layout.ts';
import { layerBytes } from '../lower.ts';
import type { TarHeader } from '../tar/entry.ts';
import { readTar } from '../tar/read.ts';
import { describeLayers } from './layers.ts';

/** A file as a container of the image sees it. */
export interface SeenFile extends TarHeader {
  /** Of the content, hex; for files whose content was asked for. */
  readonly sha256?: string;
  /** The layer that it comes from, by its place from the lowest (0) and its purpose. */
  readonly layer: { readonly index: number; readonly digest: Digest; readonly purpose: string };
}

/** Entries of one layer; `sha256` where `wanted` says so. */
export type LayerEntries = ReadonlyMap<string, TarHeader & { readonly sha256?: string }>;

/** @param wanted paths whose contents are summed; all unless told */
export async function readLayer(
  { layout, manifest }: LayoutContent,
  index: number,
  wanted: (path: string) => boolean = () => true,
): Promise<LayerEntries> {
  const layer = manifest.layers[index];
  const entries = new Map<string, TarHeader & { sha256?: string }>();
  if (layer === undefined) return entries;
  for await (const entry of readTar(layerBytes(layout, layer), `layer ${layer.digest}`)) {
    const { path, type, mode, uid, gid, size, target } = entry;
    const header = { path, type, mode, uid, gid, size, target };
    if (type !== 'file' || !wanted(path)) {
      entries.set(path, header);
      continue;
    }
    const hash = createHash('sha256');
    for await (const piece of entry.content()) hash.update(piece);
    entries.set(path, { ...header, sha256: hash.digest('hex') });
  }
  return entries;
}

/**
 * The layers laid upon one another, as a runtime does it: a later one replaces, and its whiteouts remove. image-spec layer.md.
 *
 * @param entriesOf what each layer holds, by its digest
 */
export function flatten(image: LayoutContent, entriesOf: (digest: Digest) => LayerEntries): Map<string, SeenFile> {
  const seen = new Map<string, SeenFile>();
  for (const [index, { digest, purpose }] of describeLayers(image).entries()) {
    const layer = { index, digest, purpose };
    const entries = entriesOf(digest);
    for (const path of entries.keys()) {
      const [, folder = '', name] = /^(.*?)\.wh\.([^/]+)$/.exec(path) ?? [];
      if (name === undefined) continue;
      if (name === '.wh..opq') removeBelow(seen, folder);
      else {
        seen.delete(`${folder}${name}`);
        removeBelow(seen, `${folder}${name}/`);
      }
    }
    for (const [path, entry] of entries) {
      if (/(^|\/)\.wh\.[^/]+$/.test(path) || path === '') continue;
      // Anything but a folder in place of a folder hides what was in it.
      if (entry.type !== 'directory' && seen.get(path)?.type === 'directory') removeBelow(seen, `${path}/`);
      seen.set(path, { ...entry, layer });
    }
  }
  return seen;
}

function removeBelow(seen: Map<string, SeenFile>, prefix: string): void {
  for (const path of seen.keys()) if (path.startsWith(prefix)) seen.delete(path);
}
