import { answersFor, model } from '../../release/index.ts';
import { environmentIn, placementOf, releaseIn, serviceIn } from '../asked.ts';
import { type Call, type Context, place, type Request } from '../call.ts';
import { answerView, holdView, placementView, rolloutView } from '../views.ts';

/** What is where, and why something is not. */
export const placementCalls: readonly Call[] = [
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
      return placementView(placement, model.presentRollout(placement));
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
      rollout: own?.id,
      replacedBy: own?.replacedBy,
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
