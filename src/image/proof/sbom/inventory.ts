import { inParallel } from '../../client/in-parallel.ts';
import type { Digest } from '../../digest.ts';
import { readLayout } from '../../layout.ts';
import type { Descriptor } from '../../manifest.ts';
import { type InstalledPackage, type LayerContents, readLayerContents } from './layer-contents.ts';

/** What is in an image, or in all images of an index, and in which layer. */
export interface Inventory {
  readonly packages: readonly (InstalledPackage & {
    readonly layer: Digest;
    readonly licences: readonly string[];
    /** SHA-256 of the copyright file, where that names no licence. */
    readonly unread?: string | undefined;
  })[];
  readonly files: readonly { readonly path: string; readonly sha256: string; readonly layer: Digest }[];
  /** Layers of whose files not all are listed, with their number. */
  readonly unlisted: readonly { readonly layer: Digest; readonly files: number }[];
  readonly system: { readonly id: string; readonly version: string } | undefined;
}

/** Layers that are read at a time: they come from a disk. */
const atOnce = 4;

/**
 * Looks into the layers of the images in a layout folder.
 *
 * @param remember keeps what was read of a layer, by its digest: a layer of a package is in many images
 * @throws ImageFault image/bad-layout, image/bad-archive
 */
export async function takeInventory(
  layout: string,
  remember: (layer: Digest, read: () => Promise<LayerContents>) => Promise<LayerContents> = (_, read) => read(),
): Promise<Inventory> {
  const { images } = await readLayout(layout);
  const inventories: Inventory[] = [];
  for (const { manifest } of images) {
    const contents: LayerContents[] = [];
    await inParallel([...manifest.layers.entries()], atOnce, async ([index, layer]) => {
      contents[index] = await remember(layer.digest, () => readLayerContents(layout, layer));
    });
    inventories.push(joinLayers(manifest.layers, contents));
  }
  return joinImages(inventories);
}

/** What several have is there once: packages that are the same for all architectures, say. */
function joinImages(inventories: readonly Inventory[]): Inventory {
  const [first] = inventories;
  if (first !== undefined && inventories.length === 1) return first;
  const once = <T>(lists: readonly (readonly T[])[], key: (each: T) => string): T[] =>
    [...new Map(lists.flat().map((each) => [key(each), each]))]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, each]) => each);
  return {
    packages: once(
      inventories.map(({ packages }) => packages),
      ({ name, architecture, version, layer }) => [name, architecture, version, layer].join(' '),
    ),
    files: once(
      inventories.map(({ files }) => files),
      ({ path, layer }) => `${path} ${layer}`,
    ),
    unlisted: once(
      inventories.map(({ unlisted }) => unlisted),
      ({ layer }) => layer,
    ),
    system: first?.system,
  };
}

function joinLayers(layers: readonly Descriptor[], contents: readonly LayerContents[]): Inventory {
  const licences = new Map(contents.flatMap((each) => Object.entries(each.licences)));
  const links = new Map(contents.flatMap((each) => Object.entries(each.links)));
  const unread = new Map(contents.flatMap((each) => Object.entries(each.unread)));
  const sumOf = (folder: string, depth = 0): string | undefined => {
    const link = links.get(folder);
    return unread.get(folder) ?? (link === undefined || depth > 5 ? undefined : sumOf(link, depth + 1));
  };
  const documented = (folder: string, depth = 0): readonly string[] => {
    const link = links.get(folder);
    return licences.get(folder) ?? (link === undefined || depth > 5 ? [] : documented(link, depth + 1));
  };
  const packages = new Map<string, Inventory['packages'][number]>();
  const files = new Map<string, Inventory['files'][number]>();
  const unlisted: { layer: Digest; files: number }[] = [];
  // Upper layers hide what is below them.
  contents.forEach((each, index) => {
    const layer = layers[index]!.digest;
    for (const found of each.packages) {
      const named = documented(found.name);
      const sum = named.length === 0 ? sumOf(found.name) : undefined;
      packages.set(`${found.name}:${found.architecture}`, {
        ...found,
        layer,
        licences: named,
        ...(sum !== undefined && { unread: sum }),
      });
    }
    for (const file of each.files) files.set(file.path, { ...file, layer });
    if (each.fileCount > each.files.length) unlisted.push({ layer, files: each.fileCount });
  });
  const byKey = <T>(map: ReadonlyMap<string, T>) =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
  return {
    packages: byKey(packages),
    files: byKey(files),
    unlisted,
    system: contents.map(({ system }) => system).findLast((system) => system !== undefined),
  };
}
