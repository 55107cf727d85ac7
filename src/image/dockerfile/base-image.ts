import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress } from '../../progress/index.ts';
import type { RegistryAccessOptions } from '../client/endpoints.ts';
import { pullImage } from '../client/pull.ts';
import { headImage } from '../client/push.ts';
import type { Digest } from '../digest.ts';
import { isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { nameOf } from '../layer-record.ts';
import { readImageLayout, writeLayout } from '../layout.ts';
import { chooseManifest, parseManifest } from '../manifest.ts';
import { formatReference, parseReference, type Reference } from '../names.ts';
import type { Architecture } from '../platform.ts';
import type { BlobStore } from '../store.ts';
import { DockerfileFault } from './fault.ts';
import { remembered } from './layer-tree.ts';
import { type LogicalLine, placeOf, type Word } from './source.ts';

/** Where an image of a registry is asked for. */
export interface ImageSource extends RegistryAccessOptions {
  readonly store: BlobStore;
  /** An empty folder. */
  readonly temporaryFolder: string;
  readonly progress?: Progress | undefined;
}

/** A label is written as in BUILD files; everything else is a stage, `scratch` or an image of a registry. */
export function isLabel(text: string): boolean {
  return text.startsWith('//') || text.startsWith(':') || text.startsWith('@');
}

/**
 * The full name of what `docker pull` would call by a short one: `debian:12` is `docker.io/library/debian:12`.
 *
 * @throws ImageFault image/bad-reference
 */
export function dockerReference(text: string): Reference {
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  if (/[.:]/.test(first) || first === 'localhost') return parseReference(text);
  return parseReference(`docker.io/${slash < 0 ? 'library/' : ''}${text}`);
}

/** Seconds that a registry gets to say which digest a tag has, for an error message. */
const patience = 15;

/**
 * A layout of the image that a digest names. What the store has is not asked for again.
 *
 * @throws DockerfileFault dockerfile/unknown-image, dockerfile/floating-image for a name without a digest, with the digest to pin
 */
export async function pinnedImage(
  source: ImageSource,
  text: string,
  architecture: Architecture,
  line: LogicalLine,
  word: Word,
): Promise<string> {
  const place = placeOf(line, word);
  let reference: Reference;
  try {
    reference = dockerReference(text);
  } catch (error) {
    if (!(error instanceof ImageFault)) throw error;
    throw new DockerfileFault(
      'dockerfile/unknown-image',
      `${JSON.stringify(text.slice(0, 200))} is neither a stage above nor an image`,
      {
        place,
        notes: [error.message],
        next: 'write a stage, a label such as //bank/base:image, or an image with its digest: debian@sha256:...',
        cause: error,
      },
    );
  }
  const { digest } = reference;
  if (digest === undefined) throw await floating(source, text, reference, place);
  const output = join(source.temporaryFolder, nameOf([text, architecture]).slice(0, 16));
  if (await fromStore(source.store, digest, architecture, output)) return output;
  try {
    await pullImage({ ...source, reference: formatReference(reference), architecture, output });
  } catch (error) {
    if (!(error instanceof ImageFault)) throw error;
    await rm(output, { recursive: true, force: true });
    throw new DockerfileFault('dockerfile/unknown-image', `${text} can't be had: ${error.message}`, {
      place,
      notes: error.notes,
      next: error.next ?? 'look whether the registry can be reached, and has it',
      cause: error,
    });
  }
  await remember(source.store, digest, architecture, output);
  return output;
}

async function floating(
  source: ImageSource,
  text: string,
  reference: Reference,
  place: ReturnType<typeof placeOf>,
): Promise<DockerfileFault> {
  const message = `${text} may be another image tomorrow: it names no digest`;
  const timer = AbortSignal.timeout(patience * 1000);
  const signal = source.signal === undefined ? timer : AbortSignal.any([source.signal, timer]);
  try {
    const found = await headImage({ ...source, reference: formatReference({ tag: 'latest', ...reference }), signal });
    if (found === undefined) {
      return new DockerfileFault('dockerfile/unknown-image', `${reference.registry} has no image ${text}`, { place });
    }
    return new DockerfileFault('dockerfile/floating-image', message, {
      place,
      next: `pin what it is now: ${text}@${found.digest}`,
    });
  } catch (error) {
    source.signal?.throwIfAborted();
    const why = timer.aborted
      ? `it did not answer within ${patience} s`
      : error instanceof Error
        ? error.message
        : String(error);
    return new DockerfileFault('dockerfile/floating-image', message, {
      place,
      notes: [
        `${reference.registry} could not be asked for the digest: ${why}`,
        // What makes the registry answer comes before what it would have said.
        ...(error instanceof ImageFault && error.next !== undefined && !timer.aborted ? [`first ${error.next}`] : []),
      ],
      next: `pin it: ${text}@sha256:... with the digest that the registry has for it`,
      cause: error,
    });
  }
}

interface Pinned {
  readonly manifest: Digest;
}

async function remember(store: BlobStore, digest: Digest, architecture: Architecture, layout: string): Promise<void> {
  const { digest: manifest } = await readImageLayout(layout, architecture);
  await remembered<Pinned>(store, 'pinned', nameOf([digest, architecture]), async () => ({ manifest }));
}

/** @returns whether the store has all of it */
async function fromStore(
  store: BlobStore,
  digest: Digest,
  architecture: Architecture,
  output: string,
): Promise<boolean> {
  try {
    const known = await remembered<Pinned>(store, 'pinned', nameOf([digest, architecture]), async () => {
      const parsed = parseManifest(await store.read(digest), undefined, digest);
      return { manifest: 'index' in parsed ? chooseManifest(parsed.index, architecture, digest).digest : digest };
    });
    if (!isDigest(known.manifest)) return false;
    const bytes = await store.read(known.manifest);
    const parsed = parseManifest(bytes, undefined, known.manifest);
    if ('index' in parsed) return false;
    const { mediaType, config, layers } = parsed.manifest;
    for (const blob of [config, ...layers]) if ((await store.size(blob.digest)) !== blob.size) return false;
    const descriptor = {
      mediaType,
      digest: known.manifest,
      size: bytes.length,
      platform: { architecture, os: 'linux' },
    };
    await writeLayout(
      store,
      descriptor,
      [config, ...layers].map((blob) => blob.digest),
      output,
    );
    return true;
  } catch (error) {
    if (error instanceof ImageFault) return false;
    throw error;
  }
}
