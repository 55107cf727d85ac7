import { type AnyDigest, type Digest, isAnyDigest, isDigest } from './digest.ts';
import { ImageFault } from './fault.ts';
import type { Architecture } from './platform.ts';
import { parseStrictJson } from './strict-json.ts';

/** OCI image-spec 1.1, media-types.md, and Docker's names for the same. */
export const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const;

/** image-spec descriptor.md. */
export interface Descriptor<D extends AnyDigest = Digest> {
  readonly mediaType: string;
  readonly digest: D;
  /** Bytes. */
  readonly size: number;
  readonly platform?: { readonly architecture: string; readonly os: string; readonly variant?: string };
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
}

/** image-spec manifest.md. */
export interface Manifest<D extends AnyDigest = Digest> {
  readonly mediaType: string;
  readonly config: Descriptor<D>;
  readonly layers: readonly Descriptor<D>[];
  readonly subject?: Descriptor<D>;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** image-spec image-index.md. */
export interface Index<D extends AnyDigest = Digest> {
  readonly mediaType: string;
  readonly manifests: readonly Descriptor<D>[];
  readonly subject?: Descriptor<D>;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** image-spec config.md: what is used of it here. */
export interface ImageConfiguration {
  readonly architecture: string;
  readonly os: string;
  /** Of the architecture: `v8`. */
  readonly variant?: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly diffIds: readonly Digest[];
  readonly history: readonly Readonly<Record<string, unknown>>[];
}

/** What a registry and a layout take; other implementations use the same bound. */
export const maximumManifest = 4 * 1024 * 1024;

/** More layers than any kernel can stack is a mistake or an attack. */
const maximumDescriptors = 10_000;

/**
 * A manifest or index from outside as a typed value.
 *
 * @param declared media type that the carrier named; the document's own must not contradict it
 * @param what names it in faults
 * @throws ImageFault image/bad-layout
 */
export function parseManifest(
  bytes: Uint8Array,
  declared: string | undefined,
  what: string,
): { readonly manifest: Manifest } | { readonly index: Index } {
  return parse(bytes, declared, what, isDigest);
}

/** The same for documents that only pass through here: their digests may be of SHA-512. */
export function parseAnyManifest(
  bytes: Uint8Array,
  declared: string | undefined,
  what: string,
): { readonly manifest: Manifest<AnyDigest> } | { readonly index: Index<AnyDigest> } {
  return parse(bytes, declared, what, isAnyDigest);
}

/**
 * What names a document says how long it is, and a reader may go by that.
 *
 * @throws ImageFault image/wrong-content where it is not so. image-spec descriptor.md, "size"
 */
export function checkSize({ size }: Descriptor<AnyDigest>, bytes: Uint8Array, what: string): void {
  if (bytes.length === size) return;
  throw new ImageFault('image/wrong-content', `${what} has ${bytes.length} bytes, and what names it says ${size}`);
}

/** How an index, or a list of referrers, speaks of a manifest. distribution-spec 1.1, "Listing Referrers". */
export function descriptorOf(
  document: Manifest<AnyDigest> | Index<AnyDigest>,
  digest: AnyDigest,
  size: number,
): Descriptor<AnyDigest> {
  const artifactType = document.artifactType || ('config' in document ? document.config.mediaType : undefined);
  const { mediaType, annotations } = document;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  };
}

function parse<D extends AnyDigest>(
  bytes: Uint8Array,
  declared: string | undefined,
  what: string,
  understood: (digest: string) => digest is D,
): { readonly manifest: Manifest<D> } | { readonly index: Index<D> } {
  const bad = (why: string) => new ImageFault('image/bad-layout', `${what} ${why}`);
  const json = parseObject(bytes, bad);
  if (json.schemaVersion !== 2) throw bad('is not a manifest: its schemaVersion is not 2');
  const own = optionalText(json.mediaType, 'mediaType', bad);
  const type = own ?? declared ?? ('manifests' in json ? mediaTypes.index : mediaTypes.manifest);
  if (own !== undefined && declared !== undefined && own !== declared)
    throw bad(`says that it is ${own}, it came as ${declared}`);
  const rest = {
    ...(json.subject !== undefined &&
      json.subject !== null && { subject: parseDescriptor(json.subject, bad, understood) }),
    ...(json.artifactType !== undefined && { artifactType: text(json.artifactType, 'artifactType', bad) }),
    ...(json.annotations !== undefined && { annotations: texts(json.annotations, 'annotations', bad) }),
  };
  if (type === mediaTypes.index || type === mediaTypes.dockerList) {
    // One document that is both would mean different things to different readers (CVE-2021-41190).
    if ('config' in json || 'layers' in json) throw bad('is both an index and a manifest');
    return {
      index: { mediaType: type, manifests: descriptors(json.manifests, 'manifests', bad, understood), ...rest },
    };
  }
  if (type !== mediaTypes.manifest && type !== mediaTypes.dockerManifest)
    throw bad(`has the unknown media type ${JSON.stringify(type)}`);
  if ('manifests' in json) throw bad('is both an index and a manifest');
  return {
    manifest: {
      mediaType: type,
      config: parseDescriptor(json.config, bad, understood),
      layers: descriptors(json.layers, 'layers', bad, understood),
      ...rest,
    },
  };
}

/** @throws ImageFault image/bad-layout */
export function parseConfiguration(bytes: Uint8Array, what: string): ImageConfiguration {
  const bad = (why: string) => new ImageFault('image/bad-layout', `${what} ${why}`);
  const json = parseObject(bytes, bad);
  const rootfs = object(json.rootfs, 'rootfs', bad);
  const ids = rootfs.diff_ids;
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string' && isDigest(id)))
    throw bad('has no usable diff_ids');
  const history = json.history ?? [];
  if (!Array.isArray(history)) throw bad('has a history that is no list');
  return {
    architecture: text(json.architecture, 'architecture', bad),
    os: text(json.os, 'os', bad),
    ...(typeof json.variant === 'string' && json.variant !== '' && { variant: json.variant }),
    config: json.config === undefined || json.config === null ? {} : object(json.config, 'config', bad),
    diffIds: ids as Digest[],
    history: history.map((entry) => object(entry, 'history', bad)),
  };
}

/** The one manifest of an index that runs on the architecture. */
export function chooseManifest(index: Index, architecture: Architecture, what: string): Descriptor {
  const fitting = index.manifests.filter(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  const chosen =
    fitting[0] ?? (index.manifests.length === 1 && !index.manifests[0]?.platform ? index.manifests[0] : undefined);
  if (chosen) return chosen;
  const offered = index.manifests.map(({ platform }) =>
    platform ? `${platform.os}/${platform.architecture}` : 'unnamed',
  );
  throw new ImageFault('image/bad-layout', `${what} has no image for linux/${architecture}`, {
    notes: [`it has: ${offered.join(', ') || 'none'}`],
  });
}

type Bad = (why: string) => ImageFault;
type JsonObject = Readonly<Record<string, unknown>>;

function parseObject(bytes: Uint8Array, bad: Bad): JsonObject {
  let json: unknown;
  try {
    json = parseStrictJson(bytes);
  } catch (error) {
    throw bad((error as Error).message);
  }
  return object(json, 'document', bad);
}

type Understood<D extends AnyDigest> = (digest: string) => digest is D;

function descriptors<D extends AnyDigest>(
  value: unknown,
  name: string,
  bad: Bad,
  understood: Understood<D>,
): Descriptor<D>[] {
  if (!Array.isArray(value)) throw bad(`has no list ${name}`);
  if (value.length > maximumDescriptors) throw bad(`has more than ${maximumDescriptors} ${name}`);
  return value.map((entry) => parseDescriptor(entry, bad, understood));
}

function parseDescriptor<D extends AnyDigest>(value: unknown, bad: Bad, understood: Understood<D>): Descriptor<D> {
  const json = object(value, 'descriptor', bad);
  const digest = text(json.digest, 'digest', bad);
  if (!understood(digest)) throw bad(`has the digest ${JSON.stringify(digest.slice(0, 100))}, which is not understood`);
  const { size } = json;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw bad(`has a descriptor without a usable size`);
  const platform =
    json.platform === undefined || json.platform === null ? undefined : object(json.platform, 'platform', bad);
  return {
    mediaType: text(json.mediaType, 'mediaType', bad),
    digest,
    size,
    ...(platform && {
      platform: {
        architecture: text(platform.architecture, 'architecture', bad),
        os: text(platform.os, 'os', bad),
        ...(platform.variant !== undefined && { variant: text(platform.variant, 'variant', bad) }),
      },
    }),
    ...(json.annotations !== undefined && { annotations: texts(json.annotations, 'annotations', bad) }),
    ...(json.artifactType !== undefined && { artifactType: text(json.artifactType, 'artifactType', bad) }),
  };
}

function object(value: unknown, name: string, bad: Bad): JsonObject {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw bad(`has a ${name} that is no object`);
  return value as JsonObject;
}

function text(value: unknown, name: string, bad: Bad): string {
  if (typeof value !== 'string') throw bad(`has a ${name} that is no text`);
  return value;
}

function optionalText(value: unknown, name: string, bad: Bad): string | undefined {
  return value === undefined || value === '' ? undefined : text(value, name, bad);
}

function texts(value: unknown, name: string, bad: Bad): Readonly<Record<string, string>> {
  const json = value === null ? {} : object(value, name, bad);
  for (const entry of Object.values(json)) text(entry, name, bad);
  return json as Readonly<Record<string, string>>;
}
