import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type AnyDigest, digestLike, hashFor } from '../digest.ts';
import { parseAnyManifest } from '../manifest.ts';
import type { BlobStore } from '../store.ts';
import { repositoryNames } from './layout.ts';
import { documentOf, isOurs } from './manifests.ts';
import { openRepository } from './repository.ts';

export interface CheckResult {
  readonly repositories: number;
  readonly manifests: number;
  readonly blobs: number;
  /** Sentences, each with the repository and the digest or tag. Empty where all is well. */
  readonly problems: readonly string[];
}

/** Reads everything: each blob and manifest has its sum, each tag and each manifest leads to what is there. */
export async function checkRegistry(
  store: BlobStore,
  root: string,
  onProgress: (repository: string) => void = () => {},
): Promise<CheckResult> {
  const problems: string[] = [];
  let manifests = 0;
  let blobs = 0;
  const names = await repositoryNames(root);
  for (const name of names) {
    onProgress(name);
    const repository = openRepository(store, root, name);
    for (const digest of await repository.blobs()) {
      blobs += 1;
      const file = await repository.blob(digest);
      if (file !== undefined && !(await hasSum(file.path, digest)))
        problems.push(`${name}: the blob ${digest} is damaged: its bytes have another sum`);
    }
    for (const digest of await repository.manifests()) {
      manifests += 1;
      const manifest = await repository.manifest(digest);
      if (manifest === undefined) {
        problems.push(`${name}: the manifest ${digest} has no media type`);
        continue;
      }
      const bytes = await readFile(manifest.path);
      if (digestLike(digest, bytes) !== digest) {
        problems.push(`${name}: the manifest ${digest} is damaged: its bytes have another sum`);
        continue;
      }
      const document = documentOf(parseAnyManifest(bytes, manifest.mediaType, digest));
      const lacks = (part: AnyDigest) =>
        problems.push(`${name}: the manifest ${digest} refers to ${part}, which is gone`);
      if ('manifests' in document) {
        for (const each of document.manifests) if (!(await repository.manifest(each.digest))) lacks(each.digest);
      } else {
        for (const each of [document.config, ...document.layers.filter(isOurs)])
          if (!(await repository.blob(each.digest))) lacks(each.digest);
      }
    }
    for (const tag of await repository.tags()) {
      const digest = await repository.tag(tag);
      if (digest === undefined || !(await repository.manifest(digest)))
        problems.push(`${name}: the tag ${tag} leads to nothing`);
    }
  }
  return { repositories: names.length, manifests, blobs, problems };
}

async function hasSum(path: string, digest: AnyDigest): Promise<boolean> {
  const hash = hashFor(digest);
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(piece as Buffer);
  return digest.endsWith(`:${hash.digest('hex')}`);
}
