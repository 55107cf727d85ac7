import { type Digest, digestOf, mediaTypes } from '../../image/index.ts';
import { formatBundle, parseBundle } from '../../manifest/index.ts';
import { ReleaseFault } from '../fault.ts';
import { inOneOrder, kindOf, type ReleaseContent, type ReleaseImage, type Statement } from './content.ts';

export const releaseType = 'application/vnd.banksman.release.v1+json';
const configType = 'application/vnd.banksman.release.config.v1+json';
const bundleType = 'application/vnd.banksman.manifests.v1+json';

/** A release as an OCI artifact (image-spec manifest.md, "Guidelines for Artifact Usage"). */
export interface PackedRelease {
  /** Digest of the manifest: the release's name. */
  readonly digest: Digest;
  readonly manifest: Buffer;
  readonly blobs: readonly Buffer[];
}

/**
 * Writes a release down. The same content gives the same bytes, and so the same name, whoever packs it and whenever: there is no
 * time, machine or person in it that the content does not hold.
 */
export function packRelease(content: ReleaseContent): PackedRelease {
  const { bundle, ...about } = inOneOrder(content);
  const layer = Buffer.from(formatBundle(bundle));
  const kind = kindOf({ bundle });
  // Releases of services had their names before there were two kinds.
  const told = { ...about, ...(kind !== 'service' && { kind }) };
  const config = Buffer.from(sortedJson({ format: 1, service: bundle.service, ...told }));
  const manifest = Buffer.from(
    sortedJson({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: releaseType,
      config: { mediaType: configType, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: bundleType, digest: digestOf(layer), size: layer.length }],
    }),
  );
  return { digest: digestOf(manifest), manifest, blobs: [config, layer] };
}

/**
 * Reads a release back.
 *
 * @param blob gives a blob by its digest, checked
 * @throws ReleaseFault release/bad-artifact
 */
export async function unpackRelease(
  manifest: Uint8Array,
  blob: (digest: Digest) => Promise<Uint8Array>,
): Promise<ReleaseContent> {
  const document = objectIn(manifest, 'its manifest');
  if (document.artifactType !== releaseType) throw bad(`it is ${String(document.artifactType ?? 'an image')}`);
  const [layer, ...more] = Array.isArray(document.layers) ? (document.layers as unknown[]) : [];
  if (more.length > 0) throw bad('it has more than one layer');
  const config = objectIn(await blob(digestIn(document.config, configType)), 'its configuration');
  const bundle = parseBundle(Buffer.from(await blob(digestIn(layer, bundleType))).toString('utf8'), 'the release');
  const { format, service, images, commit, authors, reviewers, provenance } = config;
  if (format !== 1) throw bad(`its format is ${String(format)}; a newer banksman made it`);
  if (service !== bundle.service) throw bad('its configuration is that of another service');
  if ((config.kind ?? 'service') !== kindOf({ bundle }))
    throw bad('its configuration is of another kind than its manifests');
  if (typeof commit !== 'string' || !areTexts(authors) || !areTexts(reviewers))
    throw bad('its origin is not in its form');
  if (!Array.isArray(images) || !images.every(isImage)) throw bad('its images are not in their form');
  if (!Array.isArray(provenance) || !provenance.every(isStatement)) throw bad('its provenance is not in its form');
  return { bundle, images, commit, authors, reviewers, provenance };
}

function objectIn(bytes: Uint8Array, what: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (isRecord(value)) return value;
  } catch (cause) {
    throw bad(`${what} is not JSON`, cause);
  }
  throw bad(`${what} is no object`);
}

function digestIn(descriptor: unknown, mediaType: string): Digest {
  if (isRecord(descriptor) && descriptor.mediaType === mediaType) {
    const { digest } = descriptor;
    if (typeof digest === 'string' && /^sha256:[0-9a-f]{64}$/.test(digest)) return digest as Digest;
  }
  throw bad(`it has no ${mediaType}`);
}

function bad(why: string, cause?: unknown): ReleaseFault {
  return new ReleaseFault('release/bad-artifact', `this is no release: ${why}`, {
    next: 'name a release that `banksman release` has pushed',
    cause,
  });
}

function isImage(value: unknown): value is ReleaseImage {
  return isRecord(value) && areTexts([value.label, value.repository, value.tag, value.digest]);
}

function isStatement(value: unknown): value is Statement {
  return isRecord(value) && areTexts([value.subject, value.statement]);
}

function areTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON with its keys in order. */
export function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    isRecord(member) ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1))) : member,
  );
}
