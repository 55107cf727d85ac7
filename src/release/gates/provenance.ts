import type { GateAnswer, ReleaseRef } from '../model/index.ts';
import type { ProvenanceVerdict } from './types.ts';

/** The release's images and attestations were checked against the policy, and passed. */
export function provenanceVerified(
  gate: string,
  policy: string,
  release: ReleaseRef,
  verdict: ProvenanceVerdict | undefined,
): GateAnswer {
  if (verdict === undefined || verdict.release !== release.id || verdict.policy !== policy) {
    return { gate, holds: false, reason: `not checked against ${policy} yet`, opens: `a check that passes ${policy}` };
  }
  const { verified, reason, at } = verdict;
  if (verified) return { gate, holds: true, reason, since: at };
  return { gate, holds: false, reason, since: at, opens: `signatures and provenance that pass ${policy}` };
}
