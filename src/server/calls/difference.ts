import type { Environment, Label } from '../../graph/index.ts';
import { isKubeFault, nameOf } from '../../kube/index.ts';
import {
  compareReleases,
  type KnownRelease,
  model,
  type ObjectChanges,
  type Preview,
  previewInCluster,
  servedObjects,
} from '../../release/index.ts';
import { environmentIn, placementOf, releaseIn, serviceIn } from '../asked.ts';
import { type Call, type Context, place, type Request } from '../call.ts';
import { ServerFault } from '../fault.ts';
import { releaseView } from '../views.ts';

/** What would change, and what has changed. */
export const differenceCalls: readonly Call[] = [
  {
    method: 'GET',
    path: `${place}/preview`,
    summary:
      'What a release would change in an environment, object by object; what a rollback would where none is named',
    action: 'placement.read',
    gives: 'preview',
    query: ['release'],
    answer: preview,
  },
  {
    method: 'GET',
    path: '/v1/services/{service}/difference',
    summary:
      'How two releases differ, object by object, with the releases between. `from` and `to` are releases or environments',
    action: 'placement.read',
    gives: 'difference',
    query: ['from', 'to', 'environment'],
    answer: difference,
  },
];

async function preview(context: Context, request: Request): Promise<unknown> {
  const environment = environmentIn(context, request);
  const service = serviceIn(request);
  const placement = await placementOf(context, request);
  const named = request.query.release;
  const to = named === undefined ? model.lastGoodRelease(placement) : await releaseIn(context, request, named);
  if (to === undefined) {
    throw new ServerFault(
      'server/refused',
      `${service} has no earlier release that was healthy in ${environment.name}`,
      {
        next: 'name a release',
      },
    );
  }
  const releases = await context.store.releases(service);
  const wanted = releases.find(({ id }) => id === to.id) as KnownRelease;
  const live = model.presentRollout(placement)?.release;
  const from = releases.find(({ id }) => id === live?.id);
  const content = await context.fetchRelease(wanted.reference, request.signal);
  const base = {
    to: releaseView(wanted),
    ...(from !== undefined && { from: releaseView(from) }),
    releases: between(releases, from, wanted).map(releaseView),
  };
  try {
    if (context.clusters !== undefined) {
      const session = await context.clusters.open(environment);
      return {
        ...base,
        ...previewView(await previewInCluster(service, content, environment, session, request.signal)),
      };
    }
  } catch (error) {
    // Where the cluster can't be reached, what is written is compared; what it refuses is told.
    if (!isKubeFault(error)) throw error;
    const compared = await againstRelease(context, environment, content, from, request.signal);
    return { ...base, ...previewView(compared), note: `the cluster can't be asked: ${error.message}` };
  }
  return { ...base, ...previewView(await againstRelease(context, environment, content, from, request.signal)) };
}

async function againstRelease(
  { fetchRelease }: Context,
  environment: Environment,
  content: Awaited<ReturnType<Context['fetchRelease']>>,
  from: KnownRelease | undefined,
  signal: AbortSignal,
): Promise<Preview> {
  const before = from === undefined ? [] : servedObjects(await fetchRelease(from.reference, signal), environment);
  return { against: 'release', ...compareReleases(before, servedObjects(content, environment)) };
}

async function difference(context: Context, request: Request): Promise<unknown> {
  const service = serviceIn(request);
  const { from: first, to: second, environment: named } = request.query;
  if (first === undefined || second === undefined) {
    throw new ServerFault('server/bad-request', 'from and to are missing', {
      next: 'give ?from= and &to=, each a release or an environment',
    });
  }
  const [from, to] = await Promise.all([sideOf(first), sideOf(second)]);
  const usual = [...context.environments.values()].at(-1) as Environment;
  const inEnvironment =
    named === undefined ? undefined : environmentIn(context, { ...request, parameters: { environment: named } });
  const objects = async ({ release, environment }: typeof from) => {
    const content = await context.fetchRelease(release.reference, request.signal);
    return servedObjects(content, inEnvironment ?? environment ?? from.environment ?? to.environment ?? usual);
  };
  const [before, after] = await Promise.all([objects(from), objects(to)]);
  const releases = await context.store.releases(service);
  return {
    from: releaseView(from.release),
    to: releaseView(to.release),
    releases: between(releases, from.release, to.release).map(releaseView),
    objects: compareReleases(before, after).objects.map(changeView),
  };

  async function sideOf(text: string): Promise<{ release: KnownRelease; environment?: Environment }> {
    const environment = context.environments.get(text);
    if (environment === undefined) return { release: await releaseIn(context, request, text) };
    const live = model.presentRollout(await context.store.read(service as Label, environment.name));
    if (live === undefined) {
      throw new ServerFault('server/unknown-release', `nothing of ${service} is in ${environment.name}`, {
        next: 'name a release',
      });
    }
    return { release: await releaseIn(context, request, live.release.id), environment };
  }
}

/** Releases after one and up to the other, the newest first, in whichever direction. */
function between(
  releases: readonly KnownRelease[],
  from: KnownRelease | undefined,
  to: KnownRelease,
): readonly KnownRelease[] {
  const [low, high] = [from?.order ?? to.order - 1, to.order].sort((a, b) => a - b) as [number, number];
  return releases.filter(({ order }) => order > low && order <= high);
}

/** What a release of another service would change, and the names of all its objects. */
export async function changesOf(
  context: Context,
  request: Request,
  service: Label,
  environment: Environment,
  release: KnownRelease,
): Promise<{ readonly view: ReturnType<typeof previewView>; readonly names: readonly string[] }> {
  const content = await context.fetchRelease(release.reference, request.signal);
  const names = servedObjects(content, environment).map(nameOf);
  const live = model.presentRollout(await context.store.read(service, environment.name))?.release;
  const from = live && (await context.store.release(live.id));
  const written = async () => await againstRelease(context, environment, content, from, request.signal);
  if (context.clusters === undefined) return { view: previewView(await written()), names };
  try {
    const session = await context.clusters.open(environment);
    const preview = await previewInCluster(service, content, environment, session, request.signal);
    return { view: previewView(preview), names };
  } catch (error) {
    if (!isKubeFault(error)) throw error;
    return { view: previewView(await written()), names };
  }
}

function previewView({ against, objects, unchanged }: Preview) {
  return { against, unchanged, objects: objects.map(changeView) };
}

function changeView({ fields, ...object }: ObjectChanges) {
  return { ...object, fields: fields.map((field) => ({ ...field })) };
}
