import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type AnyDigest, hexOfAny } from '../digest.ts';
import { parseAnyManifest } from '../manifest.ts';
import type { BlobStore } from '../store.ts';
import { absent, digestOfName, repositoryFolder, repositoryNames } from './layout.ts';
import { documentOf, removeManifest } from './manifests.ts';
import { openRepository, type Repository } from './repository.ts';
import { abandonedAfter, openUploads } from './upload-folder.ts';

export interface CollectRequest {
  readonly store: BlobStore;
  readonly root: string;
  /**
   * Milliseconds: what was pushed, mounted or asked for (HEAD) more lately stays, since a push may be under way whose
   * manifest is still to come. A day unless told.
   */
  readonly grace?: number;
  /** Removes manifests too that no tag, index or subject leads to. */
  readonly untagged?: boolean;
  /** Only says what would go. */
  readonly dryRun?: boolean;
  /** Whether blobs of the store that no repository has go as well; not where the store is another's cache. */
  readonly sweepStore?: boolean;
  readonly onProgress?: (repository: string) => void;
}

export interface Collected {
  readonly repositories: number;
  readonly manifests: readonly { readonly repository: string; readonly digest: AnyDigest }[];
  readonly blobs: readonly { readonly repository: string; readonly digest: AnyDigest; readonly size: number }[];
  readonly uploads: number;
  /** Bytes that the disk has back, or would have. */
  readonly freed: number;
}

/**
 * Removes what nothing leads to: marks from the tags on, then sweeps, one repository at a time. A registry may serve the
 * folder meanwhile: a push waits for the sweep of its repository and nothing else, and what it counts on is within the grace.
 * Killed at any moment, it has removed some of what nothing leads to.
 */
export async function collectGarbage(request: CollectRequest): Promise<Collected> {
  const { store, root, grace = abandonedAfter, dryRun = false } = request;
  const manifests: { repository: string; digest: AnyDigest }[] = [];
  const blobs: { repository: string; digest: AnyDigest; size: number }[] = [];
  const links = new Links();
  const names = await repositoryNames(root);
  for (const name of names) {
    request.onProgress?.(name);
    const repository = openRepository(store, root, name);
    const known: Known = new Map();
    // Read before the lock is taken: under it only what has come since is read.
    await readManifests(repository, known);
    await repository.alone(async () => {
      await readManifests(repository, known);
      const marked = await mark(repository, known, request.untagged ?? false, grace);
      for (const digest of known.keys()) {
        if (marked.has(digest)) continue;
        manifests.push({ repository: name, digest });
        await links.remove(join(repositoryFolder(root, name), '_manifests', hexOfAny(digest)));
        if (!dryRun) await removeManifest(repository, digest);
      }
      for (const digest of await repository.blobs()) {
        const file = await repository.blob(digest);
        if (marked.has(digest) || file === undefined || (await isYoung(file.path, grace))) continue;
        blobs.push({ repository: name, digest, size: file.size });
        await links.remove(file.path);
        if (!dryRun) await repository.removeBlob(digest);
      }
      if (!dryRun) await clearTraces(repositoryFolder(root, name));
    });
  }
  const expired = await openUploads(root).expire(Math.max(grace, 0), dryRun);
  if (request.sweepStore) await sweepStore(store, links, grace, dryRun);
  return { repositories: names.length, manifests, blobs, uploads: expired.count, freed: links.freed + expired.bytes };
}

/** What each manifest refers to; empty lists for one that can't be read, which then keeps nothing alive but itself. */
type Known = Map<AnyDigest, { readonly refers: readonly AnyDigest[]; readonly subject?: AnyDigest }>;

async function readManifests(repository: Repository, known: Known): Promise<void> {
  const there = new Set(await repository.manifests());
  for (const digest of known.keys()) if (!there.has(digest)) known.delete(digest);
  for (const digest of there) {
    if (known.has(digest)) continue;
    const manifest = await repository.manifest(digest);
    if (manifest === undefined) continue;
    const document = documentOf(parseAnyManifest(await readFile(manifest.path), manifest.mediaType, digest));
    const below = 'manifests' in document ? document.manifests : [document.config, ...document.layers];
    known.set(digest, {
      refers: below.map((each) => each.digest),
      ...(document.subject && { subject: document.subject.digest }),
    });
  }
}

/** Everything that a tag leads to: downwards through indexes, and to what refers to it. */
async function mark(repository: Repository, known: Known, untagged: boolean, grace: number): Promise<Set<AnyDigest>> {
  const roots: AnyDigest[] = [];
  if (untagged) {
    for (const name of await repository.tags()) {
      const digest = await repository.tag(name);
      if (digest !== undefined) roots.push(digest);
    }
    for (const digest of known.keys()) {
      const file = await repository.manifest(digest);
      if (file !== undefined && (await isYoung(file.path, grace))) roots.push(digest);
    }
  } else roots.push(...known.keys());
  const referrers = new Map<AnyDigest, AnyDigest[]>();
  for (const [digest, { subject }] of known)
    if (subject !== undefined) referrers.set(subject, [...(referrers.get(subject) ?? []), digest]);
  const marked = new Set<AnyDigest>();
  for (let digest = roots.pop(); digest !== undefined; digest = roots.pop()) {
    if (marked.has(digest)) continue;
    marked.add(digest);
    roots.push(...(known.get(digest)?.refers ?? []), ...(referrers.get(digest) ?? []));
  }
  return marked;
}

async function isYoung(path: string, grace: number): Promise<boolean> {
  const found = await stat(path).catch(absent);
  return found === undefined || Date.now() - found.ctimeMs < grace;
}

/** Types and referrers of manifests that are not there: what an end in the middle of a step left. */
async function clearTraces(folder: string): Promise<void> {
  const manifests = new Set((await readdir(join(folder, '_manifests')).catch(absent)) ?? []);
  const clear = async (part: string) => {
    for (const name of (await readdir(join(folder, part)).catch(absent)) ?? [])
      if (digestOfName(name) !== undefined && !manifests.has(name)) await rm(join(folder, part, name), { force: true });
  };
  await clear('_types');
  for (const subject of (await readdir(join(folder, '_referrers')).catch(absent)) ?? [])
    await clear(join('_referrers', subject));
  // Files that an atomic write was busy with, named after what they were to become.
  for (const part of ['_manifests', '_types', '_tags', '_blobs'])
    for (const name of (await readdir(join(folder, part)).catch(absent)) ?? []) {
      const partial = name.startsWith('.') || (part === '_blobs' && digestOfName(name) === undefined);
      if (partial && !(await isYoung(join(folder, part, name), abandonedAfter)))
        await rm(join(folder, part, name), { force: true });
    }
}

async function sweepStore(store: BlobStore, links: Links, grace: number, dryRun: boolean): Promise<void> {
  for (const name of (await readdir(join(store.folder, 'sha256')).catch(absent)) ?? []) {
    const path = join(store.folder, 'sha256', name);
    const found = await stat(path).catch(absent);
    if (found === undefined) continue;
    const left = links.left(found);
    // A link made since the repositories were swept counts, and only the disk knows of it.
    if ((left ?? found.nlink) > 1 || (!dryRun && found.nlink > 1)) continue;
    // What has just lost its last repository was old enough there, though the loss made it look young.
    if (left === undefined && Date.now() - found.ctimeMs < grace) continue;
    await links.remove(path);
    if (!dryRun) await rm(path, { force: true });
  }
}

/** Counts names of files that went, so that bytes count once, when the last name of a file goes. */
class Links {
  freed = 0;
  private readonly gone = new Map<string, { left: number }>();

  /** To be told before the name goes, or would go. */
  async remove(path: string): Promise<void> {
    const found = await stat(path).catch(absent);
    if (found === undefined) return;
    const key = `${found.dev}:${found.ino}`;
    const entry = this.gone.get(key) ?? { left: found.nlink };
    entry.left -= 1;
    if (entry.left === 0) this.freed += found.size;
    this.gone.set(key, entry);
  }

  /** Names that a file has left; undefined where none of it went. */
  left(found: { readonly dev: number; readonly ino: number }): number | undefined {
    return this.gone.get(`${found.dev}:${found.ino}`)?.left;
  }
}
