import { emergenciesOf } from '../../release/index.ts';
import { actorOf, environmentIn, placementOf, serviceIn, textIn } from '../asked.ts';
import { type Call, place } from '../call.ts';

/** Rollouts that went past the gates, and the second person who looks at them. */
export const emergencyCalls: readonly Call[] = [
  {
    method: 'GET',
    path: `${place}/emergencies`,
    summary: 'Rollouts that went past the gates, the newest first, each with its review',
    action: 'placement.read',
    gives: 'emergencies',
    async answer(context, request) {
      const placement = await placementOf(context, request);
      const reviews = await context.store.emergencyReviews(placement.service, placement.environment);
      return emergenciesOf(placement, reviews)
        .toReversed()
        .map(({ startedAt, review, ...emergency }) => {
          const why = reviews.find(({ rollout }) => rollout === emergency.rollout)?.why ?? '';
          return {
            ...emergency,
            startedAt: iso(startedAt),
            ...(review !== undefined && { review: { by: review.by, at: iso(review.at), why } }),
          };
        });
    },
  },
  {
    method: 'POST',
    path: `${place}/rollouts/{rollout}/review`,
    summary: 'A second person has looked at an emergency: later rollouts need not wait for it',
    action: 'emergency.review',
    takes: 'reviewEmergency',
    gives: 'emergencyReview',
    async answer(context, request) {
      const { rollout = '' } = request.parameters;
      const review = { rollout, by: request.person.name, at: context.now(), why: textIn(request, 'why') ?? '' };
      const { name } = environmentIn(context, request);
      const stands = await context.store.reviewEmergency(serviceIn(request), name, review, actorOf(request));
      return { ...stands, at: iso(stands.at) };
    },
  },
];

function iso(time: number): string {
  return new Date(time).toISOString();
}
