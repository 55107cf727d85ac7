import { type Api, itemsOf, queryText } from './api.ts';
import type { PlacementView } from './views/placements.ts';

export interface EnvironmentView {
  readonly name: string;
  readonly cluster: string;
  readonly namespace: string;
  readonly after?: string;
  readonly automatic: boolean;
  readonly gates: readonly string[];
}

/** The environments that the server knows. */
export async function environmentsOf(call: Api): Promise<readonly EnvironmentView[]> {
  return (await call('GET', '/v1/environments')) as readonly EnvironmentView[];
}

export interface PlacementQuery {
  readonly kind?: string | undefined;
  readonly owner?: string | undefined;
  readonly state?: string | undefined;
  readonly open?: boolean | undefined;
  readonly held?: true | undefined;
  readonly match?: string | undefined;
}

/** All services in an environment that a query finds, page after page. */
export async function placementsIn(call: Api, environment: string, query: PlacementQuery): Promise<PlacementView[]> {
  const path = `/v1/environments/${encodeURIComponent(environment)}/services${queryText({ ...query, limit: 500 })}`;
  const found: PlacementView[] = [];
  for await (const placement of itemsOf<PlacementView>(call, path)) found.push(placement);
  return found;
}

/** The same in one environment, or in each of them. */
export async function placementsAnywhere(
  call: Api,
  environment: string | undefined,
  query: PlacementQuery,
): Promise<{ readonly environment: string; readonly placements: readonly PlacementView[] }[]> {
  const names = environment === undefined ? (await environmentsOf(call)).map(({ name }) => name) : [environment];
  return await Promise.all(
    names.map(async (name) => ({ environment: name, placements: await placementsIn(call, name, query) })),
  );
}
