import type { Label, StepForm } from '../../graph/index.ts';

/** Milliseconds since the epoch. The core never looks at a clock: every time comes in from outside. */
export type Time = number;

/**
 * Where a rollout is. It waits (planned, gated), changes objects (applying, progressing, verifying), or has ended.
 * `rolled-back` is said of one that had ended as healthy or failed, once the environment has been brought back from it.
 */
export type RolloutState =
  | 'planned'
  | 'gated'
  | 'applying'
  | 'progressing'
  | 'verifying'
  | 'healthy'
  | 'removed'
  | 'failed'
  | 'rolled-back'
  | 'superseded'
  | 'cancelled';

/**
 * - automatic: the environment takes what its upstream has found healthy
 * - promotion: a person asked for the release
 * - rollback: a person asked for an earlier release
 * - return: the core itself goes back, since a rollout failed
 * - removal: a person asked for the service to be taken out; its release is the one that was there
 */
export type RolloutKind = 'automatic' | 'promotion' | 'rollback' | 'return' | 'removal';

/** A release, as far as decisions need it. */
export interface ReleaseRef {
  /** SHA-256 of its content, in hex. */
  readonly id: string;
  /** Its place among the service's releases, in the order in which they were first made. */
  readonly order: number;
}

/** What an environment says of its rollouts. Kept with each: a change of banksman.yaml does not reach one under way. */
export interface Terms {
  /** Milliseconds that it may wait for its gates. */
  readonly patience: number;
  /** Milliseconds from its start until it must be healthy. */
  readonly deadline: number;
  /** After a failure: go back to the last healthy release and hold, or only hold. */
  readonly onFailure: 'return' | 'stop';
  /** Names of the gates that a return has to pass. */
  readonly returnGates: readonly string[];
  /** Shares of the replicas that a release goes through before it is applied whole; none where it is absent. */
  readonly stages?: readonly Stage[] | undefined;
}

/** One step of a progressive delivery: so many of the replicas run the new release, for so long. */
export type Stage = StepForm;

/** What is known of one gate at one time. A gate is what must hold before a rollout may start. */
export interface GateAnswer {
  /** Unique among an environment's gates. */
  readonly gate: string;
  /** Whether that which must hold does. */
  readonly holds: boolean;
  /** One line for a person. */
  readonly reason: string;
  /** Since when it is so; undefined where nobody knows. */
  readonly since?: Time | undefined;
  /** What would open it, where it does not hold. */
  readonly opens?: string | undefined;
  /** When it opens by itself, where it does. */
  readonly opensAt?: Time | undefined;
}

export interface Step {
  readonly state: RolloutState;
  readonly at: Time;
  /** Place of the stage that it was in; undefined where it is about the whole. */
  readonly stage?: number | undefined;
  readonly why?: string | undefined;
}

/** A release on its way into an environment. */
export interface Rollout extends ReleaseRequest {
  readonly state: RolloutState;
  /** When its present state ends at the latest. */
  readonly due: Time;
  /** Place among its terms' stages of the one that it is in, or ended in; undefined where all its objects were to be applied. */
  readonly stage?: number | undefined;
  /** Its place among those that started here; undefined before it does. */
  readonly started?: number | undefined;
  /** The release whose objects were there when it started. */
  readonly from?: string | undefined;
  /** The answers that it started with, or the newest ones while it waits. */
  readonly answers: readonly GateAnswer[];
  /** Every state it has been in. Only grows. */
  readonly steps: readonly Step[];
  /** What is to be known of it beside its states: what it deletes, what keeps it waiting. Only grows, up to a bound. */
  readonly notes?: readonly Note[] | undefined;
}

export interface Note {
  readonly at: Time;
  /** One line for a person. */
  readonly text: string;
}

export interface ReleaseRequest {
  /** Given by who asks, so that asking twice is asking once. */
  readonly id: string;
  readonly release: ReleaseRef;
  readonly kind: RolloutKind;
  /** Who asked; `banksman` for the core itself. */
  readonly by: string;
  readonly why?: string | undefined;
  /** Why it can't wait for the gates; undefined for all that can. */
  readonly emergency?: string | undefined;
  /** Names of the gates that it has to pass. */
  readonly gates: readonly string[];
  readonly terms: Terms;
  /** `traceparent` of what asked for it (W3C Trace Context): all that is done for it belongs there. */
  readonly trace?: string | undefined;
  /** Take over fields that others set. */
  readonly adopt?: boolean | undefined;
  /** Delete namespaces, volumes, their claims and definitions too where they left the manifests. */
  readonly deletesData?: boolean | undefined;
  /** Of a removal: namespaces, volumes, their claims and definitions that go too, each by its name: `PersistentVolumeClaim/data`. */
  readonly deletes?: readonly string[] | undefined;
  /** Of a removal: the service that takes its place, and has to be healthy here before. */
  readonly replacedBy?: Label | undefined;
}

/** A pause of automatic rollouts. */
export interface Hold {
  readonly id: string;
  readonly by: string;
  readonly why: string;
  readonly at: Time;
  /** Releases after this place pass it; all are held where it is absent. */
  readonly upTo?: number | undefined;
  /** When it ends by itself. */
  readonly until?: Time | undefined;
  readonly ended?: { readonly at: Time; readonly by: string; readonly why: string } | undefined;
}

/** A service in an environment, with all that ever happened to it there. */
export interface Placement {
  readonly service: Label;
  readonly environment: string;
  /** In the order in which they were asked for. Only grows. */
  readonly rollouts: readonly Rollout[];
  /** In the order in which they began. Only grows. */
  readonly holds: readonly Hold[];
}

/** What can happen. Each may be told twice, late, or after a kill: what does not fit changes nothing. */
export type Happening =
  | { readonly kind: 'plan'; readonly at: Time; readonly request: ReleaseRequest }
  | { readonly kind: 'gates'; readonly at: Time; readonly rollout: string; readonly answers: readonly GateAnswer[] }
  | { readonly kind: 'applied'; readonly at: Time; readonly rollout: string; readonly stage?: number | undefined }
  /** Every object is as kstatus calls current; gone, for a removal. After each stage it is verified, whatever `verifies` says of the whole. */
  | {
      readonly kind: 'ready';
      readonly at: Time;
      readonly rollout: string;
      readonly stage?: number | undefined;
      readonly verifies: boolean;
    }
  | { readonly kind: 'verified'; readonly at: Time; readonly rollout: string; readonly stage?: number | undefined }
  /** Something about a rollout that has not ended. */
  | { readonly kind: 'note'; readonly at: Time; readonly rollout: string; readonly text: string }
  | { readonly kind: 'failed'; readonly at: Time; readonly rollout: string; readonly why: string }
  | { readonly kind: 'cancel'; readonly at: Time; readonly rollout: string; readonly by: string; readonly why: string }
  | { readonly kind: 'hold'; readonly at: Time; readonly hold: Omit<Hold, 'at' | 'ended'> }
  | { readonly kind: 'lift'; readonly at: Time; readonly hold: string; readonly by: string; readonly why: string }
  | { readonly kind: 'tick'; readonly at: Time };

/** Why a happening changed nothing. */
export type Refusal =
  | 'known' // it was told before
  | 'unknown-rollout'
  | 'unknown-hold'
  | 'wrong-state' // or another stage
  | 'too-early' // the stage lasts longer
  | 'already-there' // the release is the one that is healthy now
  | 'not-there' // nothing to remove
  | 'older' // an automatic rollout never goes back
  | 'held'
  | 'gate-closed';

export interface Outcome {
  readonly placement: Placement;
  readonly refused?: Refusal | undefined;
}
