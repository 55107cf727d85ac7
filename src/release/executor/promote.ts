import type { Environment } from '../../graph/index.ts';
import { requiredGates, termsOf } from '../gates/index.ts';
import {
  type GateAnswer,
  holdsOn,
  newestStarted,
  nextAutomatic,
  type Placement,
  provenReleases,
  type ReleaseRef,
  type ReleaseRequest,
  type Time,
} from '../model/index.ts';
import type { PlacementStore } from '../placement/index.ts';
import { answersFor } from '../why.ts';

/** Releases whose gates are looked at before the newest is asked for to wait. */
const lookedAt = 20;

export interface Wish {
  /** What the environment asks for by itself now. */
  readonly request?: ReleaseRequest | undefined;
  /** When it may ask for something else: a gate of an earlier release opens then. */
  readonly again?: Time | undefined;
}

/**
 * What an automatic environment takes next: the newest release that has proven itself upstream and whose gates are open, else the newest,
 * to wait for them. An environment that follows none takes what was made.
 */
export async function wishOf(
  store: PlacementStore,
  environment: Environment,
  placement: Placement,
  now: Time,
  signal: AbortSignal,
): Promise<Wish> {
  if (environment.automatic !== true) return {};
  const { service } = placement;
  const { after, gates = [] } = environment;
  const candidates =
    after === undefined ? await store.releases(service) : provenReleases(await store.read(service, after));
  const newest = newestStarted(placement);
  const eligible = candidates
    .filter(({ order }) => order > newest && holdsOn(placement, order, now).length === 0)
    .toSorted((a, b) => b.order - a.order);
  if (eligible.length === 0) return {};
  const required = requiredGates(gates, 'automatic', undefined);
  const open = new Set<string>();
  let again: Time | undefined;
  for (const release of required.length === 0 ? [] : eligible.slice(0, lookedAt)) {
    const candidate = { release, kind: 'automatic', requestedBy: 'banksman' } as const;
    const answers = await answersFor(store, service, environment, candidate, now, signal);
    if (answers.every(({ holds }) => holds)) {
      open.add(release.id);
      break;
    }
    const opens = opensAt(answers);
    if (opens !== undefined) again = Math.min(opens, again ?? opens);
  }
  const next = nextAutomatic(placement, candidates, ({ id }) => required.length === 0 || open.has(id), now);
  return { request: next && requestFor(environment, placement, next), again };
}

/** When all gates of a release are open by themselves, where they all say so. */
function opensAt(answers: readonly GateAnswer[]): Time | undefined {
  const shut = answers.filter(({ holds }) => !holds).map((answer) => answer.opensAt);
  const times = shut.filter((time) => time !== undefined);
  return times.length === shut.length && times.length > 0 ? Math.max(...times) : undefined;
}

function requestFor(
  environment: Environment,
  { service, rollouts }: Placement,
  { id, order }: ReleaseRef,
): ReleaseRequest {
  const { after } = environment;
  return {
    // The same however often it is asked for before anything else has happened.
    id: `automatic-${order}-${rollouts.length}`,
    release: { id, order },
    kind: 'automatic',
    by: 'banksman',
    why: after === undefined ? 'it was released' : `it is healthy in ${after}`,
    gates: requiredGates(environment.gates ?? [], 'automatic', undefined),
    terms: termsOf(environment, service),
  };
}
