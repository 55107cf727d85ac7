export { formatBundle, parseBundle } from './bundle.ts';
export { checkManifests } from './check.ts';
export { ManifestFault } from './fault.ts';
export { renderManifests } from './render.ts';
export type * from './types.ts';
