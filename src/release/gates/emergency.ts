import type { GateAnswer, Time } from '../model/index.ts';
import { told } from './length.ts';
import { isSamePerson } from './person.ts';
import type { Emergency } from './types.ts';

/** Milliseconds within which a second person has to look at an emergency. */
export const reviewTime = 24 * 3_600_000;

/** The way past the gates: a person, and a reason that says something. */
export function emergencyGate(gate: string, reason: string | undefined, by: string): GateAnswer {
  const said = reason?.trim() ?? '';
  if (isSamePerson(by, 'banksman')) {
    return { gate, holds: false, reason: 'nobody asked for it', opens: 'a person who asks for the emergency' };
  }
  if (said.length < 10) {
    return { gate, holds: false, reason: 'an emergency needs a reason', opens: 'a reason of at least 10 characters' };
  }
  return { gate, holds: true, reason: `emergency by ${by}: ${said}` };
}

/** Emergencies that no second person has looked at. A review by who did it is none. */
export function openEmergencies(emergencies: readonly Emergency[]): readonly Emergency[] {
  return emergencies.filter(({ by, review }) => review === undefined || isSamePerson(review.by, by));
}

/** Ordinary rollouts go on for a day after an emergency; then somebody has to have looked at it. */
export function emergenciesReviewed(gate: string, emergencies: readonly Emergency[], now: Time): GateAnswer {
  const open = openEmergencies(emergencies).toSorted((a, b) => a.startedAt - b.startedAt);
  const [first] = open;
  if (first === undefined) return { gate, holds: true, reason: 'no emergency is open' };
  const due = first.startedAt + reviewTime;
  const what = `the emergency of ${first.by} (${first.why})`;
  if (now < due) return { gate, holds: true, reason: `${what} has to be reviewed within ${told(due - now)}` };
  return {
    gate,
    holds: false,
    reason: `${what} was not reviewed within ${told(reviewTime)}`,
    since: due,
    opens: `a review of rollout ${first.rollout} by another than ${first.by}`,
  };
}
