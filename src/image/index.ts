// The door of src/image. Signatures are published first and filled in one by one: what is `declare`d here is being written.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Progress } from '../progress/index.ts';
import type { Digest } from './digest.ts';

export { type Digest, digestOf, isDigest, parseDigest } from './digest.ts';
export { ImageFault } from './fault.ts';

// ---- Blob store -------------------------------------------------------------------------------------------------

/** Content-addressed files `<folder>/sha256/<hex>`, safe for many processes and for kill -9. */
export interface BlobStore {
  readonly folder: string;
  /** Where the blob lies or would lie. */
  path(digest: Digest): string;
  /** Size in bytes; undefined where it is not there. */
  size(digest: Digest): Promise<number | undefined>;
  /** Stores a stream; checked against `expected` before it appears. */
  put(
    content: Uint8Array | string | AsyncIterable<Uint8Array>,
    expected?: { readonly digest?: Digest | undefined; readonly size?: number | undefined },
  ): Promise<{ readonly digest: Digest; readonly size: number }>;
  /** Takes in a file by hard link (or copy), after hashing it. */
  putFile(path: string): Promise<{ readonly digest: Digest; readonly size: number }>;
  /** Streams a blob, `end` inclusive. The sum is checked when the whole is read: a damaged blob ends in a fault. */
  open(digest: Digest, range?: { readonly start: number; readonly end: number }): Promise<Readable>;
  /** A small blob whole, its sum checked. */
  read(digest: Digest, maximumBytes?: number): Promise<Buffer>;
  /** Hard link (copy across file systems) of the blob at `path`; atomic, replaces what is there. */
  linkTo(digest: Digest, path: string): Promise<void>;
  remove(digest: Digest): Promise<void>;
}
/** `folder` is cacheFolder('blobs') for the builder's; opening makes it. */
export declare function openBlobStore(folder: string): Promise<BlobStore>;

// ---- Images -----------------------------------------------------------------------------------------------------

/** As GOARCH and the OCI image-spec say it. */
export type Architecture = 'amd64' | 'arm64' | 'ppc64le' | 's390x' | 'riscv64';
/** This machine's. */
export declare function machineArchitecture(): Architecture;

export interface ImageConfig {
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** `65532:65532` unless told; a name or number, `:group` if wanted. */
  readonly user?: string;
  readonly workdir?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly exposedPorts?: readonly string[];
  readonly volumes?: readonly string[];
  readonly stopSignal?: string;
}

/** An uncompressed tar file; give the digest where it is known (SHA-256 of the file) and it is not read again. */
export interface LayerFile {
  readonly path: string;
  readonly digest?: Digest;
  /** Shown in the image's history, e.g. `debian libc6 2.36-9`. */
  readonly createdBy?: string;
}

/** A file of the image. A folder as `source` is taken with all that is in it. */
export interface ImageFile {
  /** Absolute path in the image. Ending in `/`: the source's name is added. */
  readonly destination: string;
  /** Absolute path on this machine, or `content`. */
  readonly source?: string;
  readonly content?: string | Uint8Array;
  /** 0o755 for what is executable by its owner and 0o644 for the rest unless told. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface AssembledImage {
  /** The OCI image layout folder. */
  readonly layout: string;
  /** Digest of the manifest. */
  readonly digest: Digest;
  /** First 12 hex digits of the configuration's SHA-256. */
  readonly tag: string;
  readonly configDigest: Digest;
  readonly layers: readonly { readonly digest: Digest; readonly size: number }[];
}

/** Lowest door: layers and configuration -> OCI image layout at `output` (replaced atomically). */
export declare function assembleImage(request: {
  readonly store: BlobStore;
  readonly output: string;
  /** Layout folder of the image below. */
  readonly base?: string;
  readonly layers: readonly LayerFile[];
  readonly config: ImageConfig;
  readonly architecture?: Architecture;
}): Promise<AssembledImage>;

/** What `docker_image` does: packages, then accounts and folders, then files. For a static binary: no packages. */
export declare function makeImage(request: {
  readonly store: BlobStore;
  readonly output: string;
  readonly base?: string;
  /** From makeDebianPackageLayer; order does not matter (sorted by name inside). */
  readonly packages: readonly LayerFile[];
  readonly files: readonly ImageFile[];
  /** Extra accounts: name -> uid (= gid), home /home/<name> or /var/lib/<name> for uid < 1000. */
  readonly users?: Readonly<Record<string, number>>;
  readonly config: ImageConfig;
  readonly architecture?: Architecture;
}): Promise<AssembledImage>;

/** Reads a layout folder made by assembleImage (or another tool: one image in the index). */
export declare function readImageLayout(layout: string): Promise<AssembledImage>;

/** `//bank/ledger:image` -> `bank/ledger`; `repo` says otherwise. */
export declare function repositoryFor(label: string, repo?: string): string;
/** The tag of an image whose configuration blob has this digest. */
export declare function tagFor(configDigest: Digest): string;

// ---- Debian packages --------------------------------------------------------------------------------------------

export interface LockedPackage {
  readonly version: string;
  /** `amd64`, `all`... */
  readonly architecture: string;
  readonly sha256: string;
  /** Bytes of the .deb. */
  readonly size: number;
  /** Names in the same lock. */
  readonly depends: readonly string[];
}
/** debian.lock.json */
export interface DebianLock {
  readonly format: 1;
  readonly suite: string;
  readonly architecture: string;
  readonly requested: readonly string[];
  readonly exclude: readonly string[];
  readonly packages: Readonly<Record<string, LockedPackage>>;
}
/** Where packages come from: the system's own Debian sources, or `debian.mirror` of banksman.yaml. */
export interface DebianSource {
  readonly suite: string;
  readonly mirror?: string;
  readonly architecture?: string;
}
export declare function parseDebianLock(text: string, file: string): DebianLock;
/** Sorted and stable, with a final newline. */
export declare function formatDebianLock(lock: DebianLock): string;
export declare function lockDebian(request: {
  readonly source: DebianSource;
  readonly packages: readonly string[];
  readonly exclude?: readonly string[];
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}): Promise<DebianLock>;
/** Locks anew only if a locked version is neither in the cache nor offered any more. */
export declare function refreshGone(request: {
  readonly source: DebianSource;
  readonly lock: DebianLock;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}): Promise<{
  readonly lock: DebianLock;
  readonly changed: readonly { readonly name: string; readonly from?: string; readonly to?: string }[];
}>;

export interface PackageRequest {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly sha256: string;
  readonly size: number;
}
/** Brings all .debs that are not in the cache yet in one call of the package client. Paths by name. */
export declare function fetchPackages(request: {
  readonly source: DebianSource;
  readonly packages: readonly PackageRequest[];
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}): Promise<ReadonlyMap<string, string>>;
/** The builtin action `debian_package`: writes the package's layer (uncompressed tar) to `output`. */
export declare function makeDebianPackageLayer(request: {
  readonly source: DebianSource;
  readonly package: PackageRequest;
  readonly output: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}): Promise<LayerFile & { readonly digest: Digest }>;
/** Part of an action's key: goes up whenever the same .deb gives another layer. */
export declare const debianLayerVersion: string;
/** Likewise for makeImage. */
export declare const imageVersion: string;

// ---- Registry server --------------------------------------------------------------------------------------------

export interface RegistryOptions {
  /** Folder of repositories, tags and uploads. */
  readonly root: string;
  /** Take blobs of the store that the client names by digest (mount without `from`): for a store shared with the builder. */
  readonly discover?: boolean;
  /** Asked before each request; false is answered with 403. */
  readonly authorize?: (
    request: IncomingMessage,
    action: 'pull' | 'push' | 'delete',
    repository: string | undefined,
  ) => boolean | Promise<boolean>;
}
/** OCI distribution-spec 1.1 for node:http(s).createServer(handler); the caller listens. Never throws. */
export declare function createRegistryHandler(
  store: BlobStore,
  options: RegistryOptions,
): (request: IncomingMessage, response: ServerResponse) => void;

// ---- Registry client --------------------------------------------------------------------------------------------

/** How to reach a registry. Nothing given: TLS with the system's authorities and ~/.docker/config.json. */
export interface RegistryTransport {
  /** Unix socket that the registry listens on, in place of its host name. */
  readonly socketPath?: string;
  /** PEM texts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** HTTP without TLS. */
  readonly plainHttp?: boolean;
  /** In place of ~/.docker/config.json. */
  readonly credentials?: { readonly username: string; readonly password: string } | 'anonymous';
}
export interface Reference {
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}
export declare function parseReference(text: string): Reference;
export declare function formatReference(reference: Reference): string;
/** Sends what the registry does not have, then the manifest, then the tag. */
export declare function pushImage(request: {
  readonly layout: string;
  /** `registry.local/bank/ledger:0123456789ab` */
  readonly reference: string;
  readonly transport?: RegistryTransport;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}): Promise<{ readonly digest: Digest; readonly sentBlobs: number; readonly sentBytes: number }>;
/** Into a layout folder whose blobs are in the store; an index is resolved to `architecture`. */
export declare function pullImage(request: {
  readonly reference: string;
  readonly store: BlobStore;
  readonly output: string;
  readonly architecture?: Architecture;
  readonly transport?: RegistryTransport;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}): Promise<AssembledImage>;
/** Digest of what a reference names; undefined where the registry does not have it. */
export declare function headImage(request: {
  readonly reference: string;
  readonly transport?: RegistryTransport;
  readonly signal?: AbortSignal;
}): Promise<{ readonly digest: Digest; readonly mediaType: string } | undefined>;
