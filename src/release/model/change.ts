import type { Placement, Rollout, RolloutState, Time } from './types.ts';

export function emptyPlacement(service: Placement['service'], environment: string): Placement {
  return { service, environment, rollouts: [], holds: [] };
}

export function findRollout({ rollouts }: Placement, id: string): Rollout | undefined {
  return rollouts.find((rollout) => rollout.id === id);
}

/** Puts a rollout into another state. Its steps never go back in time, also where clocks of two machines differ. */
export function enter(rollout: Rollout, state: RolloutState, at: Time, why?: string): Rollout {
  const last = rollout.steps.at(-1)?.at ?? at;
  const { stage } = rollout;
  const step = {
    state,
    at: Math.max(at, last),
    ...(stage !== undefined && { stage }),
    ...(why !== undefined && { why }),
  };
  return { ...rollout, state, steps: [...rollout.steps, step] };
}

export function replace(placement: Placement, rollout: Rollout): Placement {
  return { ...placement, rollouts: placement.rollouts.map((each) => (each.id === rollout.id ? rollout : each)) };
}

/** Changes all rollouts that `applies` to. */
export function replaceAll(
  placement: Placement,
  applies: (rollout: Rollout) => boolean,
  change: (rollout: Rollout) => Rollout,
): Placement {
  return { ...placement, rollouts: placement.rollouts.map((each) => (applies(each) ? change(each) : each)) };
}
