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
