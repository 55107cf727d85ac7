import type { StoredLayer } from '../assemble.ts';
import { canonicalJson } from '../canonical.ts';
import type { Digest } from '../digest.ts';
import { hexOf } from '../digest.ts';
import { indexLayer, remembered } from '../dockerfile/layer-tree.ts';
import { ImageFault } from '../fault.ts';
import type { BlobStore } from '../store.ts';
import { parentOf } from '../tar/entry.ts';
import { fileEntry, type LayerEntry, symlinkEntry } from '../tar/write.ts';
import type { Alternative, Diversion } from './script-links.ts';

/** Where a package's layer says which alternatives and diversions are its own, so that what several of one image want can be settled. */
export const linksFolder = 'var/lib/dpkg/links.d';

/** What such a file holds, as JSON. */
export interface PackageLinks {
  readonly alternatives: readonly Alternative[];
  readonly diversions: readonly Diversion[];
}

/** The file of a package; none where it has neither. */
export function linksEntry(name: string, { alternatives, diversions }: PackageLinks): LayerEntry[] {
  if (alternatives.length === 0 && diversions.length === 0) return [];
  return [fileEntry(`${linksFolder}/${name}`, `${canonicalJson({ alternatives, diversions })}\n`)];
}

/** Goes up when other things are remembered of a layer. */
const linksVersion = 1;

/** Of one kind in one package; gcc has some dozens. */
const mostLinks = 10_000;

interface Found extends PackageLinks {
  readonly name: string;
  readonly layer: Digest;
}

/**
 * What dpkg would make of packages that offer the same link, or put others' files out of the way: entries of a layer above all of them. Each layer
 * by itself is right where only one package has a say.
 *
 * @param layers of packages, uncompressed, in the store, from the lowest
 */
export async function settleLinks(
  store: BlobStore,
  layers: readonly Pick<StoredLayer, 'digest'>[],
): Promise<LayerEntry[]> {
  const found: Found[] = [];
  for (const { digest } of layers) found.push(...(await linksOf(store, digest)));
  const entries = new Map<string, LayerEntry>();
  for (const entry of settledAlternatives(found)) entries.set(entry.path, entry);
  if (found.some(({ diversions }) => diversions.length > 0))
    for (const entry of await settledDiversions(store, layers, found)) entries.set(entry.path, entry);
  return [...entries.values()];
}

async function linksOf(store: BlobStore, layer: Digest): Promise<Found[]> {
  const texts = await remembered(store, `links-${linksVersion}`, hexOf(layer), async () => {
    const held: [string, string][] = [];
    for (const { path, type, size, offset } of await indexLayer(store, layer)) {
      if (type !== 'file' || parentOf(path) !== linksFolder) continue;
      const parts: Uint8Array[] = [];
      for await (const piece of await store.open(layer, { start: offset, end: offset + size - 1 }))
        parts.push(piece as Buffer);
      held.push([path.slice(linksFolder.length + 1), Buffer.concat(parts).toString('utf8')]);
    }
    return held;
  });
  return texts.map(([name, text]) => ({ name, layer, ...parseLinks(layer, name, text) }));
}

/** A base may be of others: what it says is made into entries, and so must be no more than that. */
function parseLinks(layer: Digest, name: string, text: string): PackageLinks {
  const bad = () =>
    new ImageFault('image/bad-archive', `the layer ${layer} has ${linksFolder}/${name}, which can't be read`);
  const objects = (value: unknown): Readonly<Record<string, unknown>>[] => {
    if (!Array.isArray(value) || value.length > mostLinks) throw bad();
    return value.map((each: unknown) => {
      if (typeof each !== 'object' || each === null) throw bad();
      return each as Record<string, unknown>;
    });
  };
  const place = (value: unknown): string => {
    if (typeof value === 'string' && isPlace(value)) return value;
    throw bad();
  };
  const target = (value: unknown): string => {
    if (typeof value === 'string' && value.startsWith('/') && !value.includes('\0')) return value;
    throw bad();
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw bad();
  }
  const { alternatives, diversions } = objects([json])[0]!;
  return {
    alternatives: objects(alternatives).map((each) => ({
      link: place(each.link),
      target: target(each.target),
      priority: Number(each.priority),
      others: objects(each.others).map((other) => ({ link: place(other.link), target: target(other.target) })),
    })),
    diversions: objects(diversions).map(({ from, to, by }) => ({
      from: place(from),
      to: place(to),
      ...(typeof by === 'string' && { by }),
    })),
  };
}

/** A path as layers have it, of nothing that takes others away. */
function isPlace(path: string): boolean {
  return path
    .split('/')
    .every((part) => part !== '' && !part.startsWith('.wh.') && part !== '.' && part !== '..' && !part.includes('\0'));
}

/** Of several the one with the highest priority has the link, with the links that go with it: update-alternatives(1), "automatic mode". */
function settledAlternatives(found: readonly Found[]): LayerEntry[] {
  const offers = new Map<string, (Alternative & { readonly name: string })[]>();
  for (const { name, alternatives } of found)
    for (const each of alternatives) offers.set(each.link, [...(offers.get(each.link) ?? []), { ...each, name }]);
  const made = new Map<string, string>();
  const gone = new Set<string>();
  for (const all of offers.values()) {
    if (all.length < 2) continue;
    // Of two that are alike the first by its name: never whose layer happens to lie higher.
    const [best] = all.toSorted((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
    made.set(best!.link, best!.target);
    for (const { link, target } of best!.others) made.set(link, target);
    for (const { others } of all) for (const { link } of others) gone.add(link);
  }
  return [
    ...[...made].map(([link, target]) => symlinkEntry(link, target)),
    // What goes with an alternative that another one has won over.
    ...[...gone].filter((link) => !made.has(link)).map(whiteoutOf),
  ];
}

/** image-spec layer.md, "Whiteouts". */
function whiteoutOf(path: string): LayerEntry {
  const parent = parentOf(path);
  const name = path.slice(parent === '' ? 0 : parent.length + 1);
  return fileEntry(`${parent === '' ? '' : `${parent}/`}.wh.${name}`, '');
}

async function settledDiversions(
  store: BlobStore,
  layers: readonly Pick<StoredLayer, 'digest'>[],
  found: readonly Found[],
): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = [];
  // What settles the packages of a base is no package's own.
  const ofPackages: Pick<StoredLayer, 'digest'>[] = [];
  for (const each of layers) {
    const index = await indexLayer(store, each.digest);
    if (index.some(({ path }) => parentOf(path) === 'var/lib/dpkg/status.d')) ofPackages.push(each);
  }
  for (const { diversions } of found) {
    for (const { from, to, by } of diversions) {
      const own = found.find(({ name }) => name === by)?.layer;
      let others: LayerEntry | undefined;
      let mine: LayerEntry | undefined;
      for (const { digest } of ofPackages) {
        const entry = await entryAt(store, digest, from);
        if (entry !== undefined && digest === own) mine = entry;
        else if (entry !== undefined) others = entry;
      }
      if (others === undefined) continue;
      entries.push({ ...others, path: to }, mine ?? whiteoutOf(from));
    }
  }
  return entries;
}

/** What a layer has at a path; a second name of a file is the file. */
async function entryAt(store: BlobStore, layer: Digest, path: string): Promise<LayerEntry | undefined> {
  const index = await indexLayer(store, layer);
  const named = index.find((each) => each.path === path);
  const found = named?.type === 'hardlink' ? index.find((each) => each.path === named.target) : named;
  if (found === undefined || (found.type !== 'file' && found.type !== 'symlink')) return undefined;
  const { type, mode, uid, gid, size, target, offset, attributes } = found;
  const header = { path, type, mode, uid, gid, size, target, ...(attributes !== undefined && { attributes }) };
  if (type !== 'file') return header;
  return { ...header, content: { path: store.path(layer), offset, identity: `${layer}+${offset}+${size}` } };
}
