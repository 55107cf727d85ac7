/**
 * A second door, of what a build needs. Most builds make no image or few: what makes and sends one is loaded when it is called, and
 * each function is that of its file.
 */
import type * as assembleIndexFile from './assemble-index.ts';
import type * as pushFile from './client/push.ts';
import type * as fetchFile from './debian/fetch.ts';
import type * as dockerfileFile from './dockerfile/make.ts';
import type * as makeFile from './make.ts';

export { hexOf } from './digest.ts';
export { reproducibleLabel } from './dockerfile/reproducible.ts';
export { readLayout } from './layout.ts';
export { repositoryFor } from './names.ts';
export { machineArchitecture } from './platform.ts';
export { type BlobStore, openBlobStore } from './store.ts';
export { claimTag } from './tags.ts';
export { debianLayerVersion, dockerfileImageVersion, imageVersion } from './versions.ts';

export const makeImage: typeof makeFile.makeImage = async (...given) => (await import('./make.ts')).makeImage(...given);

export const makeDockerfileImage: typeof dockerfileFile.makeDockerfileImage = async (...given) =>
  (await import('./dockerfile/make.ts')).makeDockerfileImage(...given);

export const assembleIndex: typeof assembleIndexFile.assembleIndex = async (...given) =>
  (await import('./assemble-index.ts')).assembleIndex(...given);

export const fetchPackages: typeof fetchFile.fetchPackages = async (...given) =>
  (await import('./debian/fetch.ts')).fetchPackages(...given);

export const makeDebianPackageLayer: typeof fetchFile.makeDebianPackageLayer = async (...given) =>
  (await import('./debian/fetch.ts')).makeDebianPackageLayer(...given);

export const pushImage: typeof pushFile.pushImage = async (...given) =>
  (await import('./client/push.ts')).pushImage(...given);
