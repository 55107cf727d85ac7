import { createReadStream } from 'node:fs';
import { type Progress, silent } from '../../progress/index.ts';
import { type AnyDigest, type Digest, digestOf, isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { checkSize, type Descriptor, type Index, type Manifest, parseAnyManifest } from '../manifest.ts';
import { formatReference, parseReference, type Reference } from '../names.ts';
import { stagingFolder } from '../staging.ts';
import { fromEndpoints, openForPush, type RegistryAccessOptions } from './endpoints.ts';
import { inParallel } from './in-parallel.ts';
import { nameIn, readSize } from './push.ts';
import type { FoundManifest, RemoteRepository } from './remote.ts';

export interface MirrorRequest extends Omit<RegistryAccessOptions, 'transport'> {
  /** Images, indexes or other manifests, by tag or digest. */
  readonly sources: readonly string[];
  /**
   * `mirror.local`: each under its own repository; `mirror.local/hub`: the same below hub; with one source also
   * `mirror.local/hub/debian:12`, which is then the whole name.
   */
  readonly destination: string;
  /** `linux/amd64`, `linux/arm64/v8`: of an index only this image, which then has the name in its place. */
  readonly platform?: string | undefined;
  /** Whether signatures, SBOMs and all else that refers to an image come with it; true unless told. */
  readonly referrers?: boolean | undefined;
  /** Where the registries are reached; for tests, and for registries that are not reached by their name. */
  readonly access?: ((registry: string) => RegistryAccessOptions['transport']) | undefined;
  readonly progress?: Progress | undefined;
}

/** What was copied: enough to lock it, and to see that nothing changed. */
export interface Mirrored {
  readonly source: string;
  readonly destination: string;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Digests of all manifests that came with it, itself included, in their order. */
  readonly manifests: readonly AnyDigest[];
  /** Of them, those that refer to another: signatures, SBOMs. */
  readonly referrers: readonly AnyDigest[];
  /** What the destination did not have. */
  readonly sentBlobs: number;
  readonly sentBytes: number;
}

/** Blobs on their way at a time. */
const atOnce = 4;
/** Manifests below one name: more is an attack or a mistake. */
const maximumManifests = 5_000;
/** What cosign before version 3 keeps beside an image, under a tag made of the image's digest. */
const taggedReferrers = ['sig', 'att', 'sbom'];
/** Levels of indexes in indexes. */
const maximumDepth = 8;

/**
 * Copies images between registries by digest: the bytes of manifests are not changed, so that the destination serves the
 * same digests. Everything that comes is held against its sum before it is sent. What the destination has is neither read
 * nor sent, so that a copy that was ended goes on where it was. The tag is written last.
 *
 * @throws ImageFault image/bad-reference, image/registry-..., image/wrong-content, image/bad-layout
 */
export async function mirrorImages(request: MirrorRequest): Promise<Mirrored[]> {
  const pairs = request.sources.map((text) => {
    const source = parseReference(text);
    return { source, target: targetOf(source, request) };
  });
  const done: Mirrored[] = [];
  for (const { source, target } of pairs) {
    const task = (request.progress ?? silent).begin(`mirror ${source.repository}`);
    try {
      const access = { ...request, transport: request.access?.(source.registry) };
      const mirrored = await fromEndpoints(source, access, (from) =>
        mirrorOne(from, source, target, request, (text) => task.update(text)),
      );
      done.push(mirrored);
      task.done();
    } catch (error) {
      task.fail();
      throw error;
    }
  }
  return done;
}

/** @throws ImageFault image/bad-reference */
function targetOf(source: Reference, { destination, sources }: MirrorRequest): Reference {
  const named = destination.replace(/\/+$/, '');
  const slash = named.indexOf('/');
  const registry = slash < 0 ? named : named.slice(0, slash);
  const path = slash < 0 ? '' : named.slice(slash + 1);
  if (/[:@]/.test(path)) {
    if (sources.length === 1) return parseReference(named);
    throw new ImageFault(
      'image/bad-reference',
      `${destination} names one image, and there are ${sources.length} to copy`,
      {
        next: 'name a registry, or a registry and the beginning of repositories',
      },
    );
  }
  const repository = path === '' ? source.repository : `${path}/${source.repository}`;
  return parseReference(formatReference({ ...source, registry, repository }));
}

interface Part {
  readonly digest: AnyDigest;
  readonly found: FoundManifest;
  readonly document: Manifest<AnyDigest> | Index<AnyDigest>;
  readonly refersTo?: AnyDigest | undefined;
  /** Names by which it refers to another. */
  readonly tags: readonly string[];
}

async function mirrorOne(
  from: RemoteRepository,
  source: Reference,
  target: Reference,
  request: MirrorRequest,
  tell: (text: string) => void,
): Promise<Mirrored> {
  const sameRegistry = from.registry === target.registry ? from.repository : undefined;
  const to = await openForPush(target, { ...request, transport: request.access?.(target.registry) }, sameRegistry);
  const staging = await stagingFolder();
  try {
    const top = await from.manifest(nameIn(source));
    // The parts below come first in the list: a manifest is pushed when all that it refers to is there.
    const parts = await collectParts(from, top, request, tell);
    const blobs = new Map<AnyDigest, Descriptor<AnyDigest>>();
    for (const { document } of parts)
      if ('config' in document)
        for (const each of [document.config, ...document.layers]) if (isHeld(each)) blobs.set(each.digest, each);
    let sentBlobs = 0;
    let sentBytes = 0;
    await inParallel([...blobs.values()], atOnce, async ({ digest, size }) => {
      if (await to.hasBlob(digest)) return;
      const staged = await staging.put(digest, () => from.blob(digest, size));
      const sent = await to.putBlob(digest, size, (start) =>
        createReadStream(staged, { start, highWaterMark: readSize }),
      );
      if (sent > 0) sentBlobs += 1;
      sentBytes += sent;
      tell(`${(sentBytes / 1024 ** 2).toFixed(1)} MiB`);
      await staging.remove(digest);
    });
    for (const { digest, found, tags } of parts) {
      if ((await to.head(digest)) === undefined) await to.putManifest(digest, found.mediaType, found.bytes);
      for (const tag of tags) await to.putManifest(tag, found.mediaType, found.bytes);
    }
    // One platform alone takes the name, as the index would have.
    const chosen = parts.findLast(({ refersTo }) => refersTo === undefined)!;
    const digest = isDigest(chosen.digest) ? chosen.digest : digestOf(chosen.found.bytes);
    if (target.tag !== undefined) await to.putManifest(target.tag, chosen.found.mediaType, chosen.found.bytes);
    await verify(to, target.tag ?? digest, digest);
    const referrers = parts.filter(({ refersTo }) => refersTo !== undefined).map((each) => each.digest);
    return {
      source: formatReference({ ...source, digest: top.digest }),
      destination: formatReference({ ...target, digest }),
      digest,
      mediaType: chosen.found.mediaType,
      manifests: parts.map((each) => each.digest).sort(),
      referrers: referrers.sort(),
      sentBlobs,
      sentBytes,
    };
  } finally {
    await staging.close();
    to.close();
  }
}

/** All manifests that are to be copied, each after what it refers to. */
async function collectParts(
  from: RemoteRepository,
  top: FoundManifest,
  request: MirrorRequest,
  tell: (text: string) => void,
): Promise<Part[]> {
  const { platform, referrers = true } = request;
  const parts = new Map<AnyDigest, Part>();

  async function add(
    found: FoundManifest,
    digest: AnyDigest,
    depth: number,
    refersTo?: AnyDigest,
    tags: readonly string[] = [],
  ): Promise<void> {
    if (parts.has(digest)) return;
    if (parts.size >= maximumManifests || depth > maximumDepth)
      throw new ImageFault('image/too-large', `${from.repository} leads to more manifests than anybody needs`, {
        notes: [`${maximumManifests} manifests and ${maximumDepth} levels are the limits`],
      });
    tell(`${parts.size} manifests`);
    const parsed = parseAnyManifest(found.bytes, found.mediaType, `${from.repository}@${digest}`);
    const document = 'index' in parsed ? parsed.index : parsed.manifest;
    if ('manifests' in document) {
      const wanted = platform === undefined ? document.manifests : [chosenOf(document, platform, from.repository)];
      for (const each of wanted) await follow(each, depth, refersTo);
      // An index of which parts are left out would lead to what is not there.
      if (platform === undefined) parts.set(digest, { digest, found, document, refersTo, tags });
    } else parts.set(digest, { digest, found, document, refersTo, tags });
    if (!referrers || !parts.has(digest)) return;
    for (const each of await from.referrers(digest)) await follow(each, depth, digest);
    await inParallel(taggedReferrers, taggedReferrers.length, async (kind) => {
      const tag = `${digest.replace(':', '-')}.${kind}`;
      if ((await from.head(tag)) === undefined) return;
      const tagged = await from.manifest(tag);
      await add(tagged, tagged.digest, depth + 1, digest, [tag]);
    });
  }

  /** What is known is not asked for again, however often it is named. */
  async function follow(each: Descriptor<AnyDigest>, depth: number, refersTo?: AnyDigest): Promise<void> {
    if (parts.has(each.digest)) return;
    const found = await from.manifest(each.digest);
    checkSize(each, found.bytes, `${from.repository}@${each.digest}`);
    await add(found, each.digest, depth + 1, refersTo);
  }

  await add(top, top.digest, 0);
  return [...parts.values()];
}

function chosenOf(index: Index<AnyDigest>, wanted: string, what: string): Descriptor<AnyDigest> {
  const nameOf = ({ platform }: Descriptor<AnyDigest>) =>
    platform === undefined
      ? 'unnamed'
      : [platform.os, platform.architecture, platform.variant].filter((part) => part !== undefined).join('/');
  const found = index.manifests.find((each) => nameOf(each) === wanted || nameOf(each).startsWith(`${wanted}/`));
  if (found !== undefined) return found;
  throw new ImageFault('image/registry-not-found', `${what} has nothing for ${wanted}`, {
    notes: [`it has: ${index.manifests.map(nameOf).join(', ')}`],
  });
}

/** Layers that come from elsewhere by licence are not in registries. */
function isHeld({ mediaType }: Descriptor<AnyDigest>): boolean {
  return !mediaType.includes('nondistributable') && !mediaType.includes('foreign');
}

/** @throws ImageFault image/wrong-content */
async function verify(to: RemoteRepository, name: string, digest: Digest): Promise<void> {
  const there = await to.manifest(name).catch((error) => {
    if (error instanceof ImageFault && error.code === 'image/registry-not-found') return undefined;
    throw error;
  });
  if (there?.digest !== digest)
    throw new ImageFault(
      'image/wrong-content',
      `${to.registry} names ${there?.digest ?? 'nothing'} by ${name}, not ${digest}`,
      {
        next: 'somebody else writes to the same name: try again, or find out who',
      },
    );
}
