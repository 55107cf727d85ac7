import type { Place } from '../fault/index.ts';
import type { Json } from './types.ts';

/** Where services go: a cluster, a namespace in it, and what differs there. */
export interface Environment {
  readonly name: string;
  /** `local`, or another name for a cluster that `context` reaches. */
  readonly cluster: string;
  readonly namespace: string;
  /** Context of the user's kubeconfig. */
  readonly context?: string;
  /** What image references begin with; the workspace's unless told. */
  readonly registry: string;
  readonly parameters: Readonly<Record<string, Json>>;
  readonly place: Place;
}

/** A parsed `banksman.yaml`, with defaults filled in. */
export interface Workspace {
  /** Absolute path of the folder that holds banksman.yaml. */
  readonly root: string;
  readonly name: string;
  readonly buildFiles: readonly string[];
  readonly buildDefs: readonly string[];
  /** Read in BUILD files as CONFIG. */
  readonly config: Readonly<Record<string, Json>>;
  readonly debian: { readonly suite: string };
  readonly environments: ReadonlyMap<string, Environment>;
  readonly registry: string;
  readonly place: Place;
}

/**
 * Finds `banksman.yaml` in a folder or the nearest one above it.
 *
 * @throws GraphFault when there is none, or it is not in the form that ARCHITECTURE.md gives
 */
export declare function openWorkspace(startFolder: string): Promise<Workspace>;
