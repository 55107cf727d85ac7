import { setTimeout as sleep } from 'node:timers/promises';
import { model, type PlacementStore } from '../release/index.ts';

/** Milliseconds between two looks. */
const lookEvery = 100;

/**
 * Waits until no rollout goes on by itself: each has ended, or waits for a gate that is shut.
 *
 * @returns how many wait
 * @throws the signal's reason
 */
export async function untilAtRest(store: PlacementStore, signal: AbortSignal): Promise<number> {
  for (;;) {
    const placements = await Promise.all(
      (await store.open()).map(({ service, environment }) => store.read(service, environment)),
    );
    const open = placements.flatMap(({ rollouts }) => rollouts.filter((rollout) => !model.hasEnded(rollout)));
    if (open.every(isShutOut)) return open.length;
    await sleep(lookEvery, undefined, { signal });
  }
}

function isShutOut({ state, answers }: model.Rollout): boolean {
  return state === 'gated' && answers.some(({ holds }) => !holds);
}
