import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { canonicalJson } from '../canonical.ts';
import { type Digest, digestOf, isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import {
  type Descriptor,
  descriptorOf,
  type Index,
  type Manifest,
  maximumManifest,
  mediaTypes,
  parseManifest,
} from '../manifest.ts';
import type { BlobStore } from '../store.ts';
import { answer, Refusal } from './answer.ts';
import type { Repository } from './repository.ts';

/** distribution-spec 1.1, "Pulling manifests". */
export async function getManifest(
  request: IncomingMessage,
  response: ServerResponse,
  repository: Repository,
  reference: string,
): Promise<void> {
  const digest = await resolve(repository, reference);
  const manifest = digest && (await repository.manifest(digest));
  if (!manifest) throw await unknown(repository);
  response.writeHead(200, {
    'content-type': manifest.mediaType,
    'content-length': manifest.size,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  });
  if (request.method === 'HEAD') response.end();
  else await pipeline(createReadStream(manifest.path), response);
}

/** distribution-spec 1.1, "Pushing manifests". What it refers to must be here, so that what can be pulled can be run. */
export async function putManifest(
  request: IncomingMessage,
  response: ServerResponse,
  store: BlobStore,
  repository: Repository,
  reference: string,
): Promise<void> {
  const bytes = await readBody(request);
  const digest = digestOf(bytes);
  if (isDigest(reference) && reference !== digest)
    throw new Refusal(400, 'DIGEST_INVALID', `the manifest is ${digest}, not ${reference}`);
  const parsed = parse(bytes, request.headers['content-type']);
  const document: Manifest | Index = 'index' in parsed ? parsed.index : parsed.manifest;
  if ('index' in parsed) {
    for (const entry of parsed.index.manifests)
      if (!(await repository.manifest(entry.digest))) throw lacking(entry.digest);
  } else {
    const { config, layers } = parsed.manifest;
    for (const entry of [config, ...layers.filter(isOurs)])
      if (!(await repository.blob(entry.digest))) throw lacking(entry.digest);
  }
  const { mediaType, subject } = document;
  await store.put(bytes, { digest });
  if (subject) await repository.putReferrer(subject.digest, descriptorOf(document, digest, bytes.length));
  await repository.putManifest({ digest, size: bytes.length, mediaType }, isDigest(reference) ? undefined : reference);
  answer(response, 201, {
    location: `/v2/${repository.name}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(subject && { 'oci-subject': subject.digest }),
  });
}

/** distribution-spec 1.1, "Deleting manifests" and "Deleting tags". */
export async function deleteManifest(
  response: ServerResponse,
  repository: Repository,
  reference: string,
): Promise<void> {
  if (!isDigest(reference)) {
    if (!(await repository.removeTag(reference))) throw await unknown(repository);
    return answer(response, 202, {});
  }
  const manifest = await repository.manifest(reference);
  if (!manifest) throw await unknown(repository);
  const parsed = parse(await readFile(manifest.path), manifest.mediaType);
  const document: Manifest | Index = 'index' in parsed ? parsed.index : parsed.manifest;
  await repository.removeManifest(reference, document.subject?.digest);
  answer(response, 202, {});
}

/** distribution-spec 1.1, "Listing Referrers". An index, empty where nothing refers to the digest. */
export async function listReferrers(
  response: ServerResponse,
  repository: Repository,
  subject: Digest,
  type: string | null,
): Promise<void> {
  const all = (await repository.referrers(subject)) as Descriptor[];
  const manifests = type === null ? all : all.filter(({ artifactType }) => artifactType === type);
  const body = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests });
  answer(
    response,
    200,
    { 'content-type': mediaTypes.index, ...(type !== null && { 'oci-filters-applied': 'artifactType' }) },
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
  const last = query.get('last');
  const after = (await repository.tags()).filter(
    (tag) => last === null || Buffer.compare(Buffer.from(tag), Buffer.from(last)) > 0,
  );
  const wanted = query.get('n');
  if (wanted !== null && !/^[0-9]{1,9}$/.test(wanted)) throw new Refusal(400, 'UNSUPPORTED', 'n is a number of tags');
  const tags = after.slice(0, wanted === null ? undefined : Number(wanted));
  const more = tags.length > 0 && tags.length < after.length;
  const next = `/v2/${repository.name}/tags/list?n=${wanted}&last=${encodeURIComponent(tags.at(-1) ?? '')}`;
  const body = JSON.stringify({ name: repository.name, tags });
  answer(response, 200, { 'content-type': 'application/json', ...(more && { link: `<${next}>; rel="next"` }) }, body);
}

async function resolve(repository: Repository, reference: string): Promise<Digest | undefined> {
  return isDigest(reference) ? reference : repository.tag(reference);
}

async function unknown(repository: Repository): Promise<Refusal> {
  return (await repository.exists())
    ? new Refusal(404, 'MANIFEST_UNKNOWN', 'the repository has no such manifest')
    : new Refusal(404, 'NAME_UNKNOWN', 'there is no such repository');
}

function lacking(digest: Digest): Refusal {
  return new Refusal(
    404,
    'MANIFEST_BLOB_UNKNOWN',
    `the manifest refers to ${digest}, which the repository does not have`,
  );
}

/** Layers that come from elsewhere by licence are not held by registries. image-spec, "Non-distributable Layers". */
function isOurs({ mediaType }: Descriptor): boolean {
  return !mediaType.includes('nondistributable') && !mediaType.includes('foreign');
}

function parse(bytes: Uint8Array, contentType: string | undefined): ReturnType<typeof parseManifest> {
  try {
    return parseManifest(bytes, contentType?.split(';')[0]?.trim() || undefined, 'the manifest');
  } catch (error) {
    if (error instanceof ImageFault) throw new Refusal(400, 'MANIFEST_INVALID', error.message);
    throw error;
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > maximumManifest)
      throw new Refusal(413, 'SIZE_INVALID', `a manifest has ${maximumManifest} bytes at most`);
    parts.push(piece);
  }
  return Buffer.concat(parts);
}
