import { randomUUID } from 'node:crypto';
import { nearest } from '../../fault/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import { isKubeFault, type KubeObject, nameOf } from '../../kube/index.ts';
import {
  findListed,
  type KnownRelease,
  type Leaving,
  model,
  type PreciousObject,
  previewRemoval,
  replacementName,
  requiredGates,
  requireYes,
  servedObjects,
  termsOf,
  tryDeleting,
  usualKind,
} from '../../release/index.ts';
import { actorOf, environmentIn, releaseIn, rolloutIn, serviceIn, textIn } from '../asked.ts';
import { requireRight } from '../authorization.ts';
import { type Call, type Context, place, type Request } from '../call.ts';
import { ServerFault } from '../fault.ts';
import { releaseView, rolloutView } from '../views.ts';
import { changesOf } from './difference.ts';

/** A service is taken out of an environment. */
export const removalCalls: readonly Call[] = [
  {
    method: 'GET',
    path: `${place}/removal`,
    summary:
      'What taking a service out of an environment would delete, object by object, and what needs a yes of its own',
    action: 'placement.read',
    gives: 'removal',
    query: ['replacedBy', 'release'],
    answer: preview,
  },
  {
    method: 'POST',
    path: `${place}/removals`,
    summary:
      'Ask for a service to be taken out of an environment; of one that is renamed, once its replacement is healthy there',
    action: 'rollout.remove',
    takes: 'remove',
    gives: 'rollout',
    status: 202,
    answer: remove,
  },
];

async function preview(context: Context, request: Request): Promise<unknown> {
  const environment = environmentIn(context, request);
  const { live, known } = await presentIn(context, request, environment);
  const { replacedBy, release } = request.query;
  const replacement =
    replacedBy === undefined ? undefined : await replacementIn(context, request, environment, replacedBy, release);
  const { leaving, note } = await lookAt(context, request, environment, known);
  const gates = requiredGates(environment.gates ?? [], 'removal', undefined);
  const changes =
    replacement?.release === undefined
      ? undefined
      : await changesOf(context, request, replacement.service, environment, replacement.release);
  const taken = new Set(changes?.names ?? []);
  const goes = leaving.goes.filter((object) => !taken.has(nameOf(object)));
  return {
    release: { id: live.release.id, order: live.release.order },
    gates: [...gates, ...(replacement === undefined ? [] : [replacementName])],
    goes: goes.map(objectView),
    precious: leaving.precious.filter(({ object }) => !taken.has(nameOf(object))).map(preciousView),
    ...(note !== undefined && { note }),
    ...(replacement !== undefined && {
      replacement: {
        service: replacement.service,
        ...(replacement.release !== undefined && { release: releaseView(replacement.release) }),
        // The same objects under the same names: they are not deleted, and go on under the new service.
        takesOver: leaving.goes.filter((object) => taken.has(nameOf(object))).map(objectView),
        objects: changes?.view.objects ?? [],
        unchanged: changes?.view.unchanged ?? 0,
      },
    }),
  };
}

async function remove(context: Context, request: Request): Promise<unknown> {
  const environment = environmentIn(context, request);
  const service = serviceIn(request);
  const id = request.key ?? randomUUID();
  const before = await context.store.read(service, environment.name);
  const asked = model.findRollout(before, id);
  // The same call made twice is one, whatever has been deleted in between.
  if (asked !== undefined) return rolloutView(asked);
  const { live, known } = await presentIn(context, request, environment);
  const deletes = [...new Set((request.body.deletes as readonly string[] | undefined) ?? [])].sort();
  await requireDeletable(context, request, environment, known, deletes);
  const emergency = textIn(request, 'emergency');
  const replacedBy = textIn(request, 'replacedBy');
  const replacement =
    replacedBy === undefined
      ? undefined
      : await replacementIn(context, request, environment, replacedBy, textIn(request, 'release'));
  const why = textIn(request, 'why') ?? '';
  const by = request.person.name;
  const at = context.now();
  const actor = actorOf(request);
  if (replacement?.release !== undefined) {
    const { service: next, release, kind } = replacement;
    requireRight(request.person, 'rollout.promote', { service: next, kind });
    const promotion: model.ReleaseRequest = {
      id: `${id}-replacement`,
      release: { id: release.id, order: release.order },
      kind: 'promotion',
      by,
      why: `it takes the place of ${service}: ${why}`,
      gates: requiredGates(environment.gates ?? [], 'promotion', undefined),
      terms: termsOf(environment, next),
    };
    await context.store.happen(next, environment.name, { kind: 'plan', at, request: promotion }, actor);
  }
  const { stages: _, ...terms } = termsOf(environment, service);
  const gates = requiredGates(environment.gates ?? [], 'removal', emergency);
  const removal: model.ReleaseRequest = {
    id,
    release: live.release,
    kind: 'removal',
    by,
    why,
    ...(emergency !== undefined && { emergency }),
    ...(deletes.length > 0 && { deletes }),
    ...(replacement !== undefined && { replacedBy: replacement.service }),
    gates: [...gates, ...(replacement === undefined ? [] : [replacementName])],
    terms,
  };
  const happening = { kind: 'plan', at, request: removal } as const;
  const { placement, refused } = await context.store.happen(service, environment.name, happening, actor);
  return rolloutView(rolloutIn(placement, id, refused));
}

/** What of the service is in the environment now. @throws ServerFault server/refused where nothing is */
async function presentIn(
  context: Context,
  request: Request,
  environment: Environment,
): Promise<{ readonly live: model.Rollout; readonly known: KnownRelease | undefined }> {
  const service = serviceIn(request);
  const live = model.presentRollout(await context.store.read(service, environment.name));
  if (live === undefined) {
    throw new ServerFault('server/refused', `nothing of ${service} is in ${environment.name}`, {
      next: `see what is: GET /v1/environments/${environment.name}/services`,
    });
  }
  return { live, known: await context.store.release(live.release.id) };
}

/** What the cluster has of the service; as its release is written where it can't be asked. */
async function lookAt(
  { clusters, fetchRelease }: Context,
  request: Request,
  environment: Environment,
  known: KnownRelease | undefined,
): Promise<{ readonly leaving: Leaving; readonly note?: string }> {
  const written = async (): Promise<readonly KubeObject[]> =>
    known === undefined ? [] : servedObjects(await fetchRelease(known.reference, request.signal), environment);
  if (clusters !== undefined) {
    try {
      const session = await clusters.open(environment);
      return { leaving: await previewRemoval(session, serviceIn(request), written, request.signal) };
    } catch (error) {
      if (!isKubeFault(error)) throw error;
      const leaving = { goes: await written(), precious: [] };
      return { leaving, note: `the cluster can't be asked: ${error.message}; this is what its release says` };
    }
  }
  return { leaving: { goes: await written(), precious: [] }, note: 'this is what its release says' };
}

/** Each yes is about something that is there, and that the server may delete. */
async function requireDeletable(
  context: Context,
  request: Request,
  environment: Environment,
  known: KnownRelease | undefined,
  deletes: readonly string[],
): Promise<void> {
  const service = serviceIn(request);
  const { leaving, note } = await lookAt(context, request, environment, known);
  if (note !== undefined && deletes.length > 0)
    throw new ServerFault('server/refused', `nobody knows what would be lost: ${note}`);
  const names = leaving.precious.map(({ object }) => nameOf(object));
  for (const name of deletes) {
    if (names.includes(name)) continue;
    const meant = nearest(name, names);
    throw new ServerFault('server/bad-request', `${service} has no ${name} that needs a yes in ${environment.name}`, {
      ...(meant !== undefined && { next: `did you mean ${meant}?` }),
    });
  }
  requireYes(service, leaving, deletes);
  if (deletes.length === 0 || context.clusters === undefined) return;
  const session = await context.clusters.open(environment);
  try {
    await tryDeleting(session, service, leaving, deletes, request.signal);
  } catch (error) {
    if (!isKubeFault(error, 'kube/forbidden')) throw error;
    throw new ServerFault('server/refused', `the server may not delete that in ${environment.name}: ${error.message}`, {
      next: 'leave it, and have who administers the cluster delete it afterwards; or give the server the right',
    });
  }
}

interface Replacement {
  readonly service: Label;
  readonly kind: 'service' | 'infrastructure';
  /** The release to bring in; undefined where a healthy one is there already and none was named. */
  readonly release: KnownRelease | undefined;
}

/** What takes the place: the release that is named, else what is there and healthy, else what is healthy in the environment before. */
async function replacementIn(
  context: Context,
  request: Request,
  environment: Environment,
  text: string,
  named: string | undefined,
): Promise<Replacement> {
  const { store, database } = context;
  const service = serviceIn({ parameters: { service: text } });
  if (service === serviceIn(request)) throw new ServerFault('server/bad-request', `${service} can't replace itself`);
  const kind = (await findListed(database, service))?.kind ?? usualKind(service);
  const there = model.healthyRelease(await store.read(service, environment.name));
  if (named === undefined && there !== undefined) return { service, kind, release: undefined };
  const release =
    named !== undefined
      ? await releaseIn(context, { ...request, parameters: { service } }, named)
      : await usualRelease(context, environment, service);
  if (release.id === there?.id) return { service, kind, release: undefined };
  return { service, kind, release };
}

async function usualRelease({ store }: Context, { name, after }: Environment, service: Label): Promise<KnownRelease> {
  const upstream = after === undefined ? undefined : model.healthyRelease(await store.read(service, after));
  const found =
    after === undefined ? (await store.releases(service))[0] : upstream && (await store.release(upstream.id));
  if (found !== undefined) return found;
  const what = after === undefined ? 'has no release' : `is not healthy in ${after}`;
  throw new ServerFault('server/unknown-release', `${service} ${what}: nothing could take the place in ${name}`, {
    next: after === undefined ? 'make one with `banksman release`' : `bring it into ${after} first, or name a release`,
  });
}

function objectView({ kind, metadata: { name, namespace } }: KubeObject) {
  return { kind, name, ...(namespace !== undefined && { namespace }) };
}

function preciousView({ object, loses, goesWith, others }: PreciousObject) {
  return { ...objectView(object), loses, ...(goesWith !== undefined && { goesWith }), others };
}
