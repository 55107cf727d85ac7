import type { Environment, Label } from '../../graph/index.ts';
import { requiredGates, termsOf } from '../gates/index.ts';
import { type CarState, carRollout, lookAtTrain, type ReleaseRequest } from '../model/index.ts';
import type { KnownTrain, PlacementStore } from '../placement/index.ts';

/** What a train asks for now. */
export interface TrainLook {
  readonly requests: readonly { readonly service: Label; readonly request: ReleaseRequest }[];
  readonly states: ReadonlyMap<Label, CarState>;
  readonly ended: boolean;
}

/** Looks where the cars of a train are. */
export async function lookAt(store: PlacementStore, environment: Environment, train: KnownTrain): Promise<TrainLook> {
  const placements = await store.readMany(
    environment.name,
    train.cars.map(({ service }) => service),
  );
  const { start, states, ended } = lookAtTrain(train, placements);
  const requests = start.map(({ service, release }) => ({
    service,
    request: {
      id: carRollout(train, { service }),
      release: { id: release.id, order: release.order },
      kind: 'promotion' as const,
      by: train.by,
      why: train.why === undefined ? `train ${train.id}` : `train ${train.id}: ${train.why}`,
      gates: requiredGates(environment.gates ?? [], 'promotion', undefined),
      terms: termsOf(environment, service),
    },
  }));
  return { requests, states, ended };
}

/** How each car is, for the record. */
export function statesOf(states: ReadonlyMap<Label, CarState>): Record<string, string> {
  return Object.fromEntries([...states].sort(([a], [b]) => (a < b ? -1 : 1)));
}
