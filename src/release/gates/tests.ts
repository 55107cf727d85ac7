import type { GateAnswer, ReleaseRef } from '../model/index.ts';
import type { TestProof } from './types.ts';

/** The named tests have passed on the sources of this very release. The last run of each counts. */
export function testsPassed(
  gate: string,
  targets: readonly string[],
  release: ReleaseRef,
  proofs: readonly TestProof[],
): GateAnswer {
  const last = new Map<string, TestProof>();
  for (const proof of proofs) {
    if (proof.release !== release.id) continue;
    if (proof.at >= (last.get(proof.target)?.at ?? Number.NEGATIVE_INFINITY)) last.set(proof.target, proof);
  }
  const failed = targets.filter((target) => last.get(target)?.passed === false);
  const missing = targets.filter((target) => !last.has(target));
  if (failed.length === 0 && missing.length === 0) {
    const since = Math.max(...targets.map((target) => last.get(target)?.at ?? 0));
    return { gate, holds: true, reason: `${targets.length} of ${targets.length} tests passed`, since };
  }
  const parts = [
    ...(failed.length > 0 ? [`failed: ${failed.join(', ')}`] : []),
    ...(missing.length > 0 ? [`not run on this release: ${missing.join(', ')}`] : []),
  ];
  const since = failed.length > 0 ? Math.min(...failed.map((target) => last.get(target)?.at ?? 0)) : undefined;
  const opens =
    failed.length > 0 ? 'a newer release on which they pass' : `a run that passes: banksman test ${missing.join(' ')}`;
  return { gate, holds: false, reason: parts.join('; '), ...(since !== undefined && { since }), opens };
}
