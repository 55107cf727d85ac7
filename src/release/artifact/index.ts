export { kindOf, type ReleaseContent, type ReleaseImage, type Statement } from './content.ts';
export { type PackedRelease, packRelease, releaseType, sortedJson, unpackRelease } from './pack.ts';
export { fetchRelease, pushRelease, releaseRepository } from './registry.ts';
