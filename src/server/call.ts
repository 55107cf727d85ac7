import type { Database } from '../database/index.ts';
import type { Environment } from '../graph/index.ts';
import type { Clusters, EvidenceSources, PlacementStore, ReleaseContent } from '../release/index.ts';
import type { Action, Person } from './authorization.ts';
import type { SchemaName } from './schemas.ts';
import type { SignIn } from './sign-in.ts';
import type { Tokens } from './tokens.ts';
import type { Webhooks } from './webhooks/store.ts';

/** What the calls work on. */
export interface Context extends EvidenceSources {
  readonly database: Database;
  readonly store: PlacementStore;
  readonly tokens: Tokens;
  /** How it is known who calls: by the first of them that knows. */
  readonly signIns: readonly SignIn[];
  readonly webhooks: Webhooks;
  readonly environments: ReadonlyMap<string, Environment>;
  /** A release out of a registry, checked against its name. */
  readonly fetchRelease: (reference: string, signal: AbortSignal) => Promise<ReleaseContent>;
  /** How the environments' clusters are reached; absent where the server reaches none. */
  readonly clusters?: Clusters | undefined;
  readonly now: () => number;
}

export interface Request {
  readonly person: Person;
  readonly source: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
  /** Header `Idempotency-Key`: the same call made twice is one. */
  readonly key: string | undefined;
  readonly signal: AbortSignal;
}

/** One call of the API: the routes, the document and the tests are made of this list. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** `/v1/environments/{environment}`; a service is its label, percent-encoded. */
  readonly path: string;
  readonly summary: string;
  readonly action: Action;
  readonly takes?: SchemaName;
  readonly gives: SchemaName;
  readonly query?: readonly string[];
  readonly status?: number;
  answer(context: Context, request: Request): Promise<unknown>;
}

/** Path of a service in an environment. */
export const place = '/v1/environments/{environment}/services/{service}';
