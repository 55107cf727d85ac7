import type { Digest } from '../digest.ts';
import type { LayoutContent } from '../layout.ts';
import { comparePaths } from '../tar/entry.ts';
import { flatten, type LayerEntries, readLayer, type SeenFile } from './flatten.ts';
import { type DescribedLayer, describeLayers } from './layers.ts';
import { type InstalledPackage, installedPackages } from './packages.ts';

/** What of a file is another one. */
export type FileAspect = 'content' | 'mode' | 'owner' | 'link' | 'kind';

export interface FileDifference {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** For a changed file. */
  readonly aspects: readonly FileAspect[];
  readonly before?: SeenFile;
  readonly after?: SeenFile;
}

export interface FieldDifference {
  /** `Entrypoint`, `Env.PATH`, `architecture`. */
  readonly field: string;
  /** Undefined where it is not there. */
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface PackageDifference {
  readonly name: string;
  /** Version; undefined where it is not there. */
  readonly before?: string;
  readonly after?: string;
}

export interface ImageDifference {
  readonly same: boolean;
  readonly before: Digest;
  readonly after: Digest;
  readonly configuration: readonly FieldDifference[];
  readonly layers: {
    readonly shared: number;
    readonly removed: readonly DescribedLayer[];
    readonly added: readonly DescribedLayer[];
  };
  readonly packages: readonly PackageDifference[];
  /** By path: as containers of the two images would see them. */
  readonly files: readonly FileDifference[];
}

/**
 * What differs between two images: configuration, layers, packages, and each file, whichever layer it lies in. Layers that
 * both have are read only for files that other layers of one of them have too.
 *
 * @throws ImageFault image/bad-layout, image/bad-archive
 */
export async function diffImages(before: LayoutContent, after: LayoutContent): Promise<ImageDifference> {
  const [left, right] = [describeLayers(before), describeLayers(after)];
  // By the uncompressed sum: the same layer compressed otherwise is the same layer.
  const shared = new Set(left.map(({ diffId }) => diffId).filter((id) => right.some(({ diffId }) => diffId === id)));
  const removed = left.filter(({ diffId }) => !shared.has(diffId));
  const added = right.filter(({ diffId }) => !shared.has(diffId));
  const moved = !sameOrder(left, right, shared);
  const anyFile = removed.length > 0 || added.length > 0 || moved;
  const configuration = configurationDifferences(before, after);
  return {
    same: before.digest === after.digest,
    before: before.digest,
    after: after.digest,
    configuration,
    layers: { shared: shared.size, removed, added },
    packages: anyFile ? packageDifferences(await installedPackages(before), await installedPackages(after)) : [],
    files: anyFile ? await fileDifferences(before, after, shared, moved) : [],
  };
}

function sameOrder(
  left: readonly DescribedLayer[],
  right: readonly DescribedLayer[],
  shared: ReadonlySet<Digest>,
): boolean {
  const order = (list: readonly DescribedLayer[]) => list.map(({ diffId }) => diffId).filter((id) => shared.has(id));
  return order(left).join() === order(right).join();
}

async function fileDifferences(
  before: LayoutContent,
  after: LayoutContent,
  shared: ReadonlySet<Digest>,
  moved: boolean,
): Promise<FileDifference[]> {
  const entries = new Map<Digest, LayerEntries>();
  const touched = new Set<string>();
  for (const image of [before, after]) {
    for (const [index, { digest, diffId }] of describeLayers(image).entries()) {
      if (shared.has(diffId) || entries.has(digest)) continue;
      const layer = await readLayer(image, index);
      entries.set(digest, layer);
      for (const path of layer.keys()) touched.add(path);
    }
  }
  for (const image of [before, after]) {
    for (const [index, { digest, diffId }] of describeLayers(image).entries()) {
      if (!shared.has(diffId) || entries.has(digest)) continue;
      entries.set(digest, await readLayer(image, index, (path) => moved || touched.has(path)));
    }
  }
  const read = (digest: Digest) => entries.get(digest) ?? new Map();
  const [old, now] = [flatten(before, read), flatten(after, read)];
  const found: FileDifference[] = [];
  for (const path of [...new Set([...old.keys(), ...now.keys()])].sort(comparePaths)) {
    const [was, is] = [old.get(path), now.get(path)];
    if (was === undefined && is !== undefined) found.push({ path, change: 'added', aspects: [], after: is });
    else if (was !== undefined && is === undefined) found.push({ path, change: 'removed', aspects: [], before: was });
    else if (was !== undefined && is !== undefined) {
      const aspects = aspectsOf(resolve(was, old), resolve(is, now));
      if (aspects.length > 0) found.push({ path, change: 'changed', aspects, before: was, after: is });
    }
  }
  return found;
}

/** A hard link is the file that it names: which of the names holds the content is an archive's matter. */
function resolve(file: SeenFile, all: ReadonlyMap<string, SeenFile>): SeenFile {
  const target = file.type === 'hardlink' ? all.get(file.target) : undefined;
  return target?.type === 'file' ? { ...target, path: file.path, layer: file.layer } : file;
}

function aspectsOf(was: SeenFile, is: SeenFile): FileAspect[] {
  const aspects: FileAspect[] = [];
  if (was.type !== is.type) aspects.push('kind');
  else if (was.type === 'file' && (was.size !== is.size || was.sha256 !== is.sha256)) aspects.push('content');
  else if (was.target !== is.target) aspects.push('link');
  if (was.mode !== is.mode && is.type !== 'symlink') aspects.push('mode');
  if (was.uid !== is.uid || was.gid !== is.gid) aspects.push('owner');
  return aspects;
}

function configurationDifferences(before: LayoutContent, after: LayoutContent): FieldDifference[] {
  const [was, is] = [fieldsOf(before), fieldsOf(after)];
  return [...new Set([...was.keys(), ...is.keys()])]
    .sort()
    .filter((field) => JSON.stringify(was.get(field)) !== JSON.stringify(is.get(field)))
    .map((field) => ({
      field,
      ...(was.has(field) && { before: was.get(field) }),
      ...(is.has(field) && { after: is.get(field) }),
    }));
}

/** One level: each variable, label, port and volume is a field of its own. */
function fieldsOf({ configuration }: LayoutContent): Map<string, unknown> {
  const { architecture, os, config } = configuration;
  const fields = new Map<string, unknown>([
    ['architecture', architecture],
    ['os', os],
  ]);
  for (const [name, value] of Object.entries(config)) {
    if (name === 'Env' && Array.isArray(value)) {
      for (const pair of value.map(String)) {
        const at = pair.indexOf('=');
        fields.set(`Env.${pair.slice(0, at)}`, pair.slice(at + 1));
      }
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, member] of Object.entries(value)) fields.set(`${name}.${key}`, member);
    } else fields.set(name, value);
  }
  return fields;
}

function packageDifferences(
  before: readonly InstalledPackage[],
  after: readonly InstalledPackage[],
): PackageDifference[] {
  const versions = (list: readonly InstalledPackage[]) => new Map(list.map(({ name, version }) => [name, version]));
  const [was, is] = [versions(before), versions(after)];
  return [...new Set([...was.keys(), ...is.keys()])].sort().flatMap((name) => {
    const [from, to] = [was.get(name), is.get(name)];
    if (from === to) return [];
    return [{ name, ...(from !== undefined && { before: from }), ...(to !== undefined && { after: to }) }];
  });
}
