import type { Placement, ReleaseRef, RolloutKind, Time } from '../model/index.ts';

/** All that gates are judged by. Gathered outside; what is missing is never taken for good. */
export interface GateFacts {
  readonly now: Time;
  readonly release: ReleaseRef;
  readonly kind: RolloutKind;
  /** Who wrote what the release would bring into the environment; undefined where nobody knows. */
  readonly authors: readonly string[] | undefined;
  /** Who asked for the rollout; `banksman` where the environment takes it by itself. */
  readonly requestedBy: string;
  /** The service in the environment before this one. */
  readonly upstream?: Placement | undefined;
  readonly tests: readonly TestProof[];
  readonly approvals: readonly Approval[];
  /** The newest sample of each metric gate, by its name. */
  readonly metrics: ReadonlyMap<string, MetricSample>;
  readonly provenance?: ProvenanceVerdict | undefined;
  /** Why it can't wait for the gates. */
  readonly emergency?: string | undefined;
  /** Of a removal: what takes the place of the service, in the same environment. */
  readonly replacement?: Placement | undefined;
  /** Emergencies of this service in this environment that were started. */
  readonly emergencies: readonly Emergency[];
}

/** A test target that was run against the sources of a release. */
export interface TestProof {
  /** Id of the release. */
  readonly release: string;
  readonly target: string;
  readonly passed: boolean;
  readonly at: Time;
}

/** What a person said of a release in an environment. The last word of each counts. */
export interface Approval {
  /** Id of the release. Words on another one say nothing of this. */
  readonly release: string;
  readonly by: string;
  /** Roles that the person had then. */
  readonly roles: readonly string[];
  readonly verdict: 'approves' | 'withdraws';
  readonly at: Time;
  /** The removal that the word is about; undefined where it is about bringing the release in. */
  readonly rollout?: string | undefined;
}

export interface MetricSample {
  readonly at: Time;
  /** One for each series; a scalar is one. */
  readonly result: { readonly values: readonly MetricValue[] } | { readonly error: string };
}

export interface MetricValue {
  /** `{job="gateway"}`; empty for a scalar. */
  readonly series: string;
  readonly value: number;
}

/** What the policy's check of the release's images and attestations said. */
export interface ProvenanceVerdict {
  readonly release: string;
  readonly policy: string;
  /** SHA-256 of the policy and its keys, in hex: an answer by another policy says nothing. */
  readonly policySum: string;
  readonly verified: boolean;
  readonly reason: string;
  /** Since when it is so. */
  readonly at: Time;
}

/** What a second person said afterwards of a rollout that went past the gates. */
export interface EmergencyReview {
  readonly rollout: string;
  readonly by: string;
  readonly at: Time;
  readonly why: string;
}

/** A rollout that went past the gates. */
export interface Emergency {
  readonly rollout: string;
  readonly by: string;
  readonly why: string;
  readonly startedAt: Time;
  /** The second person, afterwards. */
  readonly review?: Pick<EmergencyReview, 'by' | 'at'> | undefined;
}
