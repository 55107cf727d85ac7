import { type GateAnswer, liveRollout, type Placement } from '../model/index.ts';

/** The service that takes the place of one that is removed is healthy: nothing is taken away before. */
export function replaced(gate: string, replacement: Placement | undefined): GateAnswer {
  if (replacement === undefined) {
    return { gate, holds: false, reason: 'nobody knows what takes its place', opens: 'ask for the removal again' };
  }
  const { service, environment } = replacement;
  const live = liveRollout(replacement);
  if (live?.state === 'healthy') {
    const since = live.steps.findLast(({ state }) => state === 'healthy')?.at;
    return { gate, holds: true, reason: `${service} is healthy in ${environment}`, since };
  }
  const how = live === undefined ? 'is not there yet' : `is ${live.state}`;
  return {
    gate,
    holds: false,
    reason: `${service} ${how} in ${environment}`,
    opens: `${service} healthy in ${environment}`,
  };
}
