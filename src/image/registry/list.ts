import type { AnyDigest } from '../digest.ts';
import { isAnyDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { isRepository, isTag } from '../names.ts';
import type { BlobStore } from '../store.ts';
import { repositoryNames } from './layout.ts';
import { removeManifest } from './manifests.ts';
import { openRepository } from './repository.ts';
import { within } from './usage.ts';

export interface ListedRepository {
  readonly repository: string;
  readonly tags: readonly { readonly tag: string; readonly digest: AnyDigest }[];
  readonly manifests: number;
  readonly blobs: number;
  /** Of blobs and manifests; what repositories share counts in each. */
  readonly bytes: number;
}

/** What a registry's folder holds. @param prefix a repository and those below it; all of them where it is empty */
export async function listRegistry(store: BlobStore, root: string, prefix = ''): Promise<ListedRepository[]> {
  const found: ListedRepository[] = [];
  for (const name of (await repositoryNames(root)).filter((each) => within(each, prefix))) {
    const repository = openRepository(store, root, name);
    const tags: { tag: string; digest: AnyDigest }[] = [];
    for (const tag of await repository.tags()) {
      const digest = await repository.tag(tag);
      if (digest !== undefined) tags.push({ tag, digest });
    }
    const manifests = await repository.manifests();
    const blobs = await repository.blobs();
    let bytes = 0;
    for (const digest of manifests) bytes += (await repository.manifest(digest))?.size ?? 0;
    for (const digest of blobs) bytes += (await repository.blob(digest))?.size ?? 0;
    found.push({ repository: name, tags, manifests: manifests.length, blobs: blobs.length, bytes });
  }
  return found;
}

/**
 * Removes a tag (`bank/ledger:v1`), or a manifest with its tags (`bank/ledger@sha256:...`). Its blobs go with the next
 * garbage collection.
 *
 * @throws ImageFault image/bad-reference, image/registry-not-found
 */
export async function removeFromRegistry(store: BlobStore, root: string, name: string): Promise<void> {
  const [, repositoryName = '', tag, digest] = /^([^:@]+)(?::([^@]+)|@(.+))$/.exec(name) ?? [];
  const valid = isRepository(repositoryName) && (tag === undefined ? isAnyDigest(digest ?? '') : isTag(tag));
  if (!valid)
    throw new ImageFault(
      'image/bad-reference',
      `${JSON.stringify(name.slice(0, 300))} names neither a tag nor a manifest`,
      {
        next: 'write it as bank/ledger:v1, or bank/ledger@sha256:...',
      },
    );
  const repository = openRepository(store, root, repositoryName);
  const gone =
    tag === undefined
      ? await repository.alone(() => removeManifest(repository, digest as AnyDigest))
      : await repository.removeTag(tag);
  if (!gone) throw new ImageFault('image/registry-not-found', `the registry does not have ${name}`);
}
