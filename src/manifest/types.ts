import type { Fault, Place } from '../fault/index.ts';
import type { Json, Label } from '../graph/index.ts';

export interface ManifestFile {
  /** Relative to the workspace root. */
  readonly path: string;
  readonly source: string;
}

/** A Kubernetes object, as its manifest says it. */
export interface ManifestObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly [key: string]: unknown;
  };
  readonly [key: string]: unknown;
}

/** One YAML document of a manifest. */
export interface ManifestDocument {
  readonly object: ManifestObject;
  /** Of the document's first line. */
  readonly place: Place;
  /** Where a field stands: `['spec', 'replicas']`; the nearest field above it that is written down. */
  locate(path: readonly (string | number)[]): Place;
}

export interface ManifestOptions {
  /** Package of the k8s_config: what `:image` is relative to. */
  readonly package: string;
  /** Labels of images that the k8s_config lists in `containers`. */
  readonly containers: readonly Label[];
  /** The environment's; an object may say it or leave it out. */
  readonly namespace?: string;
  /** The environment's, which `!param name` asks for; undefined while no environment is known. */
  readonly parameters?: Readonly<Record<string, Json>> | undefined;
  /** Applied in this order. */
  readonly patches?: readonly ManifestFile[];
  /** Only checked, each for itself: whether they are patches and their objects are there. */
  readonly unappliedPatches?: readonly ManifestFile[];
  /** Where the k8s_config stands, for what it lists and does not use. */
  readonly place?: Place;
}

export interface CheckedManifests {
  readonly documents: readonly ManifestDocument[];
  /** Labels of the images used, sorted. */
  readonly images: readonly Label[];
  /** What is not an error: an image listed and not used. */
  readonly warnings: readonly Fault[];
}

export interface RenderedManifests {
  /** All documents of all files, byte for byte but for the images. */
  readonly text: string;
  /** With images resolved. */
  readonly documents: readonly ManifestDocument[];
}

/** What a k8s_config target builds: its manifests as they are, and the images to put in. */
export interface ManifestBundle {
  readonly format: 1;
  readonly service: Label;
  readonly owner?: string;
  /** Absent where its package says it. */
  readonly kind?: 'service' | 'infrastructure';
  /** Services that have to be healthy in an environment before it goes there on a train. */
  readonly after?: readonly Label[];
  readonly containers: readonly Label[];
  readonly files: readonly ManifestFile[];
  /** Patch files by the name of their set, which environments name. */
  readonly patches?: Readonly<Record<string, readonly ManifestFile[]>>;
}
