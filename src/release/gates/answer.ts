import type { GateForm } from '../../graph/index.ts';
import type { GateAnswer, RolloutKind } from '../model/index.ts';
import { approved } from './approvals.ts';
import { inWindow, outsideFreeze } from './calendar.ts';
import { emergenciesReviewed, emergencyGate } from './emergency.ts';
import { metricWithin } from './metric.ts';
import { provenanceVerified } from './provenance.ts';
import { replaced } from './replacement.ts';
import { soak } from './soak.ts';
import { testsPassed } from './tests.ts';
import type { GateFacts } from './types.ts';

const emergencyName = 'emergency';
const reviewName = 'review';
/** The gate of a removal: the service that takes the place is healthy. */
export const replacementName = 'replacement';
/** What a removal has to pass as well: the others are about what comes in. */
const ofRemovals: readonly GateForm['kind'][] = ['approvals', 'window', 'freeze', 'metric'];

/**
 * The gates that a rollout has to pass. A way back is not kept waiting by what is there to keep bad releases out, and an emergency
 * by nothing but the reason; what was not made as the policy says comes in on no way.
 */
export function requiredGates(
  gates: readonly GateForm[],
  kind: RolloutKind,
  emergency: string | undefined,
): readonly string[] {
  const always = gates.filter((gate) => gate.kind === 'provenance').map(({ name }) => name);
  if (kind === 'rollback' || kind === 'return') return always;
  if (kind === 'removal') {
    if (emergency !== undefined) return [emergencyName];
    const own = gates.filter((gate) => ofRemovals.includes(gate.kind)).map(({ name }) => name);
    return own.length === 0 ? [] : [...own, reviewName];
  }
  if (emergency !== undefined) return [emergencyName, ...always];
  return gates.length === 0 ? [] : [...gates.map(({ name }) => name), reviewName];
}

/** What is so with each of a rollout's gates, in their order. A name that is no gate is answered with no. */
export function answerGates(
  gates: readonly GateForm[],
  required: readonly string[],
  facts: GateFacts,
): readonly GateAnswer[] {
  return required.map((name) => {
    if (name === emergencyName) return emergencyGate(name, facts.emergency, facts.requestedBy);
    if (name === replacementName) return replaced(name, facts.replacement);
    if (name === reviewName) return emergenciesReviewed(name, facts.emergencies, facts.now);
    const gate = gates.find((each) => each.name === name);
    if (gate !== undefined) return answerGate(gate, facts);
    return {
      gate: name,
      holds: false,
      reason: 'banksman.yaml has this gate no more',
      opens: 'ask for the rollout again',
    };
  });
}

function answerGate(gate: GateForm, facts: GateFacts): GateAnswer {
  const { name } = gate;
  const { now, release } = facts;
  switch (gate.kind) {
    case 'soak':
      return soak(name, gate.duration, release, facts.upstream, now);
    case 'tests':
      return testsPassed(name, gate.targets, release, facts.tests);
    case 'approvals':
      return approved(name, gate, release, facts);
    case 'window':
      return inWindow(name, gate.spans, now);
    case 'freeze':
      return outsideFreeze(name, gate.spans, now);
    case 'metric':
      return metricWithin(name, gate, facts.metrics.get(name), now);
    case 'provenance':
      return provenanceVerified(name, gate.policy, release, facts.provenance);
  }
}
