import type { Environment, Label } from '../../graph/index.ts';
import type { Terms } from '../model/index.ts';
import { requiredGates } from './answer.ts';

const usualDeadline = 10 * 60_000;
const usualPatience = 14 * 24 * 3_600_000;

/** What an environment says of a service's rollouts, with what holds where it says nothing: 10 minutes, 14 days, go back. */
export function termsOf({ deadline, patience, onFailure, gates, progressive }: Environment, service: Label): Terms {
  const rule = progressive?.find(({ services }) => services === undefined || services.includes(service));
  const stages = rule?.steps.length === 0 ? undefined : rule?.steps;
  return {
    deadline: deadline ?? usualDeadline,
    patience: patience ?? usualPatience,
    onFailure: onFailure ?? 'return',
    returnGates: requiredGates(gates ?? [], 'return', undefined),
    ...(stages !== undefined && { stages }),
  };
}
