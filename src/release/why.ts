import type { Environment, Label } from '../graph/index.ts';
import {
  answerGates,
  askPrometheus,
  type Emergency,
  type EmergencyReview,
  type GateFacts,
  type MetricSample,
  requiredGates,
} from './gates/index.ts';
import {
  type GateAnswer,
  type Placement,
  presentRollout,
  type ReleaseRef,
  type Rollout,
  type RolloutKind,
} from './model/index.ts';
import { type KnownRelease, type PlacementStore, testProofs } from './placement/index.ts';

/** Whose gates are looked at: a release on its way, or one that somebody thinks of. */
export interface Candidate {
  readonly release: ReleaseRef;
  readonly kind: RolloutKind;
  readonly requestedBy: string;
  readonly emergency?: string | undefined;
  /** Id of a rollout that was asked for. */
  readonly rollout?: string | undefined;
  /** Of a removal: what takes the place of the service. */
  readonly replacedBy?: Label | undefined;
  /** Gates that it has to pass; those of the environment unless told. */
  readonly gates?: readonly string[] | undefined;
}

/**
 * How each gate stands between a release and an environment, from what the store knows, and what Prometheus and
 * the registry say.
 *
 * @param now milliseconds since the epoch
 */
export async function answersFor(
  store: PlacementStore,
  service: Label,
  environment: Environment,
  candidate: Candidate,
  now: number,
  signal?: AbortSignal,
): Promise<readonly GateAnswer[]> {
  const gates = environment.gates ?? [];
  const required = candidate.gates ?? requiredGates(gates, candidate.kind, candidate.emergency);
  // Where nothing is asked for, nothing has to be known.
  if (required.length === 0) return [];
  const removes = candidate.kind === 'removal';
  const [placement, upstream, releases, approvals, reports, reviews, replacement] = await Promise.all([
    store.read(service, environment.name),
    environment.after === undefined ? undefined : store.read(service, environment.after),
    store.releases(service),
    store.approvals(service, environment.name),
    store.testReports(candidate.release.id),
    store.emergencyReviews(service, environment.name),
    candidate.replacedBy === undefined ? undefined : store.read(candidate.replacedBy, environment.name),
  ]);
  const known = releases.find(({ id }) => id === candidate.release.id);
  const asksProvenance = gates.some(({ kind, name }) => kind === 'provenance' && required.includes(name));
  const provenance =
    asksProvenance && known !== undefined ? await store.provenance(environment, known, now, signal) : undefined;
  const metrics = new Map<string, MetricSample>();
  await Promise.all(
    gates.map(async (gate) => {
      if (gate.kind !== 'metric' || !required.includes(gate.name)) return;
      metrics.set(gate.name, await askPrometheus({ ...gate, signal }, now));
    }),
  );
  const facts: GateFacts = {
    now,
    release: candidate.release,
    kind: candidate.kind,
    // Who asks for a removal is its author: nothing else is brought in by it.
    authors: removes
      ? [candidate.requestedBy]
      : authorsBetween(releases, presentRollout(placement)?.release, candidate.release),
    requestedBy: candidate.requestedBy,
    upstream,
    tests: testProofs(reports),
    // A word on a removal is none on the release that goes, and the other way round.
    approvals: approvals.filter(({ rollout }) => rollout === (removes ? candidate.rollout : undefined)),
    replacement,
    metrics,
    provenance,
    emergency: candidate.emergency,
    emergencies: emergenciesOf(placement, reviews),
  };
  return answerGates(gates, required, facts);
}

/** Who wrote what a release brings in: the authors of all releases after the one that is there. Undefined where one is not known. */
function authorsBetween(
  releases: readonly KnownRelease[],
  live: ReleaseRef | undefined,
  release: ReleaseRef,
): readonly string[] | undefined {
  const brought = releases.filter(({ order }) => order <= release.order && order > (live?.order ?? 0));
  const own = releases.find(({ id }) => id === release.id);
  if (own === undefined) return undefined;
  return [...new Set([own, ...brought].flatMap(({ authors }) => authors))];
}

/** Rollouts that went past the gates, each with what a second person said of it. */
export function emergenciesOf({ rollouts }: Placement, reviews: readonly EmergencyReview[]): readonly Emergency[] {
  return rollouts.flatMap((rollout: Rollout) => {
    const startedAt = rollout.steps.find(({ state }) => state === 'applying')?.at;
    if (rollout.emergency === undefined || startedAt === undefined) return [];
    const review = reviews.find((each) => each.rollout === rollout.id);
    return [{ rollout: rollout.id, by: rollout.by, why: rollout.emergency, startedAt, ...(review && { review }) }];
  });
}
