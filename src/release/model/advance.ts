import { pass, plan } from './begin.ts';
import { enter, findRollout, replace } from './change.ts';
import { giveUp, succeed } from './conclude.ts';
import { addHold, endHold, expireHolds } from './hold.ts';
import { afterStage, stageEnds } from './stage.ts';
import { hasEnded, isActive, isRemoval } from './state.ts';
import type { Happening, Note, Outcome, Placement, Rollout, RolloutState, Time } from './types.ts';

/**
 * What a placement becomes by what happened. Whatever is told twice changes nothing the second time, so that whoever was killed
 * between doing and writing does it again.
 */
export function advance(placement: Placement, happening: Happening): Outcome {
  const { at } = happening;
  switch (happening.kind) {
    case 'plan':
      return plan(placement, happening.request, at);
    case 'gates':
      return pass(placement, happening.rollout, happening.answers, at);
    case 'applied':
      return inStage(placement, happening, 'applying', (rollout) =>
        replace(placement, enter(rollout, 'progressing', at)),
      );
    case 'ready':
      return inStage(placement, happening, 'progressing', (rollout) =>
        !isRemoval(rollout) && (happening.verifies || rollout.stage !== undefined)
          ? replace(placement, enter(rollout, 'verifying', at))
          : succeed(placement, rollout, at),
      );
    case 'verified': {
      const ends = stageEnds(findRollout(placement, happening.rollout));
      if (ends !== undefined && happening.stage !== undefined && at < ends) return { placement, refused: 'too-early' };
      return inStage(placement, happening, 'verifying', (rollout) =>
        rollout.stage === undefined
          ? succeed(placement, rollout, at)
          : replace(placement, afterStage(rollout, rollout.stage, at)),
      );
    }
    case 'failed':
      return when(placement, happening.rollout, ['applying', 'progressing', 'verifying'], (rollout) =>
        giveUp(placement, rollout, 'failed', at, happening.why),
      );
    case 'note':
      return note(placement, happening.rollout, { at, text: happening.text });
    case 'cancel': {
      const why = `${happening.why} (${happening.by})`;
      return unlessEnded(placement, happening.rollout, (rollout) => {
        const ended = giveUp(placement, rollout, 'cancelled', at, why);
        if (rollout.kind !== 'automatic') return ended;
        // Or it would be asked for again at once.
        const { order: upTo } = rollout.release;
        return addHold(ended, { id: `${rollout.id}-hold`, by: happening.by, why: happening.why, at, upTo });
      });
    }
    case 'hold': {
      const { hold } = happening;
      if (placement.holds.some(({ id }) => id === hold.id)) return { placement, refused: 'known' };
      return { placement: addHold(placement, { ...hold, at }) };
    }
    case 'lift': {
      const hold = placement.holds.find(({ id }) => id === happening.hold);
      if (hold === undefined) return { placement, refused: 'unknown-hold' };
      if (hold.ended !== undefined) return { placement, refused: 'known' };
      return { placement: endHold(placement, hold.id, { at, by: happening.by, why: happening.why }) };
    }
    case 'tick':
      return { placement: tick(placement, at) };
  }
}

/** Time passes: what is overdue ends. */
function tick(placement: Placement, now: Time): Placement {
  let next = expireHolds(placement, now);
  for (const { id } of placement.rollouts) {
    const rollout = findRollout(next, id);
    if (rollout === undefined || hasEnded(rollout) || now < rollout.due) continue;
    next = isActive(rollout)
      ? giveUp(next, rollout, 'failed', now, `not healthy within ${seconds(rollout.terms.deadline)}`)
      : giveUp(next, rollout, 'cancelled', now, `its gates did not open within ${seconds(rollout.terms.patience)}`);
  }
  return next;
}

/** Notes that a rollout has at most: one that tries again for hours says so many things, and no more. */
const maximumNotes = 50;

function note(placement: Placement, id: string, said: Note): Outcome {
  return unlessEnded(placement, id, (rollout) => {
    const { notes = [] } = rollout;
    if (notes.at(-1)?.text === said.text || notes.length >= maximumNotes) return placement;
    return replace(placement, { ...rollout, notes: [...notes, said] });
  });
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`;
}

function when(
  placement: Placement,
  id: string,
  states: readonly RolloutState[],
  change: (rollout: Rollout) => Placement,
): Outcome {
  const rollout = findRollout(placement, id);
  if (rollout === undefined) return { placement, refused: 'unknown-rollout' };
  if (!states.includes(rollout.state)) return { placement, refused: 'wrong-state' };
  return { placement: change(rollout) };
}

/** The same state comes again in each stage: what is told late of an earlier one does not fit. */
function inStage(
  placement: Placement,
  { rollout: id, stage }: { readonly rollout: string; readonly stage?: number | undefined },
  state: RolloutState,
  change: (rollout: Rollout) => Placement,
): Outcome {
  const rollout = findRollout(placement, id);
  if (rollout !== undefined && rollout.stage !== stage) return { placement, refused: 'wrong-state' };
  return when(placement, id, [state], change);
}

function unlessEnded(placement: Placement, id: string, change: (rollout: Rollout) => Placement): Outcome {
  const rollout = findRollout(placement, id);
  if (rollout === undefined) return { placement, refused: 'unknown-rollout' };
  if (hasEnded(rollout)) return { placement, refused: 'wrong-state' };
  return { placement: change(rollout) };
}
