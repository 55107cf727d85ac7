// The door of src/image. Signatures are published first and filled in one by one: what is `declare`d here is being written.
import type { Progress } from '../progress/index.ts';
import type { Digest } from './digest.ts';

export { type AssembleRequest, assembleImage, type ImageConfig, type LayerFile, type StoredLayer } from './assemble.ts';
export { type FetchRequest, fetchPackages, makeDebianPackageLayer, type PackageRequest } from './debian/fetch.ts';
export { type DebianLayer, type DebianLayerOptions, debianLayer, debianLayerVersion } from './debian/layer.ts';
export { type LockChange, type LockRequest, lockDebian, refreshGone } from './debian/lock.ts';
export { type DebianLock, formatDebianLock, type LockedPackage, parseDebianLock } from './debian/lockfile.ts';
export type { DebianSource } from './debian/sources.ts';
export { type Digest, digestOf, isDigest, parseDigest } from './digest.ts';
export { ImageFault } from './fault.ts';
export type { ImageFile } from './files.ts';
export { type AssembledImage, type LayoutContent, readImageLayout } from './layout.ts';
export { imageVersion, type MakeRequest, makeImage } from './make.ts';
export {
  formatReference,
  isRepository,
  isTag,
  parseReference,
  type Reference,
  repositoryFor,
  tagFor,
} from './names.ts';
export { type Architecture, machineArchitecture } from './platform.ts';
export { createRegistryHandler, type RegistryAction, type RegistryOptions } from './registry/handler.ts';
export { type BlobStore, type Expected, openBlobStore, type Stored } from './store.ts';

import type { AssembledImage } from './layout.ts';
import type { Architecture } from './platform.ts';
import type { BlobStore } from './store.ts';

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
