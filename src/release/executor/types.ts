import type { Environment, Label } from '../../graph/index.ts';
import type { ManifestDocument } from '../../manifest/index.ts';
import type { ReleaseContent } from '../artifact/index.ts';
import type { Session } from '../cluster/session.ts';
import type { Rollout, Stage } from '../model/index.ts';
import type { PlacementStore } from '../placement/index.ts';
import type { Clusters } from './clusters.ts';

export interface ExecutorOptions {
  readonly store: PlacementStore;
  readonly environments: ReadonlyMap<string, Environment>;
  readonly clusters: Clusters;
  /** A release out of a registry, checked against its name. */
  readonly fetchRelease: (reference: string, signal: AbortSignal) => Promise<ReleaseContent>;
  /** Milliseconds since the epoch: the times that go into the record. */
  readonly now: () => number;
  /** Who acts, for the audit log: unique among all servers. */
  readonly source: string;
  /** Milliseconds between two looks for what another server was told; a second unless told. */
  readonly poll?: number | undefined;
  /** What went wrong and is tried again. @param names of what it is about, where it is about one */
  readonly onError: (error: unknown, about: string, names?: Concerning) => void;
}

/** What an error is about. */
export interface Concerning {
  readonly service: Label;
  readonly environment: string;
  readonly rollout?: Rollout | undefined;
}

/** One rollout on its way. */
export interface Job {
  readonly service: Label;
  readonly environment: Environment;
  readonly rollout: Rollout;
  /** Undefined where all objects are to be applied. */
  readonly stage?: Stage | undefined;
  readonly content: ReleaseContent;
  /** The release's objects, as they are in this environment. */
  readonly documents: readonly ManifestDocument[];
  /** Those that are run to verify it, and not applied. */
  readonly verification: readonly ManifestDocument[];
  readonly session: Session;
  /** Aborts when the rollout has ended or the right to act is lost. */
  readonly signal: AbortSignal;
}
