import { readDrift } from '../../release/index.ts';
import { environmentIn, serviceIn } from '../asked.ts';
import { type Call, place } from '../call.ts';

/** What somebody changed by hand. */
export const driftCalls: readonly Call[] = [
  {
    method: 'GET',
    path: `${place}/drift`,
    summary: 'How the objects of a service differ from the release that it serves, field by field, and who did it',
    action: 'placement.read',
    gives: 'drift',
    async answer(context, request) {
      const environment = environmentIn(context, request);
      const { drift: mode = 'report', name } = environment;
      const drift = await readDrift(context.database, serviceIn(request), name);
      return {
        mode,
        ...(drift !== undefined && { release: drift.release }),
        objects: (drift?.objects ?? []).map((object) => ({ ...object, since: new Date(object.since).toISOString() })),
      };
    },
  },
];
