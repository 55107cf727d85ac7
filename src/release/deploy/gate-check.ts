import type { Environment } from '../../graph/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { GateFacts, MetricSample } from '../gates/index.ts';
import type { GateAnswer } from '../model/index.ts';
import type { Release } from '../types.ts';

/** What is known of a release without a server: who wrote it, what time it is, and what Prometheus says. */
export interface GateQuestion {
  readonly environment: Environment;
  readonly release: Release;
  readonly by: string;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds since the epoch. */
type Clock = () => number;

/** How each gate stands between a release and an environment. What nobody keeps yet (approvals, tests, soak) does not hold. */
export async function lookAtGates(question: GateQuestion, clock: Clock = Date.now): Promise<readonly GateAnswer[]> {
  const { environment, release, by, signal } = question;
  const gates = environment.gates ?? [];
  if (gates.length === 0) return [];
  // Calendars take a while to load, and most commands need none.
  const { answerGates, askPrometheus, requiredGates } = await import('../gates/index.ts');
  const metrics = new Map<string, MetricSample>();
  await Promise.all(
    gates.map(async (gate) => {
      if (gate.kind === 'metric') metrics.set(gate.name, await askPrometheus({ ...gate, signal }, clock()));
    }),
  );
  const { commit, author, dirty } = release.origin;
  const facts: GateFacts = {
    now: clock(),
    release: { id: release.id, order: 0 },
    kind: 'promotion',
    authors: commit === undefined || author === undefined || dirty ? undefined : [author],
    requestedBy: by,
    tests: [],
    approvals: [],
    metrics,
    emergencies: [],
  };
  return answerGates(gates, requiredGates(gates, 'promotion', undefined), facts);
}

/**
 * Lets a release pass, or says what keeps it.
 *
 * @throws ReleaseFault release/gate-closed with each gate that does not hold
 */
export async function passGates(question: GateQuestion, clock?: Clock): Promise<void> {
  const { environment, release } = question;
  const shut = (await lookAtGates(question, clock)).filter(({ holds }) => !holds);
  if (shut.length === 0) return;
  const names = shut.map(({ gate }) => gate).join(', ');
  throw new ReleaseFault('release/gate-closed', `${release.service} may not go into ${environment.name}: ${names}`, {
    place: environment.gates?.find(({ name }) => name === shut[0]?.gate)?.place,
    notes: shut.map(
      ({ gate, reason, opens }) => `${gate}: ${reason}${opens === undefined ? '' : `; opens by: ${opens}`}`,
    ),
    next: 'wait until they hold; docs/environments.md says what each asks for',
  });
}
