import { gatherEvidence, sealEvidence } from '../../release/index.ts';
import { environmentIn, serviceIn } from '../asked.ts';
import { type Call, place } from '../call.ts';

/** Everything that is known of a rollout, for an auditor. */
export const evidenceCalls: readonly Call[] = [
  {
    method: 'GET',
    path: `${place}/rollouts/{rollout}/evidence`,
    summary:
      'The whole chain of evidence of a rollout: release, images, statements, tests, approvals, gates, steps, the log; docs/audit.md',
    action: 'audit.read',
    gives: 'evidence',
    async answer(context, request) {
      const about = {
        service: serviceIn(request),
        environment: environmentIn(context, request),
        rollout: request.parameters.rollout ?? '',
      };
      const made = { by: request.person.name, at: context.now() };
      return await sealEvidence(await gatherEvidence(context, about, made, request.signal));
    },
  },
];
