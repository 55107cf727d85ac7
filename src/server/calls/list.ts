import {
  type LabelFilter,
  labelFilterOf,
  listPlacements,
  listRollouts,
  listServices,
  model,
  type PlacementFilter,
  type ReleaseKind,
  type ServiceFilter,
} from '../../release/index.ts';
import { environmentIn, numberIn, serviceIn } from '../asked.ts';
import { type Call, place, type Request } from '../call.ts';
import { ServerFault } from '../fault.ts';
import { listedPlacementView, pastRolloutView, serviceView } from '../list-views.ts';
import { pageOf, sizeOf } from '../page.ts';

const serviceQuery = ['after', 'limit', 'kind', 'owner', 'match'] as const;

/** Lists, by pages. */
export const listCalls: readonly Call[] = [
  {
    method: 'GET',
    path: '/v1/services',
    summary: 'All services, with how each is in every environment; by pages, in the order of their labels',
    action: 'placement.read',
    gives: 'servicePage',
    query: serviceQuery,
    async answer({ database, now }, request) {
      const size = sizeOf(request);
      const found = await listServices(database, { ...serviceFilter(request), limit: size + 1 });
      const time = now();
      return pageOf(
        found,
        size,
        ({ placements, ...service }) => ({
          ...serviceView(service),
          environments: Object.fromEntries(
            [...placements].map(([name, each]) => [name, listedPlacementView(each, service.newest.order, time)]),
          ),
        }),
        ({ service }) => service,
      );
    },
  },
  {
    method: 'GET',
    path: '/v1/environments/{environment}/services',
    summary: 'What of each service runs in an environment, what is under way and what holds it; by pages',
    action: 'placement.read',
    gives: 'placementPage',
    query: [...serviceQuery, 'state', 'open', 'held'],
    async answer(context, request) {
      const { name } = environmentIn(context, request);
      const size = sizeOf(request);
      const time = context.now();
      const filter = { ...placementFilter(request, time), limit: size + 1 };
      const found = await listPlacements(context.database, name, filter);
      return pageOf(
        found,
        size,
        (each) => ({ ...serviceView(each), ...listedPlacementView(each, each.newest.order, time) }),
        ({ service }) => service,
      );
    },
  },
  {
    method: 'GET',
    path: `${place}/rollouts`,
    summary: 'Every rollout of a service in an environment, the newest first, with its commit; by pages',
    action: 'placement.read',
    gives: 'rolloutPage',
    query: ['before', 'limit'],
    async answer(context, request) {
      const { name } = environmentIn(context, request);
      const size = sizeOf(request);
      const { before } = request.query;
      const found = await listRollouts(context.database, serviceIn(request), name, {
        before: before === undefined ? undefined : Math.min(numberIn(before, 'before', 0), 2 ** 31 - 1),
        limit: size + 1,
      });
      return pageOf(found, size, pastRolloutView, ({ position }) => String(position));
    },
  },
];

function serviceFilter({ query }: Request): Omit<ServiceFilter, 'limit'> {
  const { after, owner, match } = query;
  const kind = oneOf(query.kind, 'kind', ['service', 'infrastructure'] as const);
  return {
    ...(after !== undefined && { after }),
    ...(owner !== undefined && { owner }),
    ...(kind !== undefined && { kind: kind satisfies ReleaseKind }),
    ...(match !== undefined && { labels: labelsIn(match) }),
  };
}

function placementFilter(request: Request, now: number): Omit<PlacementFilter, 'limit'> {
  const { query } = request;
  const states = ['absent', ...(Object.keys(model.transitions) as model.RolloutState[])] as const;
  const state = oneOf(query.state, 'state', states);
  const open = oneOf(query.open, 'open', ['true', 'false'] as const);
  const held = oneOf(query.held, 'held', ['true'] as const);
  return {
    ...serviceFilter(request),
    ...(state !== undefined && { state }),
    ...(open !== undefined && { open: open === 'true' }),
    ...(held !== undefined && { heldAt: now }),
  };
}

/** Patterns with spaces or commas between them. */
export function labelsIn(text: string): LabelFilter {
  const found = labelFilterOf(text.split(/[\s,]+/).filter((each) => each !== ''));
  if (found !== undefined) return found;
  throw new ServerFault('server/bad-request', `${JSON.stringify(text)} is no pattern of labels`, {
    next: 'write //bank/... or //bank/ledger, several with a comma between them',
  });
}

function oneOf<Word extends string>(text: string | undefined, name: string, words: readonly Word[]): Word | undefined {
  if (text === undefined) return undefined;
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  throw new ServerFault('server/bad-request', `${name} is not ${JSON.stringify(text)}`, {
    next: `choose one of ${words.join(', ')}`,
  });
}
