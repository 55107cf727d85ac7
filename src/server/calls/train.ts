import { randomUUID } from 'node:crypto';
import type { Environment, Label } from '../../graph/index.ts';
import { type KnownTrain, listNeeds, listPlacements, model, type ReleaseKind } from '../../release/index.ts';
import { actorOf, environmentIn, textIn } from '../asked.ts';
import { requireRight } from '../authorization.ts';
import type { Call, Context } from '../call.ts';
import { ServerFault } from '../fault.ts';
import { labelsIn } from './list.ts';

/** Services of one list that a train looks at, at most. */
const most = 20_000;

/** Several services that go into an environment together, in the order in which they need each other. */
export const trainCalls: readonly Call[] = [
  {
    method: 'GET',
    path: '/v1/environments/{environment}/train',
    summary: 'What a train would take along now, in its order, and what stays and why',
    action: 'placement.read',
    gives: 'trainPlan',
    query: ['match', 'kind'],
    async answer(context, request) {
      const { match, kind } = request.query;
      const { plan } = await planOf(context, environmentIn(context, request), match, kind);
      return planView(plan);
    },
  },
  {
    method: 'POST',
    path: '/v1/environments/{environment}/trains',
    summary: 'Send a train: all that is healthy in the environment before, or those of it that match',
    action: 'train.start',
    takes: 'startTrain',
    gives: 'train',
    status: 202,
    async answer(context, request) {
      const environment = environmentIn(context, request);
      const { plan, kind } = await planOf(context, environment, textIn(request, 'match'), textIn(request, 'kind'));
      // A train asks for nothing that its sender could not ask for alone.
      for (const { service } of plan.cars) requireRight(request.person, 'rollout.promote', { service, kind });
      const id = request.key ?? randomUUID();
      const known = await context.store.train(id);
      if (known === undefined && plan.cars.length === 0) {
        throw new ServerFault('server/refused', `nothing has to go into ${environment.name}`, {
          notes: plan.stay.slice(0, 20).map(({ service, why }) => `${service}: ${why}`),
          next: `see what would go: GET /v1/environments/${environment.name}/train`,
        });
      }
      const why = textIn(request, 'why');
      const train = {
        id,
        // The same call made twice is one, whatever became healthy in between.
        cars: known?.cars ?? plan.cars,
        environment: environment.name,
        by: request.person.name,
        ...(why !== undefined && { why }),
        startedAt: context.now(),
      };
      return await trainView(context, await context.store.startTrain(train, actorOf(request)));
    },
  },
  {
    method: 'GET',
    path: '/v1/environments/{environment}/trains',
    summary: 'Trains into an environment, the newest first',
    action: 'placement.read',
    gives: 'trains',
    query: ['open'],
    async answer(context, request) {
      const { name: environment } = environmentIn(context, request);
      const trains = await context.store.trains({ environment, open: request.query.open === 'true' });
      return await Promise.all(trains.slice(0, 50).map((train) => trainView(context, train)));
    },
  },
  {
    method: 'GET',
    path: '/v1/trains/{train}',
    summary: 'A train, and where each of its cars is',
    action: 'placement.read',
    gives: 'train',
    async answer(context, request) {
      const { train: id = '' } = request.parameters;
      const train = await context.store.train(id);
      if (train !== undefined) return await trainView(context, train);
      throw new ServerFault('server/unknown-train', `there is no train ${id}`, {
        next: 'see all: GET /v1/environments/ENV/trains',
      });
    },
  },
];

async function planOf(
  { database, store }: Context,
  environment: Environment,
  match: string | undefined,
  kindText: string | undefined,
): Promise<{ readonly plan: model.TrainPlan; readonly kind: ReleaseKind }> {
  const { name, after } = environment;
  if (after === undefined) {
    throw new ServerFault('server/refused', `${name} takes its releases from no other environment`, {
      next: 'say after: ENV for it in banksman.yaml, or promote services one by one',
    });
  }
  if (kindText !== undefined && kindText !== 'service' && kindText !== 'infrastructure') {
    throw new ServerFault('server/bad-request', `kind is service or infrastructure, not ${JSON.stringify(kindText)}`);
  }
  const kind = kindText ?? 'service';
  const labels = match === undefined ? undefined : labelsIn(match);
  const found = await listPlacements(database, after, { limit: most, kind, ...(labels !== undefined && { labels }) });
  const services = found.map(({ service }) => service);
  const [upstream, there, needs] = await Promise.all([
    store.readMany(after, services),
    store.readMany(name, services),
    listNeeds(database),
  ]);
  const known = services.map((service) => upstream.get(service) ?? model.emptyPlacement(service, after));
  return { plan: model.planTrain(known, there, (service) => needs.get(service) ?? []), kind };
}

function planView({ cars, stay, circles }: model.TrainPlan) {
  return { cars: cars.map(carView), stay, circles };
}

function carView({ service, release, after }: model.Car) {
  return { service, release: { id: release.id, order: release.order }, after };
}

async function trainView({ store }: Context, train: KnownTrain) {
  const { id, cars, environment, by, why, startedAt, endedAt } = train;
  const labels: Label[] = cars.map(({ service }) => service);
  const { states } = model.lookAtTrain(train, await store.readMany(environment, labels));
  return {
    id,
    environment,
    by,
    ...(why !== undefined && { why }),
    startedAt: new Date(startedAt).toISOString(),
    ...(endedAt !== undefined && { endedAt: new Date(endedAt).toISOString() }),
    cars: cars.map((car) => ({ ...carView(car), state: states.get(car.service) ?? 'waits' })),
  };
}
