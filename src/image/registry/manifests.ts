import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { canonicalJson } from '../canonical.ts';
import { type AnyDigest, digestLike, digestOf, isAnyDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import {
  type Descriptor,
  descriptorOf,
  type Index,
  type Manifest,
  maximumManifest,
  mediaTypes,
  parseAnyManifest,
} from '../manifest.ts';
import { isTag } from '../names.ts';
import { answer, Refusal } from './answer.ts';
import { type Pace, pieces } from './body.ts';
import { touch } from './layout.ts';
import type { Repository } from './repository.ts';
import type { Usage } from './usage.ts';

/** distribution-spec 1.1, "Pulling manifests". */
export async function getManifest(
  request: IncomingMessage,
  response: ServerResponse,
  repository: Repository,
  reference: string,
): Promise<void> {
  const digest = isAnyDigest(reference) ? reference : await repository.tag(reference);
  const manifest = digest && (await repository.manifest(digest));
  if (!manifest) throw await unknown(repository);
  response.writeHead(200, {
    'content-type': manifest.mediaType,
    'content-length': manifest.size,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  });
  if (request.method === 'HEAD') {
    await touch(manifest.path);
    response.end();
  } else await pipeline(createReadStream(manifest.path), response);
}

/** Tags that one request may set. */
const maximumTags = 100;

/** distribution-spec 1.1, "Pushing manifests". What it refers to must be here, so that what can be pulled can be run. */
export async function putManifest(
  request: IncomingMessage,
  response: ServerResponse,
  repository: Repository,
  reference: string,
  query: URLSearchParams,
  usage: Usage,
  pace: Pace,
): Promise<void> {
  const parts: Buffer[] = [];
  for await (const piece of pieces(request, maximumManifest, pace)) parts.push(piece);
  const bytes = Buffer.concat(parts);
  const digest = isAnyDigest(reference) ? digestLike(reference, bytes) : digestOf(bytes);
  if (isAnyDigest(reference) && reference !== digest)
    throw new Refusal(400, 'DIGEST_INVALID', `the manifest is ${digest}, not ${reference}`);
  const tags = isAnyDigest(reference) ? query.getAll('tag') : [reference];
  if (tags.length > maximumTags || !tags.every(isTag))
    throw new Refusal(400, 'TAG_INVALID', `tags are letters, digits and . _ -, ${maximumTags} at most`);
  const document = parse(bytes, request.headers['content-type']);
  const { mediaType, subject } = document;
  const id = crypto.randomUUID();
  await repository.alone(async () => {
    await checkReferences(document, repository);
    // RFC 9110, 13.1.2: of several who set a new tag at once, one is first, and the others hear of it.
    if (request.headers['if-none-match'] === '*') {
      for (const tag of tags) {
        const there = await repository.tag(tag);
        if (there !== undefined && there !== digest)
          throw new Refusal(412, 'DENIED', `the tag ${tag} is there already, and names ${there}`);
      }
    }
    try {
      if (!(await repository.manifest(digest))) await usage.hold(id, repository.name, bytes.length);
      const descriptor = descriptorOf(document, digest, bytes.length);
      const referrer = subject && { subject: subject.digest, descriptor };
      await repository.putManifest({ digest, bytes, mediaType, tags, referrer });
    } finally {
      usage.release(id);
    }
  });
  answer(response, 201, {
    location: `/v2/${repository.name}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(subject && { 'oci-subject': subject.digest }),
    ...(isAnyDigest(reference) && tags.length > 0 && { 'oci-tag': tags }),
  });
}

/**
 * All that the document refers to is there, and as long as it says: a client would refuse what is not.
 *
 * @throws Refusal 404, 400
 */
async function checkReferences(
  document: Manifest<AnyDigest> | Index<AnyDigest>,
  repository: Repository,
): Promise<void> {
  const isIndex = 'manifests' in document;
  for (const { digest, size } of isIndex ? document.manifests : [document.config, ...document.layers.filter(isOurs)]) {
    const found = isIndex ? await repository.manifest(digest) : await repository.blob(digest);
    if (found === undefined) throw lacking(digest);
    if (found.size !== size)
      throw new Refusal(
        400,
        'MANIFEST_INVALID',
        `the manifest says that ${digest} has ${size} bytes; it has ${found.size}`,
      );
  }
}

/** distribution-spec 1.1, "Deleting manifests" and "Deleting tags". */
export async function deleteManifest(
  response: ServerResponse,
  repository: Repository,
  reference: string,
): Promise<void> {
  if (!isAnyDigest(reference)) {
    if (!(await repository.removeTag(reference))) throw await unknown(repository);
    return answer(response, 202, {});
  }
  if (!(await repository.alone(() => removeManifest(repository, reference)))) throw await unknown(repository);
  answer(response, 202, {});
}

/** With its tags, and its place among the referrers of another. To be called while nobody else writes. */
export async function removeManifest(repository: Repository, digest: AnyDigest): Promise<boolean> {
  const manifest = await repository.manifest(digest);
  if (!manifest) return false;
  const document = documentOf(parseAnyManifest(await readFile(manifest.path), manifest.mediaType, 'the manifest'));
  return repository.removeManifest(digest, document.subject?.digest);
}

/** Referrers in one answer: a client takes 4 MiB, and each has annotations of its own. */
const referrersPage = 1000;
const referrersBytes = 2 * 1024 * 1024;

/** distribution-spec 1.1, "Listing Referrers". An index, empty where nothing refers to the digest. */
export async function listReferrers(
  response: ServerResponse,
  repository: Repository,
  subject: AnyDigest,
  query: URLSearchParams,
): Promise<void> {
  const type = query.get('artifactType');
  const last = query.get('last') ?? '';
  const all = (await repository.referrers(subject)).filter(
    ({ artifactType, digest }) => (type === null || artifactType === type) && digest > last,
  );
  const manifests: Descriptor<AnyDigest>[] = [];
  let bytes = 0;
  for (const each of all) {
    bytes += JSON.stringify(each).length;
    if (manifests.length > 0 && (bytes > referrersBytes || manifests.length >= referrersPage)) break;
    manifests.push(each);
  }
  const next = new URLSearchParams({
    ...(type !== null && { artifactType: type }),
    last: manifests.at(-1)?.digest ?? '',
  });
  const body = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests });
  answer(
    response,
    200,
    {
      'content-type': mediaTypes.index,
      ...(type !== null && { 'oci-filters-applied': 'artifactType' }),
      ...(manifests.length < all.length && {
        link: `</v2/${repository.name}/referrers/${subject}?${next}>; rel="next"`,
      }),
    },
    body,
  );
}

/** distribution-spec 1.1, "Listing Tags". */
export async function listTags(
  response: ServerResponse,
  repository: Repository,
  query: URLSearchParams,
): Promise<void> {
  if (!(await repository.exists())) throw new Refusal(404, 'NAME_UNKNOWN', 'there is no such repository');
  const { list, link } = page(await repository.tags(), query, `/v2/${repository.name}/tags/list`);
  const body = JSON.stringify({ name: repository.name, tags: list });
  answer(response, 200, { 'content-type': 'application/json', ...link }, body);
}

/** Part of a list of names after `last`, `n` at most, and where the rest is. RFC 8288. */
export function page(
  names: readonly string[],
  query: URLSearchParams,
  path: string,
): { readonly list: readonly string[]; readonly link: { readonly link?: string } } {
  const last = query.get('last');
  const after = names.filter((name) => last === null || Buffer.compare(Buffer.from(name), Buffer.from(last)) > 0);
  const wanted = query.get('n');
  if (wanted !== null && !/^[0-9]{1,9}$/.test(wanted)) throw new Refusal(400, 'UNSUPPORTED', 'n is a number');
  const list = after.slice(0, wanted === null ? undefined : Number(wanted));
  if (list.length === 0 || list.length === after.length) return { list, link: {} };
  const next = `${path}?n=${wanted}&last=${encodeURIComponent(list.at(-1) ?? '')}`;
  return { list, link: { link: `<${next}>; rel="next"` } };
}

async function unknown(repository: Repository): Promise<Refusal> {
  return (await repository.exists())
    ? new Refusal(404, 'MANIFEST_UNKNOWN', 'the repository has no such manifest')
    : new Refusal(404, 'NAME_UNKNOWN', 'there is no such repository');
}

function lacking(digest: AnyDigest): Refusal {
  return new Refusal(
    404,
    'MANIFEST_BLOB_UNKNOWN',
    `the manifest refers to ${digest}, which the repository does not have`,
  );
}

/** Layers that come from elsewhere by licence are not held by registries. image-spec, "Non-distributable Layers". */
export function isOurs({ mediaType }: Descriptor<AnyDigest>): boolean {
  return !mediaType.includes('nondistributable') && !mediaType.includes('foreign');
}

export function documentOf(parsed: ReturnType<typeof parseAnyManifest>): Manifest<AnyDigest> | Index<AnyDigest> {
  return 'index' in parsed ? parsed.index : parsed.manifest;
}

function parse(bytes: Uint8Array, contentType: string | undefined): Manifest<AnyDigest> | Index<AnyDigest> {
  try {
    return documentOf(parseAnyManifest(bytes, contentType?.split(';')[0]?.trim() || undefined, 'the manifest'));
  } catch (error) {
    if (error instanceof ImageFault) throw new Refusal(400, 'MANIFEST_INVALID', error.message);
    throw error;
  }
}
