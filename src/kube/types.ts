/** A Kubernetes object. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [key: string]: unknown;
}

/** The fields of metav1.ObjectMeta that this program reads. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
    readonly controller?: boolean;
  }[];
  readonly managedFields?: readonly unknown[];
  readonly [key: string]: unknown;
}

/** What names a kind of object in requests. */
export interface Kind {
  /** `v1`, `apps/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
}

/** How the cluster serves a kind, from API discovery. */
export interface Resource extends Kind {
  /** Plural, as in the path: `deployments`. */
  readonly plural: string;
  readonly namespaced: boolean;
}

/** Names one object. */
export interface ObjectName extends Kind {
  readonly name: string;
  /** Absent for kinds of the whole cluster. */
  readonly namespace?: string | undefined;
}

/** One request to the API server. */
export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From `/api` or `/apis` on. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** What may be answered with; JSON unless told. */
  readonly accept?: string;
  /** Of the body; `application/json` unless told. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for the whole answer; 30,000 unless told. */
  readonly timeout?: number;
}

/** A connection to a cluster. */
export interface Cluster {
  /** The kubeconfig's context. */
  readonly context: string;
  readonly server: string;
  /** The context's namespace. */
  readonly namespace: string;
  /** A JSON answer. Tried again where that can do no harm. @throws KubeFault */
  request(request: ApiRequest): Promise<unknown>;
  /** Any answer as it is, refusals too; the body cut after 4 KiB. For what the API server only passes on. @throws KubeFault without an answer */
  answer(request: ApiRequest): Promise<{ readonly status: number; readonly text: string }>;
  /** The answer's body as it comes: watches and logs. No time limit. @throws KubeFault */
  stream(request: ApiRequest): Promise<AsyncIterable<Buffer>>;
  /** How a kind is served. Remembered. @throws KubeFault kube/unknown-kind */
  resource(kind: Kind): Promise<Resource>;
  /** Forgets what discovery learned: after a CustomResourceDefinition was applied. */
  forgetResources(): void;
  close(): void;
}
