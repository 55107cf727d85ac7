import { randomUUID } from 'node:crypto';
import type { model } from '../../release/index.ts';
import { happen, textIn } from '../asked.ts';
import { type Call, place } from '../call.ts';
import { ServerFault } from '../fault.ts';
import { holdView } from '../views.ts';

/** Pauses of automatic rollouts. */
export const holdCalls: readonly Call[] = [
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
];
