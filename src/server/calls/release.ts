import { kindOf } from '../../release/index.ts';
import { actorOf, serviceIn, textIn } from '../asked.ts';
import { requireRight } from '../authorization.ts';
import type { Call, Context, Request } from '../call.ts';
import { ServerFault } from '../fault.ts';
import { releaseView } from '../views.ts';

/** Releases become known. */
export const releaseCalls: readonly Call[] = [
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
];

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
  const kind = kindOf(content);
  // What it was before is looked at with the call; a release of the other kind is a change of both.
  requireRight(request.person, 'release.add', { service, kind });
  const { commit, authors, bundle } = content;
  const release = { id, service, kind, reference, commit, authors, madeAt: now() };
  const about = { owner: bundle.owner, needs: bundle.after };
  const known = await store.addRelease({ ...release, ...about }, actorOf(request));
  return releaseView(known);
}
