import type { ProofRecord } from '../../release/index.ts';

/** How a rollout's images stood to the policy, for a person. */
export function proofLines({ policy, outcome, reason, missing = [], approvers = [] }: ProofRecord): string[] {
  if (outcome === 'passed') {
    return [`fulfils ${policy}${approvers.length === 0 ? '' : `, reviewed by ${approvers.join(', ')}`}`];
  }
  const head =
    outcome === 'broken-glass'
      ? `glass broken, against ${policy}: ${reason}`
      : `does not fulfil ${policy}, which only audits`;
  return [head, ...missing.map((line) => `  ${line}`)];
}
