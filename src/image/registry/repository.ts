import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../../disk/index.ts';
import { canonicalJson } from '../canonical.ts';
import { type AnyDigest, type Digest, hexOf, hexOfAny, isDigest } from '../digest.ts';
import type { Descriptor } from '../manifest.ts';
import { isTag } from '../names.ts';
import type { BlobStore, Stored } from '../store.ts';

/**
 * One repository on disk. Below `<root>/repositories/<name>/`, whose parts never begin with `_`:
 *
 *     _blobs/<hex>             hard link into the blob store: what may be pulled from here
 *     _manifests/<hex>         the same for manifests
 *     _types/<hex>             media type of a manifest
 *     _tags/<tag>              digest that the tag names
 *     _referrers/<hex>/<hex>   descriptor of a manifest whose subject is the first
 *
 * The links make that a repository serves what was pushed to it and nothing else, and that it keeps its content when the
 * store's folder, which may be a cache, is emptied. Each change is one atomic step; the order of the steps is such that
 * what is named exists.
 */
export interface Repository {
  readonly name: string;
  exists(): Promise<boolean>;
  /** Path and size; undefined where it is not here. */
  blob(digest: Digest): Promise<{ readonly path: string; readonly size: number } | undefined>;
  /** Makes a blob of the store part of this repository. */
  linkBlob(digest: Digest): Promise<void>;
  /** The same from another repository that has it. False where it does not. */
  mountBlob(digest: Digest, from: Repository): Promise<boolean>;
  removeBlob(digest: Digest): Promise<boolean>;
  manifest(
    digest: Digest,
  ): Promise<{ readonly path: string; readonly size: number; readonly mediaType: string } | undefined>;
  putManifest(manifest: Stored & { readonly mediaType: string }, tag: string | undefined): Promise<void>;
  /** With its tags. */
  removeManifest(digest: Digest, subject: Digest | undefined): Promise<boolean>;
  tag(name: string): Promise<Digest | undefined>;
  /** In the order of their bytes. */
  tags(): Promise<string[]>;
  removeTag(name: string): Promise<boolean>;
  putReferrer(subject: Digest, descriptor: Descriptor<AnyDigest>): Promise<void>;
  /** Descriptors, in the order of their digests. */
  referrers(subject: Digest): Promise<unknown[]>;
}

/** @param name checked against the grammar of names by the caller, so that it can't lead out of the root */
export function openRepository(store: BlobStore, root: string, name: string): Repository {
  const folder = join(root, 'repositories', ...name.split('/'));
  const blobPath = (digest: Digest) => join(folder, '_blobs', hexOf(digest));
  const manifestPath = (digest: Digest) => join(folder, '_manifests', hexOf(digest));
  const typePath = (digest: Digest) => join(folder, '_types', hexOf(digest));
  const tagPath = (tag: string) => join(folder, '_tags', tag);

  async function tag(tagName: string): Promise<Digest | undefined> {
    const text = await readFile(tagPath(tagName), 'utf8').catch(absent);
    return text !== undefined && isDigest(text) ? text : undefined;
  }

  async function tags(): Promise<string[]> {
    const names = (await readdir(join(folder, '_tags')).catch(absent)) ?? [];
    // A file being written begins with a dot, a tag does not.
    return names.filter(isTag).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  return {
    name,
    exists: async () => (await stat(join(folder, '_manifests')).catch(absent)) !== undefined,
    blob: (digest) => fileAt(blobPath(digest)),
    async linkBlob(digest) {
      if (!(await fileAt(blobPath(digest)))) await store.linkTo(digest, blobPath(digest));
    },
    async mountBlob(digest, from) {
      const there = await from.blob(digest);
      if (there === undefined) return false;
      if (await fileAt(blobPath(digest))) return true;
      await store.putFile(there.path, { digest, size: there.size });
      await store.linkTo(digest, blobPath(digest));
      return true;
    },
    removeBlob: (digest) => removed(blobPath(digest)),
    async manifest(digest) {
      const found = await fileAt(manifestPath(digest));
      if (found === undefined) return undefined;
      const mediaType = await readFile(typePath(digest), 'utf8').catch(absent);
      return mediaType === undefined ? undefined : { ...found, mediaType };
    },
    async putManifest({ digest, mediaType }, tagName) {
      await writeAtomically(typePath(digest), mediaType);
      await store.linkTo(digest, manifestPath(digest));
      if (tagName !== undefined) await writeAtomically(tagPath(tagName), digest);
    },
    async removeManifest(digest, subject) {
      for (const name of await tags()) if ((await tag(name)) === digest) await rm(tagPath(name), { force: true });
      if (subject !== undefined) await rm(join(folder, '_referrers', hexOf(subject), hexOf(digest)), { force: true });
      const was = await removed(manifestPath(digest));
      await rm(typePath(digest), { force: true });
      return was;
    },
    tag,
    tags,
    removeTag: (tagName) => removed(tagPath(tagName)),
    async putReferrer(subject, descriptor) {
      const path = join(folder, '_referrers', hexOf(subject), hexOfAny(descriptor.digest));
      await writeAtomically(path, canonicalJson(descriptor));
    },
    async referrers(subject) {
      const below = join(folder, '_referrers', hexOf(subject));
      const names = ((await readdir(below).catch(absent)) ?? []).filter((entry) => /^[0-9a-f]{64}$/.test(entry)).sort();
      const found: unknown[] = [];
      for (const entry of names) {
        const text = await readFile(join(below, entry), 'utf8').catch(absent);
        if (text !== undefined) found.push(JSON.parse(text));
      }
      return found;
    },
  };
}

/** An upload that has begun: a file that grows. It belongs to one repository and is known by a random number. */
export interface UploadFolder {
  create(repository: string): Promise<string>;
  /** Path of its file and the bytes in it; undefined where there is none of that repository. */
  find(repository: string, id: string): Promise<{ readonly path: string; readonly size: number } | undefined>;
  remove(repository: string, id: string): Promise<void>;
}

/** Milliseconds after which nobody will go on with an upload. */
const abandonedAfter = 24 * 3600 * 1000;

export function openUploads(root: string): UploadFolder {
  const folder = join(root, 'uploads');
  const path = (repository: string, id: string) => join(folder, `${repository.replaceAll('/', '@')}@${id}`);
  let cleared = 0;

  async function clear(): Promise<void> {
    if (Date.now() - cleared < 3600 * 1000) return;
    cleared = Date.now();
    for (const name of (await readdir(folder).catch(absent)) ?? []) {
      const found = await stat(join(folder, name)).catch(absent);
      if (found && Date.now() - found.mtimeMs > abandonedAfter) await rm(join(folder, name), { force: true });
    }
  }

  return {
    async create(repository) {
      await clear();
      await mkdir(folder, { recursive: true });
      const id = crypto.randomUUID();
      await writeFile(path(repository, id), '', { flag: 'wx', mode: 0o600 });
      return id;
    },
    async find(repository, id) {
      return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? fileAt(path(repository, id)) : undefined;
    },
    remove: (repository, id) => rm(path(repository, id), { force: true }),
  };
}

async function fileAt(path: string): Promise<{ path: string; size: number } | undefined> {
  const found = await stat(path).catch(absent);
  return found?.isFile() ? { path, size: found.size } : undefined;
}

async function removed(path: string): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (error) {
    absent(error as NodeJS.ErrnoException);
    return false;
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ENAMETOOLONG') return undefined;
  throw error;
}
