import { randomUUID } from 'node:crypto';
import { readEntries } from '../audit/index.ts';
import type { Database } from '../database/index.ts';
import { nearest } from '../fault/index.ts';
import type { Environment, Label } from '../graph/index.ts';
import {
  type Actor,
  answersFor,
  type KnownRelease,
  model,
  type PlacementStore,
  type ReleaseContent,
  requiredGates,
  termsOf,
} from '../release/index.ts';
import type { Action, Person, Role } from './authorization.ts';
import { ServerFault } from './fault.ts';
import type { SchemaName } from './schemas.ts';
import type { Tokens } from './tokens.ts';
import { answerView, holdView, placementView, releaseView, rolloutView } from './views.ts';

/** What the calls work on. */
export interface Context {
  readonly database: Database;
  readonly store: PlacementStore;
  readonly tokens: Tokens;
  readonly environments: ReadonlyMap<string, Environment>;
  /** A release out of a registry, checked against its name. */
  readonly fetchRelease: (reference: string, signal: AbortSignal) => Promise<ReleaseContent>;
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

const place = '/v1/environments/{environment}/services/{service}';

export const calls: readonly Call[] = [
  {
    method: 'GET',
    path: '/v1/environments',
    summary: 'All environments',
    action: 'placement.read',
    gives: 'environments',
    answer: async ({ environments }) =>
      [...environments.values()].map(({ name, cluster, namespace, after, automatic = false, gates = [] }) => {
        return {
          name,
          cluster,
          namespace,
          automatic,
          gates: gates.map((gate) => gate.name),
          ...(after !== undefined && { after }),
        };
      }),
  },
  {
    method: 'GET',
    path: place,
    summary: 'What is and was of a service in an environment',
    action: 'placement.read',
    gives: 'placement',
    async answer(context, request) {
      const placement = await placementOf(context, request);
      return placementView(placement, model.liveRollout(placement));
    },
  },
  {
    method: 'GET',
    path: `${place}/why`,
    summary: 'Why a release is not there yet: each gate, since when, and what would open it',
    action: 'placement.read',
    gives: 'why',
    query: ['release'],
    answer: why,
  },
  {
    method: 'POST',
    path: `${place}/promotions`,
    summary: 'Ask for a release in an environment',
    action: 'rollout.promote',
    takes: 'promote',
    gives: 'rollout',
    status: 202,
    answer: promote,
  },
  {
    method: 'POST',
    path: `${place}/rollbacks`,
    summary: 'Ask to go back: to the last good release, or to one that is named',
    action: 'rollout.rollback',
    takes: 'rollback',
    gives: 'rollout',
    status: 202,
    answer: rollback,
  },
  {
    method: 'POST',
    path: `${place}/rollouts/{rollout}/cancel`,
    summary: 'Cancel a rollout',
    action: 'rollout.cancel',
    takes: 'reason',
    gives: 'rollout',
    async answer(context, request) {
      const { rollout = '' } = request.parameters;
      const happening = {
        kind: 'cancel',
        rollout,
        by: request.person.name,
        why: textIn(request, 'why') ?? '',
      } as const;
      const { placement, refused } = await happen(context, request, happening);
      return rolloutView(rolloutIn(placement, rollout, refused));
    },
  },
  {
    method: 'POST',
    path: `${place}/approvals`,
    summary: 'Approve a release, or take that back',
    action: 'approval.give',
    takes: 'approve',
    gives: 'nothing',
    async answer(context, request) {
      const environment = environmentIn(context, request);
      const release = await releaseIn(context, request, textIn(request, 'release') ?? '');
      const { name, roles } = request.person;
      const verdict = request.body.withdraw === true ? ('withdraws' as const) : ('approves' as const);
      const approval = { release: release.id, by: name, roles, verdict, at: context.now() };
      await context.store.approve(serviceIn(request), environment.name, approval, actorOf(request));
      return {};
    },
  },
  {
    method: 'POST',
    path: `${place}/holds`,
    summary: 'Pause automatic rollouts',
    action: 'hold.begin',
    takes: 'beginHold',
    gives: 'hold',
    status: 201,
    async answer(context, request) {
      const id = request.key ?? randomUUID();
      const until = textIn(request, 'until');
      const hold = {
        id,
        by: request.person.name,
        why: textIn(request, 'why') ?? '',
        ...(until !== undefined && { until: Date.parse(until) }),
      };
      const { placement } = await happen(context, request, { kind: 'hold', hold });
      return holdView(placement.holds.find((each) => each.id === id) as model.Hold);
    },
  },
  {
    method: 'POST',
    path: `${place}/holds/{hold}/lift`,
    summary: 'Lift a hold',
    action: 'hold.end',
    takes: 'reason',
    gives: 'hold',
    async answer(context, request) {
      const { hold = '' } = request.parameters;
      const happening = { kind: 'lift', hold, by: request.person.name, why: textIn(request, 'why') ?? '' } as const;
      const { placement } = await happen(context, request, happening);
      const found = placement.holds.find((each) => each.id === hold);
      if (found === undefined) throw new ServerFault('server/refused', `there is no hold ${hold} here`);
      return holdView(found);
    },
  },
  {
    method: 'GET',
    path: '/v1/services/{service}/releases',
    summary: 'Releases of a service, the newest first',
    action: 'placement.read',
    gives: 'releases',
    answer: async ({ store }, request) => (await store.releases(serviceIn(request))).map(releaseView),
  },
  {
    method: 'POST',
    path: '/v1/services/{service}/releases',
    summary: 'Make a release of the registry known',
    action: 'release.add',
    takes: 'addRelease',
    gives: 'release',
    status: 201,
    answer: addRelease,
  },
  {
    method: 'GET',
    path: '/v1/audit',
    summary: 'Entries of the audit log, in their order, by pages',
    action: 'audit.read',
    gives: 'audit',
    query: ['after', 'subject', 'who', 'limit'],
    answer: async ({ database }, { query }) =>
      readEntries(database, {
        subject: query.subject,
        who: query.who,
        after: numberIn(query.after, 'after', 0),
        limit: Math.min(numberIn(query.limit, 'limit', 100), 1000),
      }),
  },
  {
    method: 'GET',
    path: '/v1/tokens',
    summary: 'All tokens, without what they are known by',
    action: 'token.read',
    gives: 'tokens',
    answer: ({ tokens }) => tokens.list(),
  },
  {
    method: 'POST',
    path: '/v1/tokens',
    summary: 'Make a token; it is shown this once',
    action: 'token.create',
    takes: 'createToken',
    gives: 'token',
    status: 201,
    async answer({ tokens, now }, request) {
      const { name, roles, services, expiresAt } = request.body;
      const wanted = { name: name as string, roles: roles as Role[], services: services as string[] };
      const asked = { ...wanted, expiresAt: Date.parse(expiresAt as string) };
      return await tokens.create(asked, actorOf(request), now());
    },
  },
  {
    method: 'DELETE',
    path: '/v1/tokens/{token}',
    summary: 'Revoke a token',
    action: 'token.revoke',
    gives: 'nothing',
    async answer({ tokens, now }, request) {
      await tokens.revoke(request.parameters.token ?? '', actorOf(request), now());
      return {};
    },
  },
];

async function why(context: Context, request: Request): Promise<unknown> {
  const environment = environmentIn(context, request);
  const service = serviceIn(request);
  const placement = await context.store.read(service, environment.name);
  const waiting = model.waitingRollouts(placement).at(-1);
  const named = request.query.release;
  const [newest] = await context.store.releases(service);
  const release = named !== undefined ? await releaseIn(context, request, named) : (waiting?.release ?? newest);
  if (release === undefined) return { answers: [], open: false, held: [] };
  const own = waiting?.release.id === release.id ? waiting : undefined;
  const now = context.now();
  const answers = await answersFor(
    context.store,
    service,
    environment,
    {
      release,
      kind: own?.kind ?? 'promotion',
      requestedBy: own?.by ?? request.person.name,
      emergency: own?.emergency,
      gates: own?.gates,
    },
    now,
    request.signal,
  );
  const held = model.holdsOn(placement, release.order, now);
  return {
    ...(own !== undefined && { rollout: rolloutView(own) }),
    release: { id: release.id, order: release.order },
    answers: answers.map(answerView),
    open: answers.every(({ holds }) => holds),
    held: held.map(holdView),
  };
}

async function promote(context: Context, request: Request): Promise<unknown> {
  const environment = environmentIn(context, request);
  const release = await releaseIn(context, request, textIn(request, 'release') ?? '');
  const emergency = textIn(request, 'emergency');
  return await plan(context, request, environment, {
    release,
    kind: 'promotion',
    ...(emergency !== undefined && { emergency }),
  });
}

async function rollback(context: Context, request: Request): Promise<unknown> {
  const environment = environmentIn(context, request);
  const placement = await placementOf(context, request);
  const named = textIn(request, 'release');
  const release = named === undefined ? model.lastGoodRelease(placement) : await releaseIn(context, request, named);
  if (release === undefined) {
    throw new ServerFault(
      'server/refused',
      `${placement.service} has no earlier release that was healthy in ${environment.name}`,
      {
        next: 'name a release',
      },
    );
  }
  return await plan(context, request, environment, { release, kind: 'rollback' });
}

async function plan(
  context: Context,
  request: Request,
  environment: Environment,
  wish: Pick<model.ReleaseRequest, 'kind' | 'release' | 'emergency'>,
): Promise<unknown> {
  const id = request.key ?? randomUUID();
  const reason = textIn(request, 'why') ?? wish.emergency;
  const asked: model.ReleaseRequest = {
    ...wish,
    release: { id: wish.release.id, order: wish.release.order },
    id,
    by: request.person.name,
    ...(reason !== undefined && { why: reason }),
    gates: requiredGates(environment.gates ?? [], wish.kind, wish.emergency),
    terms: termsOf(environment),
  };
  const { placement, refused } = await happen(context, request, { kind: 'plan', request: asked });
  const rollout = rolloutIn(placement, id, refused);
  if (rollout.release.id === asked.release.id && rollout.kind === asked.kind && rollout.by === asked.by)
    return rolloutView(rollout);
  throw new ServerFault('server/refused', 'this Idempotency-Key was used for another call', { next: 'take a new one' });
}

async function addRelease({ store, fetchRelease, now }: Context, request: Request): Promise<unknown> {
  const reference = textIn(request, 'reference') ?? '';
  const id = /@(sha256:[0-9a-f]{64})$/.exec(reference)?.[1];
  if (id === undefined) {
    throw new ServerFault('server/bad-request', `${reference} does not name a release by its digest`, {
      next: 'give it as `banksman release` prints it: REGISTRY/releases/NAME@sha256:...',
    });
  }
  const content = await fetchRelease(reference, request.signal);
  const service = serviceIn(request);
  if (content.bundle.service !== service) {
    throw new ServerFault('server/bad-request', `that is a release of ${content.bundle.service}, not of ${service}`);
  }
  const { commit, authors } = content;
  const known = await store.addRelease({ id, service, reference, commit, authors, madeAt: now() }, actorOf(request));
  return releaseView(known);
}

type Happened = DistributiveOmit<model.Happening, 'at'>;
type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never;

async function happen(context: Context, request: Request, happened: Happened): Promise<model.Outcome> {
  const environment = environmentIn(context, request);
  const happening = { ...happened, at: context.now() } as model.Happening;
  return await context.store.happen(serviceIn(request), environment.name, happening, actorOf(request));
}

const refusals: Readonly<Partial<Record<model.Refusal, string>>> = {
  'already-there': 'that release is there already',
  'wrong-state': 'it has ended',
  'unknown-rollout': 'there is no such rollout',
};

function rolloutIn(placement: model.Placement, id: string, refused: model.Refusal | undefined): model.Rollout {
  const rollout = model.findRollout(placement, id);
  if (rollout !== undefined && (refused === undefined || refused === 'known')) return rollout;
  throw new ServerFault('server/refused', refusals[refused ?? 'unknown-rollout'] ?? `refused: ${refused}`);
}

function environmentIn({ environments }: Context, { parameters }: Request): Environment {
  const name = parameters.environment ?? '';
  const found = environments.get(name);
  if (found !== undefined) return found;
  const meant = nearest(name, environments.keys());
  throw new ServerFault('server/unknown-environment', `there is no environment ${name}`, {
    next: meant === undefined ? `choose one of ${[...environments.keys()].join(', ')}` : `did you mean ${meant}?`,
  });
}

/** @throws ServerFault server/unknown-service where it is no label */
export function serviceIn({ parameters }: Pick<Request, 'parameters'>): Label {
  const { service = '' } = parameters;
  if (/^\/\/[^\s:]{0,200}:[^\s:/]{1,100}$/.test(service)) return service as Label;
  throw new ServerFault('server/unknown-service', `${JSON.stringify(service)} is not the label of a service`, {
    next: 'write it whole and percent-encoded: %2F%2Fbank%2Fledger%3Aledger',
  });
}

async function placementOf(context: Context, request: Request): Promise<model.Placement> {
  return await context.store.read(serviceIn(request), environmentIn(context, request).name);
}

/** A release by its id or the beginning of it. */
async function releaseIn({ store }: Context, request: Request, text: string): Promise<KnownRelease> {
  const service = serviceIn(request);
  const wanted = text.startsWith('sha256:') ? text : `sha256:${text}`;
  const found = (await store.releases(service)).filter(({ id }) => id.startsWith(wanted));
  const [release] = found;
  if (release !== undefined && found.length === 1 && wanted.length >= 'sha256:'.length + 8) return release;
  const reason =
    found.length > 1 ? `${text} is the beginning of ${found.length} releases` : `${service} has no release ${text}`;
  throw new ServerFault('server/unknown-release', reason, { next: 'give at least the first 8 digits of its name' });
}

function actorOf({ person, source, body }: Request): Actor {
  return { who: person.name, source, ...(typeof body.why === 'string' && { why: body.why }) };
}

function textIn({ body }: Request, key: string): string | undefined {
  const value = body[key];
  return typeof value === 'string' ? value : undefined;
}

function numberIn(text: string | undefined, name: string, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^[0-9]{1,15}$/.test(text)) throw new ServerFault('server/bad-request', `${name} is not a whole number`);
  return Number(text);
}
