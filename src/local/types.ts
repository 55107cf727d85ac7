import type { Progress } from '../progress/index.ts';

/** What `up` needs to know. */
export interface UpRequest {
  /** `local` unless told: lower-case letters, digits and dashes, at most 30 characters. */
  readonly name?: string;
  readonly progress: Progress;
  /** Folder of the engine's Go source (`engine/` of this repository). */
  readonly engineSource: string;
  /**
   * Port on 127.0.0.1 for the Kubernetes API. Where it is absent: the one that the cluster had before, else 6443,
   * else the next free one.
   */
  readonly apiPort?: number;
  readonly signal?: AbortSignal;
}

export interface UpResult {
  /** The cluster was up and healthy before; nothing was changed. */
  readonly already: boolean;
  /** Milliseconds from the call to the Ready node with DNS answering, the engine's build not counted. */
  readonly took: number;
  readonly status: ClusterStatus;
}

export interface DownRequest {
  readonly name?: string;
  readonly progress: Progress;
  /** Removes the cluster's state too: its objects, volumes, images, keys. */
  readonly purge?: boolean;
}

export interface DownResult {
  /** False where there was nothing to stop. */
  readonly stopped: boolean;
  /** State was removed. */
  readonly purged: boolean;
}

/**
 * - `absent`: no state of that name
 * - `stopped`: state, and nothing runs
 * - `starting`: processes run, the node or DNS isn't ready yet for the first time
 * - `running`: node Ready and DNS answering
 * - `degraded`: it was running, and a process, the node or DNS isn't well now; it is being healed
 * - `broken`: processes are there without their supervisor (`up` or `down` repairs it)
 */
export type ClusterState = 'absent' | 'stopped' | 'starting' | 'running' | 'degraded' | 'broken';

export interface ProcessStatus {
  /** `etcd`, `apiserver`, `controller-manager`, `scheduler`, `containerd`, `kubelet`, `proxy`, `portal`, `anchor`, `supervisor`, `guard`. */
  readonly name: string;
  readonly pid: number | undefined;
  readonly state: 'waiting' | 'starting' | 'ready' | 'unwell' | 'exited';
  /** Resident memory, bytes. */
  readonly rss: number;
  /** Times that it was started again since `up`. */
  readonly restarts: number;
  /** Why it isn't ready, or why it ended last. */
  readonly reason?: string;
}

export interface ServicePort {
  /** `namespace/name`. */
  readonly service: string;
  /** Port of the Service. */
  readonly port: number;
  /** `127.0.0.1:8080` on the host. */
  readonly address: string;
  readonly scheme: 'http' | 'https';
  readonly listening: boolean;
  /** Why it doesn't listen. */
  readonly reason?: string;
}

export interface ClusterStatus {
  readonly name: string;
  readonly state: ClusterState;
  readonly node: { readonly name: string; readonly ready: boolean; readonly reason?: string };
  readonly dns: { readonly ready: boolean; readonly reason?: string };
  readonly processes: readonly ProcessStatus[];
  /** Services of type LoadBalancer as they are reached from this machine. */
  readonly ports: readonly ServicePort[];
  /** Address of the Kubernetes API on this machine, `https://127.0.0.1:6443`; absent before the first `up`. */
  readonly api?: string;
  readonly kubeconfig: string;
  readonly context: string;
  readonly versions: { readonly kubernetes?: string; readonly etcd?: string; readonly containerd?: string };
  /** Folder of the logs, one file a process. */
  readonly logs: string;
}

/** How to reach a cluster of this machine and its registry. */
export interface ClusterAccess {
  readonly kubeconfigPath: string;
  readonly context: string;
  readonly registry: {
    /** What image references begin with. */
    readonly name: 'registry.local';
    /** Unix socket that speaks TLS and asks for a client certificate. The server's name is `registry.local`. */
    readonly socketPath: string;
    readonly caPath: string;
    readonly certPath: string;
    readonly keyPath: string;
  };
}

/** A program with what it needs to run. */
export interface Invocation {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface EngineRequest {
  /** Folder of the engine's Go source. */
  readonly engineSource: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Where the built programs are. */
export interface Engine {
  /** Names what they were built from: hex. */
  readonly fingerprint: string;
  readonly folder: string;
  /** The multi-call binary: `engine etcd|apiserver|...`. */
  readonly engine: string;
  readonly portal: string;
  readonly pause: string;
  readonly coredns: string;
}
