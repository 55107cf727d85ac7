import { enter } from './change.ts';
import { baseRollout, goesBack, isRemoval } from './state.ts';
import type { Placement, Rollout, Stage, Time } from './types.ts';

/** The stage that a rollout is in; undefined where all its objects are to be applied. */
export function stageOf({ stage, terms }: Pick<Rollout, 'stage' | 'terms'>): Stage | undefined {
  return stage === undefined ? undefined : terms.stages?.[stage];
}

/** When the stage that is being watched is over. */
export function stageEnds(rollout: Rollout | undefined): Time | undefined {
  const stage = rollout?.state === 'verifying' ? stageOf(rollout) : undefined;
  const since = rollout?.steps.at(-1)?.at;
  return stage === undefined || since === undefined ? undefined : since + stage.lasts;
}

/**
 * The stage that a rollout begins with. Ways back, removals and emergencies are applied whole: they may not wait. So is what comes where
 * nothing healthy serves, since there is nothing that could take the other share.
 */
export function firstStage(placement: Placement, rollout: Rollout): number | undefined {
  if (goesBack(rollout) || isRemoval(rollout) || rollout.emergency !== undefined) return undefined;
  if (rollout.terms.stages === undefined || rollout.terms.stages.length === 0) return undefined;
  return servesWell(placement, Number.POSITIVE_INFINITY) ? 0 : undefined;
}

function servesWell(placement: Placement, before: number): boolean {
  const base = baseRollout(placement, before);
  if (base?.state !== 'superseded' || !goesBack(base) || base.started === undefined) return base?.state === 'healthy';
  // A way back from a stage that was overtaken: it went to what served all the time.
  const earlier = baseRollout(placement, base.started);
  return earlier?.release.id === base.release.id && servesWell(placement, base.started);
}

/** @param stage undefined for the whole */
export function enterStage(rollout: Rollout, stage: number | undefined, at: Time): Rollout {
  const { stage: _, ...rest } = rollout;
  const next: Rollout = stage === undefined ? rest : { ...rest, stage };
  return { ...enter(next, 'applying', at), due: at + rollout.terms.deadline + (stageOf(next)?.lasts ?? 0) };
}

/** A stage was passed: the next one begins, or the whole. */
export function afterStage(rollout: Rollout, passed: number, at: Time): Rollout {
  const next = passed + 1 < (rollout.terms.stages?.length ?? 0) ? passed + 1 : undefined;
  return enterStage(rollout, next, at);
}
