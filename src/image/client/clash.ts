import { type Digest, hexOf } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import type { LayoutImages } from '../layout.ts';
import { parseManifest } from '../manifest.ts';
import { indexContent } from '../names.ts';
import type { RemoteRepository } from './remote.ts';

/** Whether a tag is a name for the content, short or long, and so may never name another one. */
export function isContentTag(tag: string | undefined, content: Digest): tag is string {
  return tag !== undefined && tag.length >= 12 && hexOf(content).startsWith(tag);
}

/**
 * Refuses to move a tag that is a name for the content to another content. The same content with another manifest (compressed
 * otherwise by another tool) may be replaced.
 *
 * @param there digest of what the tag names in the registry
 * @throws ImageFault image/tag-clash
 */
export async function refuseClash(
  remote: RemoteRepository,
  tag: string,
  there: Digest,
  image: LayoutImages,
): Promise<void> {
  const content = await contentOf(remote, there).catch((error) => {
    // What is there may be no image at all.
    if (error instanceof ImageFault && error.code === 'image/bad-layout') return undefined;
    throw error;
  });
  if (content !== image.content) throw clash(`${remote.registry}/${remote.repository}`, tag, there, image.digest);
}

/** Two contents with one tag. */
export function clash(where: string, tag: string, there: string, here: string): ImageFault {
  return new ImageFault('image/tag-clash', `${where} has another content under the tag ${tag}; nothing was pushed`, {
    notes: [`there: ${there}`, `here:  ${here}`],
    next:
      tag.length < 64
        ? 'use tags that are long enough to tell them apart: images: { tags: long } in banksman.yaml'
        : 'find out who pushed it: this tag is the whole sum of another content',
  });
}

async function contentOf(remote: RemoteRepository, digest: Digest): Promise<Digest> {
  const found = await remote.manifest(digest);
  const parsed = parseManifest(found.bytes, found.mediaType, `${remote.repository}@${digest}`);
  if ('manifest' in parsed) return parsed.manifest.config.digest;
  const configs: Digest[] = [];
  for (const { digest: each, platform } of parsed.index.manifests) {
    if (platform?.os !== 'unknown') configs.push(await contentOf(remote, each));
  }
  return indexContent(configs);
}
