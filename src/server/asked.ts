import { nearest } from '../fault/index.ts';
import type { Environment, Label } from '../graph/index.ts';
import { type Actor, type KnownRelease, model } from '../release/index.ts';
import type { Context, Request } from './call.ts';
import { ServerFault } from './fault.ts';

export function environmentIn({ environments }: Context, { parameters }: Request): Environment {
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

export async function placementOf(context: Context, request: Request): Promise<model.Placement> {
  return await context.store.read(serviceIn(request), environmentIn(context, request).name);
}

/** A release by its id or the beginning of it. */
export async function releaseIn({ store }: Context, request: Request, text: string): Promise<KnownRelease> {
  const service = serviceIn(request);
  const wanted = text.startsWith('sha256:') ? text : `sha256:${text}`;
  const found = (await store.releases(service)).filter(({ id }) => id.startsWith(wanted));
  const [release] = found;
  if (release !== undefined && found.length === 1 && wanted.length >= 'sha256:'.length + 8) return release;
  const reason =
    found.length > 1 ? `${text} is the beginning of ${found.length} releases` : `${service} has no release ${text}`;
  throw new ServerFault('server/unknown-release', reason, { next: 'give at least the first 8 digits of its name' });
}

export function actorOf({ person, source, body }: Request): Actor {
  return { who: person.name, source, ...(typeof body.why === 'string' && { why: body.why }) };
}

export function textIn({ body }: Request, key: string): string | undefined {
  const value = body[key];
  return typeof value === 'string' ? value : undefined;
}

export function numberIn(text: string | undefined, name: string, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^[0-9]{1,15}$/.test(text)) throw new ServerFault('server/bad-request', `${name} is not a whole number`);
  return Number(text);
}

type Happened = DistributiveOmit<model.Happening, 'at'>;
type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never;

export async function happen(context: Context, request: Request, happened: Happened): Promise<model.Outcome> {
  const environment = environmentIn(context, request);
  const happening = { ...happened, at: context.now() } as model.Happening;
  return await context.store.happen(serviceIn(request), environment.name, happening, actorOf(request));
}

const refusals: Readonly<Partial<Record<model.Refusal, string>>> = {
  'already-there': 'that release is there already',
  'not-there': 'nothing of it is there, or it is being removed already',
  'wrong-state': 'it has ended',
  'unknown-rollout': 'there is no such rollout',
};

export function rolloutIn(placement: model.Placement, id: string, refused: model.Refusal | undefined): model.Rollout {
  const rollout = model.findRollout(placement, id);
  if (rollout !== undefined && (refused === undefined || refused === 'known')) return rollout;
  throw new ServerFault('server/refused', refusals[refused ?? 'unknown-rollout'] ?? `refused: ${refused}`);
}
