import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock, writeAtomically } from '../../disk/index.ts';
import { canonicalJson } from '../canonical.ts';
import { type AnyDigest, type Digest, hexOfAny, isAnyDigest } from '../digest.ts';
import type { Descriptor } from '../manifest.ts';
import { isTag } from '../names.ts';
import type { BlobStore } from '../store.ts';
import {
  absent,
  digestOfName,
  type FoundFile,
  fileAt,
  placeFile,
  removeFile,
  repositoryFolder,
  textAt,
  touch,
} from './layout.ts';
import type { Usage } from './usage.ts';

/**
 * One repository on disk. Below `<root>/repositories/<name>/`, whose parts never begin with `_`:
 *
 *     _blobs/<hex>             hard link into the blob store: what may be pulled from here
 *     _manifests/<hex>         the same for manifests
 *     _types/<hex>             media type of a manifest
 *     _tags/<tag>              digest that the tag names
 *     _referrers/<hex>/<hex>   descriptor of a manifest whose subject is the first
 *
 * 64 hex digits are a SHA-256, 128 a SHA-512. The links make that a repository serves what was pushed to it and nothing
 * else, and that it keeps its content when the store's folder, which may be a cache, is emptied. Each change is one atomic
 * step; the order of the steps is such that what is named exists.
 */
export interface Repository {
  readonly name: string;
  exists(): Promise<boolean>;
  /** Undefined where it is not here. */
  blob(digest: AnyDigest): Promise<FoundFile | undefined>;
  /** Makes a blob of the store part of this repository. @param named by which name; its own unless told */
  linkBlob(stored: Digest, named?: AnyDigest): Promise<void>;
  /** Makes a file whose sum is known part of this repository, and of the store. */
  adoptBlob(file: FoundFile, stored: Digest, named: AnyDigest): Promise<void>;
  /** The same from another repository that has it. False where it does not. */
  mountBlob(digest: AnyDigest, from: Repository): Promise<boolean>;
  removeBlob(digest: AnyDigest): Promise<boolean>;
  manifest(digest: AnyDigest): Promise<(FoundFile & { readonly mediaType: string }) | undefined>;
  /** Digests of all manifests, in their order. */
  manifests(): Promise<AnyDigest[]>;
  /** Digests of all blobs, in their order. */
  blobs(): Promise<AnyDigest[]>;
  putManifest(manifest: NewManifest): Promise<void>;
  /** With its tags. */
  removeManifest(digest: AnyDigest, subject: AnyDigest | undefined): Promise<boolean>;
  tag(name: string): Promise<AnyDigest | undefined>;
  /** In the order of their bytes. */
  tags(): Promise<string[]>;
  removeTag(name: string): Promise<boolean>;
  /** Descriptors of manifests that are here, in the order of their digests. */
  referrers(subject: AnyDigest): Promise<Descriptor<AnyDigest>[]>;
  /**
   * While it runs nobody else, of whatever process, puts or removes manifests here: what a manifest refers to stays until it
   * is written.
   */
  alone<T>(body: () => Promise<T>): Promise<T>;
}

export interface NewManifest {
  readonly digest: AnyDigest;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly tags: readonly string[];
  /** What it refers to, and how the list of referrers speaks of it. */
  readonly referrer?: { readonly subject: AnyDigest; readonly descriptor: Descriptor<AnyDigest> } | undefined;
}

/** Milliseconds to wait for another process, such as a garbage collection. */
const patience = 60_000;

const queues = new Map<string, Promise<unknown>>();

/** @param name checked against the grammar of names by the caller, so that it can't lead out of the root */
export function openRepository(store: BlobStore, root: string, name: string, usage?: Usage): Repository {
  const folder = repositoryFolder(root, name);
  const blobPath = (digest: AnyDigest) => join(folder, '_blobs', hexOfAny(digest));
  const manifestPath = (digest: AnyDigest) => join(folder, '_manifests', hexOfAny(digest));
  const typePath = (digest: AnyDigest) => join(folder, '_types', hexOfAny(digest));
  const tagPath = (tag: string) => join(folder, '_tags', tag);
  const referrerPath = (subject: AnyDigest, digest: AnyDigest) =>
    join(folder, '_referrers', hexOfAny(subject), hexOfAny(digest));

  async function tag(tagName: string): Promise<AnyDigest | undefined> {
    const text = await textAt(tagPath(tagName));
    return text !== undefined && isAnyDigest(text) ? text : undefined;
  }

  async function tags(): Promise<string[]> {
    const names = (await readdir(join(folder, '_tags')).catch(absent)) ?? [];
    // A file being written begins with a dot, a tag does not.
    return names.filter(isTag).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  async function digestsIn(part: string): Promise<AnyDigest[]> {
    const names = ((await readdir(join(folder, part)).catch(absent)) ?? []).sort();
    return names.map(digestOfName).filter((digest) => digest !== undefined);
  }

  async function manifest(digest: AnyDigest): Promise<(FoundFile & { readonly mediaType: string }) | undefined> {
    const found = await fileAt(manifestPath(digest));
    if (found === undefined) return undefined;
    const mediaType = await textAt(typePath(digest));
    return mediaType === undefined ? undefined : { ...found, mediaType };
  }

  async function place(source: string, digest: AnyDigest, size: number): Promise<void> {
    if (await placeFile(source, blobPath(digest))) usage?.add(name, size);
    else await touch(blobPath(digest));
  }

  return {
    name,
    exists: async () =>
      (await fileOrFolder(join(folder, '_manifests'))) || (await fileOrFolder(join(folder, '_blobs'))),
    blob: (digest) => fileAt(blobPath(digest)),
    async linkBlob(stored, named = stored) {
      const size = (await store.size(stored)) ?? 0;
      await place(store.path(stored), named, size);
    },
    async adoptBlob(file, stored, named) {
      await store.adopt(file.path, { digest: stored, size: file.size });
      // What the store had already is linked, so that the content lies on the disk once; a collection may just take it away.
      await place(store.path(stored), named, file.size).catch(async (error: NodeJS.ErrnoException) => {
        absent(error);
        await place(file.path, named, file.size);
      });
    },
    async mountBlob(digest, from) {
      const there = await from.blob(digest);
      if (there === undefined) return false;
      try {
        await place(there.path, digest, there.size);
        return true;
      } catch (error) {
        // Removed a moment ago.
        absent(error as NodeJS.ErrnoException);
        return false;
      }
    },
    async removeBlob(digest) {
      const size = (await fileAt(blobPath(digest)))?.size ?? 0;
      const was = await removeFile(blobPath(digest));
      if (was) usage?.add(name, -size);
      return was;
    },
    manifest,
    manifests: () => digestsIn('_manifests'),
    blobs: () => digestsIn('_blobs'),
    async putManifest({ digest, bytes, mediaType, tags: names, referrer }) {
      await writeAtomically(typePath(digest), mediaType);
      if ((await fileAt(manifestPath(digest)))?.size === bytes.length) await touch(manifestPath(digest));
      else {
        await mkdir(join(folder, '_manifests'), { recursive: true });
        await writeAtomically(manifestPath(digest), bytes, 0o444);
        usage?.add(name, bytes.length);
      }
      if (referrer !== undefined)
        await writeAtomically(referrerPath(referrer.subject, digest), canonicalJson(referrer.descriptor));
      for (const tagName of names) await writeAtomically(tagPath(tagName), digest);
    },
    async removeManifest(digest, subject) {
      for (const tagName of await tags()) if ((await tag(tagName)) === digest) await removeFile(tagPath(tagName));
      const size = (await fileAt(manifestPath(digest)))?.size ?? 0;
      const was = await removeFile(manifestPath(digest));
      if (was) usage?.add(name, -size);
      if (subject !== undefined) await removeFile(referrerPath(subject, digest));
      await removeFile(typePath(digest));
      return was;
    },
    tag,
    tags,
    removeTag: (tagName) => removeFile(tagPath(tagName)),
    async referrers(subject) {
      const below = join(folder, '_referrers', hexOfAny(subject));
      const names = ((await readdir(below).catch(absent)) ?? []).sort();
      const found: Descriptor<AnyDigest>[] = [];
      for (const entry of names) {
        const digest = digestOfName(entry);
        if (digest === undefined || (await fileAt(manifestPath(digest))) === undefined) continue;
        const text = await textAt(join(below, entry));
        if (text !== undefined) found.push(JSON.parse(text));
      }
      return found;
    },
    async alone<T>(body: () => Promise<T>): Promise<T> {
      // In this process by a queue, against others by a lock file, whose waiting is by looking again and again.
      const before = queues.get(folder) ?? Promise.resolve();
      const lock = join(root, 'locks', createHash('sha256').update(name).digest('hex'));
      const own = before.catch(() => {}).then(() => withLock(lock, body, { timeout: patience }));
      const tail = own.catch(() => {});
      queues.set(folder, tail);
      try {
        return await own;
      } finally {
        if (queues.get(folder) === tail) queues.delete(folder);
      }
    },
  };
}

async function fileOrFolder(path: string): Promise<boolean> {
  return readdir(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => absent(error) ?? false,
  );
}
