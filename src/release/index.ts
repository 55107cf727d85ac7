// The door of src/release. What is `declare`d here is being written; names and forms stay.
import type { BuildResult, TestResult } from '../build/index.ts';
import type { Graph, Label, Workspace } from '../graph/index.ts';
import type { Progress } from '../progress/index.ts';
import type {
  BuiltImage,
  ClusterAccess,
  DeployEvent,
  Environment,
  LogLine,
  Release,
  Rollout,
  Service,
  ServiceDeployment,
  ServiceStatus,
} from './types.ts';

export type * from './types.ts';

export interface WorkspaceBuilder {
  readonly workspace: Workspace;
  /** What was loaded: the packages that the wanted targets reach. */
  readonly graph: Graph;
  /** Labels that the patterns match. */
  readonly labels: readonly Label[];
  build(labels: readonly Label[]): Promise<BuildResult>;
  test(labels: readonly Label[], options?: { readonly rerun?: boolean }): Promise<TestResult>;
  /** Builds and names images: these, or all `docker_image` targets of the graph. */
  images(labels?: readonly Label[]): Promise<BuiltImage[]>;
  /** All `k8s_config` targets of the graph, sorted by label. */
  services(): Service[];
}
/** @param options.patterns `//...` unless told; only packages that these reach are evaluated */
export declare function createWorkspaceBuilder(
  workspace: Workspace,
  options: {
    readonly progress: Progress;
    readonly patterns?: readonly string[];
    /** Package that patterns are relative to. */
    readonly from?: string;
    readonly jobs?: number;
    readonly keepGoing?: boolean;
    readonly signal?: AbortSignal;
  },
): Promise<WorkspaceBuilder>;

/** `dev` unless told. @throws ReleaseFault release/unknown-environment with the nearest name */
export declare function environmentOf(workspace: Workspace, name?: string): Environment;
/** A service by label, by short name, or by `:name`. @throws ReleaseFault release/unknown-service with the nearest name */
export declare function findService(services: readonly Service[], text: string): Service;

/** What `banksman render` prints: the service's manifests with every image resolved. Needs no cluster. */
export declare function renderService(
  builder: WorkspaceBuilder,
  label: Label,
  options: { readonly environment: Environment },
): Promise<string>;

export interface RolloutOptions {
  readonly environment: Environment;
  readonly cluster: ClusterAccess;
  readonly progress: Progress;
  /** Called for each change of a service's state. */
  readonly observe?: (event: DeployEvent) => void;
  /** Seconds until a rollout that is not healthy counts as failed; 120 unless told. */
  readonly deadline?: number;
  /** Take over fields that another field manager holds. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}
/**
 * Builds, pushes, renders, applies and waits, for several services at once. Does not throw for a rollout that fails: look
 * at each result. Throws for what stops everything (a build that fails, a cluster that can't be reached).
 */
export declare function deploy(
  options: RolloutOptions & {
    readonly builder: WorkspaceBuilder /** All services unless told. */;
    readonly labels?: readonly Label[];
  },
): Promise<ServiceDeployment[]>;
/** @param options.to id of a release, or the beginning of one; the last good one other than the current unless told */
export declare function rollback(
  options: RolloutOptions & { readonly service: Service; readonly to?: string },
): Promise<ServiceDeployment & { readonly to: Release }>;

interface ViewOptions {
  readonly environment: Environment;
  readonly cluster: ClusterAccess;
  readonly signal?: AbortSignal;
}
export declare function serviceStatus(
  options: ViewOptions & { readonly services: readonly Service[] },
): Promise<ServiceStatus[]>;
/** Newest first. */
export declare function releaseHistory(
  options: ViewOptions & { readonly service: Service },
): Promise<{ readonly rollouts: readonly Rollout[]; readonly releases: readonly Release[] }>;
/** Merged lines of all pods and containers of a service; goes on across restarts and rollouts with `follow`. */
export declare function followLogs(
  options: ViewOptions & {
    readonly service: Service;
    readonly follow?: boolean;
    readonly container?: string;
    /** Seconds back. */
    readonly since?: number;
    /** Lines from the end of each container's log. */
    readonly tail?: number;
    /** The log of the container's run before this one. */
    readonly previous?: boolean;
  },
): AsyncIterable<LogLine>;
