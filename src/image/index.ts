export {
  type AssembleRequest,
  assembleImage,
  type Healthcheck,
  type ImageConfig,
  type LayerFile,
  type StoredLayer,
} from './assemble.ts';
export { assembleIndex } from './assemble-index.ts';
export {
  fetchBlob,
  fetchManifest,
  listReferrers,
  listRepositoryTags,
  type ManifestPush,
  pushManifest,
} from './client/artifact.ts';
export type { RegistryAccessOptions } from './client/endpoints.ts';
export { inParallel } from './client/in-parallel.ts';
export { type Mirrored, type MirrorRequest, mirrorImages } from './client/mirror.ts';
export { type PullRequest, pullImage } from './client/pull.ts';
export { headImage, type Pushed, type PushRequest, pushImage } from './client/push.ts';
export type { FoundManifest } from './client/remote.ts';
export type { RegistrySetting, RegistrySettings } from './client/settings.ts';
export type { RegistryTransport } from './client/transport.ts';
export { type FetchRequest, fetchPackages, makeDebianPackageLayer, type PackageRequest } from './debian/fetch.ts';
export { type DebianLayer, type DebianLayerOptions, debianLayer } from './debian/layer.ts';
export { type LockChange, type LockRequest, lockDebian, refreshGone } from './debian/lock.ts';
export { type DebianLock, formatDebianLock, type LockedPackage, parseDebianLock } from './debian/lockfile.ts';
export type { DebianSource } from './debian/sources.ts';
export { type AnyDigest, type Digest, digestOf, hexOf, isAnyDigest, isDigest, parseDigest } from './digest.ts';
export { type BuildArguments, parseBuildArguments } from './dockerfile/build-arguments.ts';
export type { RunSettings } from './dockerfile/buildah.ts';
export type { ContextFile } from './dockerfile/context.ts';
export { DockerfileFault } from './dockerfile/fault.ts';
export {
  type DockerfileImage,
  type DockerfileImageRequest,
  makeDockerfileImage,
} from './dockerfile/make.ts';
export { decodeDockerfile } from './dockerfile/parse.ts';
export { reproducibleLabel } from './dockerfile/reproducible.ts';
export { ImageFault } from './fault.ts';
export type { ImageFile, ImageFolder, ImageLink, LayerContent } from './files.ts';
export {
  diffImages,
  type FieldDifference,
  type FileAspect,
  type FileDifference,
  type ImageDifference,
  type PackageDifference,
} from './inspect/diff.ts';
export { type DescribedLayer, describeLayers } from './inspect/layers.ts';
export { type InstalledPackage, installedPackages } from './inspect/packages.ts';
export { type AssembledImage, type LayoutContent, type LayoutImages, readImageLayout, readLayout } from './layout.ts';
export { type ImageLayer, type MakeRequest, makeImage } from './make.ts';
export { type Descriptor, type Index, type Manifest, mediaTypes, parseAnyManifest, parseManifest } from './manifest.ts';
export {
  formatReference,
  indexContent,
  isRepository,
  isTag,
  parseReference,
  type Reference,
  repositoryFor,
  tagFor,
} from './names.ts';
export { type Architecture, debianArchitecture, isArchitecture, machineArchitecture } from './platform.ts';
export * from './proof/index.ts';
export { createAccess } from './registry/access.ts';
export { type CheckResult, checkRegistry } from './registry/check.ts';
export { type Collected, collectGarbage } from './registry/collect.ts';
export { createRegistryHandler, type RegistryAction, type RegistryOptions } from './registry/handler.ts';
export { listRegistry, removeFromRegistry } from './registry/list.ts';
export { hashPassword, newToken } from './registry/password.ts';
export { createRegistryServer } from './registry/serve.ts';
export {
  durationOf,
  isDuration,
  parseRegistrySettings,
  type RegistrySettingsFile,
  readRegistrySettings,
} from './registry/settings.ts';
export type { Group, User } from './skeleton.ts';
export { type BlobStore, type Expected, openBlobStore, type Stored } from './store.ts';
export { claimTag } from './tags.ts';
export { debianLayerVersion, dockerfileImageVersion, imageVersion } from './versions.ts';
