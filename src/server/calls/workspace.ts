import type { Label } from '../../graph/index.ts';
import { findListed, tellSighting, usualKind } from '../../release/index.ts';
import { actorOf, textIn } from '../asked.ts';
import { requireRight } from '../authorization.ts';
import type { Call } from '../call.ts';

/** What the workspace is like. */
export const workspaceCalls: readonly Call[] = [
  {
    method: 'POST',
    path: '/v1/workspace/sightings',
    summary:
      'Tell which of the known services the workspace does not have at a commit, and which it has again; deletes nothing',
    action: 'workspace.tell',
    takes: 'sighting',
    gives: 'seen',
    async answer({ database, now }, request) {
      const gone = (request.body.gone ?? []) as readonly Label[];
      const there = (request.body.there ?? []) as readonly Label[];
      // Nobody says of a service what they could not say by a release of it.
      for (const service of [...gone, ...there]) {
        const kind = (await findListed(database, service))?.kind ?? usualKind(service);
        requireRight(request.person, 'release.add', { service, kind });
      }
      const committedAt = Date.parse(textIn(request, 'committedAt') ?? '');
      const sighting = { commit: textIn(request, 'commit') ?? '', committedAt, gone, there };
      return { services: await tellSighting(database, sighting, actorOf(request), now()) };
    },
  },
];
