import type { Hold, Placement, Rollout, Time } from './types.ts';

/** Whether a hold is in force. */
export function isInForce({ ended, until }: Hold, now: Time): boolean {
  return ended === undefined && (until === undefined || now < until);
}

/** The holds in force that keep a release from being rolled out automatically. */
export function holdsOn({ holds }: Placement, order: number, now: Time): readonly Hold[] {
  return holds.filter((hold) => isInForce(hold, now) && (hold.upTo === undefined || order <= hold.upTo));
}

/** Only automatic rollouts are held: a person who asks for a release, and a return, go on. */
export function isHeld(placement: Placement, { kind, release }: Pick<Rollout, 'kind' | 'release'>, now: Time): boolean {
  return kind === 'automatic' && holdsOn(placement, release.order, now).length > 0;
}

/** Begins a hold; one with an id that is known is left as it is. */
export function addHold(placement: Placement, hold: Hold): Placement {
  if (placement.holds.some(({ id }) => id === hold.id)) return placement;
  return { ...placement, holds: [...placement.holds, hold] };
}

/** A release after those that a hold names has become healthy: what was wrong is over. */
export function endPassedHolds(placement: Placement, { release }: Rollout, at: Time): Placement {
  const holds = placement.holds.map((hold): Hold => {
    if (hold.ended !== undefined || hold.upTo === undefined || release.order <= hold.upTo) return hold;
    return { ...hold, ended: { at, by: 'banksman', why: `passed by release ${release.id.slice(0, 12)}` } };
  });
  return { ...placement, holds };
}

export function endHold(placement: Placement, id: string, ended: NonNullable<Hold['ended']>): Placement {
  return { ...placement, holds: placement.holds.map((hold) => (hold.id === id ? { ...hold, ended } : hold)) };
}

/** Holds whose time has passed are written down as ended. */
export function expireHolds(placement: Placement, now: Time): Placement {
  if (!placement.holds.some((hold) => hold.ended === undefined && !isInForce(hold, now))) return placement;
  const holds = placement.holds.map(
    (hold): Hold =>
      hold.ended === undefined && !isInForce(hold, now)
        ? { ...hold, ended: { at: hold.until ?? now, by: 'banksman', why: 'its time is over' } }
        : hold,
  );
  return { ...placement, holds };
}
