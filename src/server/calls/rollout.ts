import { randomUUID } from 'node:crypto';
import type { Environment } from '../../graph/index.ts';
import { model, requiredGates, termsOf } from '../../release/index.ts';
import { actorOf, environmentIn, happen, placementOf, releaseIn, rolloutIn, serviceIn, textIn } from '../asked.ts';
import { type Call, type Context, place, type Request } from '../call.ts';
import { ServerFault } from '../fault.ts';
import { rolloutView } from '../views.ts';

/** A release is asked for, gone back from, stopped, approved. */
export const rolloutCalls: readonly Call[] = [
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
      const rollout = textIn(request, 'rollout');
      if (rollout !== undefined) {
        const asked = model.findRollout(await placementOf(context, request), rollout);
        if (asked?.kind !== 'removal' || asked.release.id !== release.id) {
          throw new ServerFault('server/refused', `there is no removal ${rollout} of that release here`, {
            next: 'leave the rollout out to approve that a release comes in',
          });
        }
      }
      const { name, roles } = request.person;
      const verdict = request.body.withdraw === true ? ('withdraws' as const) : ('approves' as const);
      const approval = {
        release: release.id,
        by: name,
        roles,
        verdict,
        at: context.now(),
        ...(rollout !== undefined && { rollout }),
      };
      await context.store.approve(serviceIn(request), environment.name, approval, actorOf(request));
      return {};
    },
  },
];

async function promote(context: Context, request: Request): Promise<unknown> {
  const environment = environmentIn(context, request);
  const release = await releaseIn(context, request, textIn(request, 'release') ?? '');
  const emergency = textIn(request, 'emergency');
  return await plan(context, request, environment, {
    release,
    kind: 'promotion',
    ...(emergency !== undefined && { emergency }),
    ...(request.body.adopt === true && { adopt: true }),
    ...(request.body.deletesData === true && { deletesData: true }),
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
  wish: Pick<model.ReleaseRequest, 'kind' | 'release' | 'emergency' | 'adopt' | 'deletesData'>,
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
    terms: termsOf(environment, serviceIn(request)),
  };
  const { placement, refused } = await happen(context, request, { kind: 'plan', request: asked });
  const rollout = rolloutIn(placement, id, refused);
  if (rollout.release.id === asked.release.id && rollout.kind === asked.kind && rollout.by === asked.by)
    return rolloutView(rollout);
  throw new ServerFault('server/refused', 'this Idempotency-Key was used for another call', { next: 'take a new one' });
}
