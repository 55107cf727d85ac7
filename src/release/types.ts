import type { Fault } from '../fault/index.ts';
import type { Environment, Label } from '../graph/index.ts';
import type { ReleaseKind } from './kind.ts';

/** How to reach an environment's cluster and its registry. Plain data: the command line fills it in, from `local` or from the user. */
export interface ClusterAccess {
  /** Path of a kubeconfig; `$KUBECONFIG` or `~/.kube/config` unless told. */
  readonly kubeconfigPath?: string | undefined;
  /** Context in it; its current one unless told. */
  readonly context?: string | undefined;
  /** The cluster that this program itself runs in, by its service account, in place of a kubeconfig. */
  readonly inCluster?: boolean | undefined;
  /** How images are pushed; by the registry's own name and the user's docker credentials unless told. */
  readonly registry?: RegistryAccess | undefined;
}

/** A registry that is not reached by its name: the one of a local cluster. Paths of PEM files. */
export interface RegistryAccess {
  readonly name: string;
  readonly socketPath?: string | undefined;
  readonly caPath?: string | undefined;
  readonly certPath?: string | undefined;
  readonly keyPath?: string | undefined;
}

/** A `k8s_config` target. */
export interface Service {
  readonly label: Label;
  /** Short name: the target's name where no other service has it, else the label without `//`. */
  readonly name: string;
  readonly owner: string | undefined;
  readonly kind: ReleaseKind;
}

/** An image of the workspace, built. */
export interface BuiltImage {
  readonly label: Label;
  /** `bank/ledger` */
  readonly repository: string;
  /** First 12 hex digits of the configuration's SHA-256. */
  readonly tag: string;
  /** `sha256:...` of the manifest. */
  readonly digest: string;
  /** OCI image layout folder. */
  readonly layout: string;
  /** Whether anybody can make the same bytes again: false where RUN of a Dockerfile was carried out for it. */
  readonly reproducible: boolean;
}

export interface ReleasedImage {
  readonly label: Label;
  /** As the manifests name it: `registry.local/bank/ledger:0123456789ab`. */
  readonly reference: string;
  readonly digest: string;
}

/** Where a release comes from. */
export interface Origin {
  /** Commit id; undefined where the workspace has no commit. */
  readonly commit?: string | undefined;
  /** The commit's author, `Name <mail>`. */
  readonly author?: string | undefined;
  /** Files differed from the commit. */
  readonly dirty: boolean;
}

/** One service at one content. Immutable; the id is the SHA-256 of service, manifests and image digests, in hex. */
export interface Release {
  readonly id: string;
  readonly service: Label;
  /** Rendered manifests. */
  readonly manifests: string;
  readonly images: readonly ReleasedImage[];
  readonly origin: Origin;
  /** RFC 3339. */
  readonly createdAt: string;
}

export type RolloutResult = 'progressing' | 'healthy' | 'removed' | 'failed' | 'superseded';

/** One attempt to bring a release into an environment. */
export interface Rollout {
  readonly id: string;
  readonly release: string;
  /** A removal's release is the one that was there. */
  readonly kind: 'deploy' | 'rollback' | 'removal';
  /** The release that was applied before. */
  readonly from?: string | undefined;
  /** `user@machine` */
  readonly by: string;
  readonly startedAt: string;
  readonly endedAt?: string | undefined;
  readonly result: RolloutResult;
  /** Why it failed, as a person would tell it. */
  readonly reason?: string | undefined;
  /** How its images stood to the environment's policy; undefined where it has none. */
  readonly proof?: ProofRecord | undefined;
}

/** What is remembered of a policy's check. */
export interface ProofRecord {
  /** Path of the policy in the workspace. */
  readonly policy: string;
  /** SHA-256 of the policy's text, in hex: it may have changed since. */
  readonly policySum: string;
  /** `audited`: it was not fulfilled, and only told of. `broken-glass`: somebody went on with a reason. */
  readonly outcome: 'passed' | 'audited' | 'broken-glass';
  readonly reason?: string | undefined;
  /** What was not fulfilled, a line each. */
  readonly missing?: readonly string[];
  /** Commits that the images were built of, as their provenance says. */
  readonly commits?: readonly string[];
  /** Who approved these commits. */
  readonly approvers?: readonly string[];
}

export type Phase =
  | 'waiting' // for another deploy of the same service to finish applying
  | 'checking' // comparing with what is in the cluster
  | 'applying'
  | 'progressing'
  | 'healthy'
  | 'unchanged'
  | 'failed'
  | 'superseded';

/** What a live view shows: one for each change of a service's state. */
export interface DeployEvent {
  readonly service: Service;
  readonly phase: Phase;
  /** One line: `1 of 2 new pods ready`. */
  readonly message: string;
  readonly release: string;
  readonly pods: readonly PodStatus[];
}

export interface PodStatus {
  readonly name: string;
  readonly uid: string;
  /** Of the release's newest revision; false for a pod on its way out. */
  readonly current: boolean;
  readonly ready: boolean;
  /** As `kubectl get pods` says it: Running, Pending, CrashLoopBackOff, Terminating... */
  readonly state: string;
  readonly restarts: number;
  /** RFC 3339. */
  readonly createdAt: string;
  /** References of the containers' images. */
  readonly images: readonly string[];
  readonly node: string | undefined;
}

export interface ObjectChange {
  readonly kind: string;
  readonly name: string;
  readonly action: 'created' | 'configured' | 'unchanged' | 'pruned';
}

export interface ServiceDeployment {
  readonly service: Service;
  readonly release: string;
  readonly result: 'healthy' | 'unchanged' | 'failed' | 'superseded';
  readonly changes: readonly ObjectChange[];
  /** Set where the result is failed or superseded. */
  readonly fault: Fault | undefined;
  /** Milliseconds. */
  readonly duration: number;
}

export interface ServiceStatus {
  readonly service: Label;
  readonly name: string;
  readonly owner: string | undefined;
  readonly environment: string;
  /** Undefined where the service was never deployed there. */
  readonly release: string | undefined;
  readonly origin: Origin | undefined;
  readonly images: readonly ReleasedImage[];
  readonly lastRollout: Rollout | undefined;
  /** `absent`: never deployed. `unknown`: no conclusion from the cluster. */
  readonly health: 'healthy' | 'progressing' | 'failed' | 'absent' | 'unknown';
  readonly message: string;
  readonly pods: readonly PodStatus[];
}

export interface LogLine {
  readonly pod: string;
  readonly container: string;
  /** RFC 3339 with nanoseconds, as the cluster gives it. */
  readonly time: string;
  readonly text: string;
}

export type { Environment };
