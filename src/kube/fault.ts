import { Fault, type FaultDetails } from '../fault/index.ts';

export type KubeFaultCode =
  | 'kube/no-kubeconfig'
  | 'kube/bad-kubeconfig'
  | 'kube/unknown-context'
  | 'kube/unreachable'
  | 'kube/untrusted'
  | 'kube/unauthorized'
  | 'kube/forbidden'
  | 'kube/not-found'
  | 'kube/already-exists'
  | 'kube/conflict'
  | 'kube/changed'
  | 'kube/invalid'
  | 'kube/unknown-kind'
  | 'kube/throttled'
  | 'kube/gone'
  | 'kube/timed-out'
  | 'kube/server-error'
  | 'kube/bad-answer';

/** A field of an object that the API server takes exception to. */
export interface FieldCause {
  /** `['spec', 'replicas']`; an entry of a list by its index, or by `[name="x"]` where the server names it so. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What can go wrong between here and a cluster. */
export class KubeFault extends Fault<KubeFaultCode> {
  /** For kube/invalid and kube/conflict: the fields, so that the caller can show where they are written. */
  readonly fields: readonly FieldCause[];
  /** For kube/throttled and kube/server-error: seconds after which the server asks to be tried again. */
  readonly retryAfter: number | undefined;

  constructor(
    code: KubeFaultCode,
    message: string,
    details: FaultDetails & { readonly fields?: readonly FieldCause[]; readonly retryAfter?: number | undefined } = {},
  ) {
    super(code, message, details);
    this.fields = details.fields ?? [];
    this.retryAfter = details.retryAfter;
  }
}

export function isKubeFault(value: unknown, ...codes: readonly KubeFaultCode[]): value is KubeFault {
  return value instanceof KubeFault && (codes.length === 0 || codes.includes(value.code));
}
