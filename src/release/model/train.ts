import type { Label } from '../../graph/index.ts';
import { findRollout } from './change.ts';
import { healthyRelease } from './promotion.ts';
import { hasEnded, isBeingRemoved, isRemoval, liveRollout } from './state.ts';
import type { Placement, ReleaseRef } from './types.ts';

/** Several services that go into an environment together, each after those that it needs. */
export interface Train {
  readonly id: string;
  readonly cars: readonly Car[];
}

export interface Car {
  readonly service: Label;
  readonly release: ReleaseRef;
  /** Services of this train that have to be healthy before. */
  readonly after: readonly Label[];
}

export interface TrainPlan {
  readonly cars: readonly Car[];
  /** Services that stay, with the reason. */
  readonly stay: readonly { readonly service: Label; readonly why: string }[];
  /** Services that need each other in a circle; they go at the same time. */
  readonly circles: readonly (readonly Label[])[];
}

/**
 * Everything that is healthy upstream and is not what the environment serves, in dependency order.
 *
 * @param needs services that one needs, also through others that stay
 */
export function planTrain(
  upstream: readonly Placement[],
  environment: ReadonlyMap<Label, Placement>,
  needs: (service: Label) => readonly Label[],
): TrainPlan {
  const stay: { service: Label; why: string }[] = [];
  const going = new Map<Label, ReleaseRef>();
  for (const placement of upstream) {
    const { service } = placement;
    const release = healthyRelease(placement);
    const there = environment.get(service);
    const why =
      release === undefined
        ? `it is not healthy in ${placement.environment}`
        : there && healthyRelease(there)?.id === release.id
          ? 'it is there already'
          : there && isOut(there)
            ? `it was removed from ${there.environment}`
            : undefined;
    if (why !== undefined || release === undefined) stay.push({ service, why: why ?? '' });
    else going.set(service, release);
  }
  const reach = (service: Label) => reachable(service, needs);
  const reached = new Map([...going.keys()].map((service) => [service, reach(service)]));
  const mutual = (a: Label, b: Label) => reached.get(a)?.has(b) === true && reached.get(b)?.has(a) === true;
  const services = [...going.keys()].sort();
  const cars = services.map(
    (service): Car => ({
      service,
      release: going.get(service)!,
      after: services.filter(
        (other) => other !== service && reached.get(service)?.has(other) === true && !mutual(service, other),
      ),
    }),
  );
  const circles = services.flatMap((service) => {
    const circle = services.filter((other) => other === service || mutual(service, other));
    return circle.length > 1 && circle[0] === service ? [circle] : [];
  });
  return { cars: inOrder(cars), stay, circles };
}

/** It was taken out, or is to be: a person brings it in again by itself, and no train. */
function isOut(placement: Placement): boolean {
  const live = liveRollout(placement);
  return isBeingRemoved(placement) || (live !== undefined && isRemoval(live));
}

function reachable(service: Label, needs: (service: Label) => readonly Label[]): ReadonlySet<Label> {
  const seen = new Set<Label>();
  const open = [...needs(service)];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    open.push(...needs(next));
  }
  return seen;
}

/** `after` holds all that come before, not only the nearest: their number is an order. */
function inOrder(cars: readonly Car[]): readonly Car[] {
  return cars.toSorted((a, b) => a.after.length - b.after.length || (a.service < b.service ? -1 : 1));
}

export type CarState = 'waits' | 'goes' | 'arrived' | 'failed' | 'stays';

/** Id of a car's rollout: the same however often the train is looked at. */
export function carRollout({ id }: Pick<Train, 'id'>, { service }: Pick<Car, 'service'>): string {
  return `${id}:${service}`;
}

/**
 * How a train is. A car whose rollout fails keeps those behind it where they are, and no others.
 *
 * @returns the cars that may be asked for now, and how each is
 */
export function lookAtTrain(
  train: Train,
  placements: ReadonlyMap<Label, Placement>,
): { readonly start: readonly Car[]; readonly states: ReadonlyMap<Label, CarState>; readonly ended: boolean } {
  const states = new Map<Label, CarState>();
  const start: Car[] = [];
  for (const car of inOrder(train.cars)) {
    const own = ownState(train, car, placements.get(car.service));
    const before = car.after.map((service) => states.get(service));
    if (own !== undefined) states.set(car.service, own);
    else if (before.some((state) => state === 'failed' || state === 'stays')) states.set(car.service, 'stays');
    else {
      states.set(car.service, 'waits');
      if (before.every((state) => state === 'arrived')) start.push(car);
    }
  }
  const ended = [...states.values()].every((state) => state !== 'waits' && state !== 'goes');
  return { start, states, ended };
}

/** Undefined where it has not been asked for. */
function ownState(train: Train, car: Car, placement: Placement | undefined): CarState | undefined {
  if (placement === undefined) return undefined;
  const rollout = findRollout(placement, carRollout(train, car));
  if (rollout === undefined) {
    const live = liveRollout(placement);
    if (live?.state === 'healthy' && live.release.id === car.release.id) return 'arrived';
    return isOut(placement) ? 'stays' : undefined;
  }
  if (!hasEnded(rollout)) return 'goes';
  // A newer release that took over and serves is as good as the one that was to come.
  if (rollout.state === 'superseded') {
    const live = liveRollout(placement);
    if (live === undefined || live.release.order < car.release.order) return 'failed';
    return live.state === 'healthy' ? 'arrived' : hasEnded(live) ? 'failed' : 'goes';
  }
  return rollout.state === 'healthy' ? 'arrived' : 'failed';
}
