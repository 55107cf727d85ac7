import { canonicalJson } from '../canonical.ts';
import { type AnyDigest, digestOf } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { type Descriptor, descriptorOf, mediaTypes, parseAnyManifest } from '../manifest.ts';
import type { RemoteRepository } from './remote.ts';

/** What registries without the API answer: 404 by the specification; some know the path for no kind of request. */
const withoutApi = [400, 404, 405, 406];

type Pages = (first: URL, accept: string, what: string, none?: readonly number[]) => AsyncGenerator<Buffer>;

/**
 * Descriptors of the manifests whose subject is the digest: by the referrers API, or, where the registry has none, by the
 * tag that stands in for it. distribution-spec 1.1, "Listing Referrers", "Referrers Tag Schema".
 */
export async function listReferrers(
  remote: RemoteRepository,
  pages: Pages,
  at: (path: string) => Promise<URL>,
  digest: AnyDigest,
  artifactType: string | undefined,
): Promise<Descriptor<AnyDigest>[]> {
  const url = await at(`referrers/${digest}`);
  if (artifactType !== undefined) url.searchParams.set('artifactType', artifactType);
  const what = `the referrers of ${digest}`;
  const found = new Map<string, Descriptor<AnyDigest>>();
  let answered = false;
  for await (const body of pages(url, mediaTypes.index, what, withoutApi)) {
    answered = true;
    for (const each of readIndex(body, what)) found.set(each.digest, each);
  }
  if (!answered) for (const each of await fallbackIndex(remote, digest)) found.set(each.digest, each);
  // A registry may leave the filter to the client.
  return [...found.values()].filter((each) => artifactType === undefined || each.artifactType === artifactType);
}

/** The tag under which registries without the API keep a list of referrers. */
export function referrersTag(digest: AnyDigest): string {
  return digest.replace(':', '-').slice(0, 128);
}

/**
 * Enters a pushed manifest into the list of its subject's referrers, for a registry that did not say `OCI-Subject`: such a
 * one does not keep the list. Nothing to do for a manifest without a subject.
 *
 * distribution-spec 1.1, "Pushing Manifests with Subject". Two clients that do this at a time may overwrite each other:
 * each looks again and enters itself anew.
 */
export async function recordReferrer(remote: RemoteRepository, mediaType: string, bytes: Uint8Array): Promise<void> {
  // Most manifests have none: they are not read a second time.
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes('"subject"')) return;
  const parsed = parseAnyManifest(bytes, mediaType, 'the manifest');
  const document = 'index' in parsed ? parsed.index : parsed.manifest;
  const { subject } = document;
  if (subject === undefined) return;
  const own = descriptorOf(document, digestOf(bytes), bytes.length);
  for (let attempt = 1; attempt <= 5; attempt++) {
    const there = await fallbackIndex(remote, subject.digest);
    if (there.some(({ digest }) => digest === own.digest)) return;
    const index = canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [...there, own].sort((a, b) => (a.digest < b.digest ? -1 : 1)),
    });
    await remote.putManifest(referrersTag(subject.digest), mediaTypes.index, Buffer.from(index));
  }
  const there = await fallbackIndex(remote, subject.digest);
  if (there.some(({ digest }) => digest === own.digest)) return;
  throw new ImageFault(
    'image/registry-refused',
    `${remote.registry} does not keep ${own.digest} among the referrers of ${subject.digest}`,
    { next: 'others write to the same list all the time: try again' },
  );
}

async function fallbackIndex(remote: RemoteRepository, digest: AnyDigest): Promise<readonly Descriptor<AnyDigest>[]> {
  const tag = referrersTag(digest);
  try {
    const { bytes, mediaType } = await remote.manifest(tag);
    const parsed = parseAnyManifest(bytes, mediaType, `${remote.repository}:${tag}`);
    return 'index' in parsed ? parsed.index.manifests : [];
  } catch (error) {
    if (error instanceof ImageFault && error.code === 'image/registry-not-found') return [];
    throw error;
  }
}

function readIndex(bytes: Buffer, what: string): readonly Descriptor<AnyDigest>[] {
  const parsed = parseAnyManifest(bytes, undefined, what);
  if ('index' in parsed) return parsed.index.manifests;
  throw new ImageFault('image/bad-registry-answer', `${what}: what came is not an index`);
}
