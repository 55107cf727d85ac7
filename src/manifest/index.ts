// The door of src/manifest. What is `declare`d here is being written; names and forms stay.
import type { Label } from '../graph/index.ts';
import type { CheckedManifests, ManifestBundle, ManifestFile, ManifestOptions, RenderedManifests } from './types.ts';

export type * from './types.ts';

/** @throws ManifestFault: the first by place, with all others among its `others` */
export declare function checkManifests(files: readonly ManifestFile[], options: ManifestOptions): CheckedManifests;
/** @param images label -> reference. @throws ManifestFault */
export declare function renderManifests(
  files: readonly ManifestFile[],
  images: ReadonlyMap<Label, string>,
  options: ManifestOptions,
): RenderedManifests;
/** The output of the builtin action `k8s_config`: JSON, stable. */
export declare function formatBundle(bundle: ManifestBundle): string;
/** @throws ManifestFault manifest/bad-bundle */
export declare function parseBundle(text: string, file: string): ManifestBundle;
