import { createHash } from 'node:crypto';
import type { Label } from '../../graph/index.ts';
import { inSpan, isTracing, parseTraceparent, startSpan, type TracePlace, traceparent } from '../../trace/index.ts';
import type { Happening, Rollout, RolloutState } from '../model/index.ts';
import type { Passage } from './passage.ts';

/** States in which something is done or waited for; the others are ends. */
const lasting: readonly RolloutState[] = ['planned', 'gated', 'applying', 'progressing', 'verifying'];

/**
 * A rollout's trace begins where it is asked for. What asked is written down with it, so that whoever goes on with it, on whichever server
 * and however much later, goes on with the trace.
 */
export async function asked<Result>(
  service: Label,
  environment: string,
  happening: Happening,
  tell: (happening: Happening) => Promise<Result>,
): Promise<Result> {
  if (happening.kind !== 'plan' || happening.request.trace !== undefined) return await tell(happening);
  const { id, kind, release } = happening.request;
  const attributes = { ...names(service, environment, id, release.id), 'banksman.kind': kind };
  return await inSpan('rollout asked for', { attributes }, () => {
    const trace = traceparent();
    return tell(trace === undefined ? happening : { ...happening, request: { ...happening.request, trace } });
  });
}

/** Where in its trace belongs what is done for a rollout now: its present step. */
export function tracePlaceOf(rollout: Rollout): TracePlace | undefined {
  const asked = parseTraceparent(rollout.trace);
  if (asked === undefined || !isTracing()) return asked;
  return { ...asked, spanId: stepId(asked, rollout, rollout.steps.length - 1) };
}

/**
 * Records the step that has ended, and the rollout with its last one. They have begun maybe before a restart; their ids follow from their
 * names, so that all that was done in them is found below them.
 */
export function recordPassage({ service, environment, rollout, from, to, place }: Passage): void {
  const asked = parseTraceparent(rollout.trace);
  if (asked === undefined || !isTracing() || from === undefined || !lasting.includes(from.state)) return;
  const whole = wholeId(asked, rollout);
  const attributes = {
    ...names(service, environment, rollout.id, rollout.release.id),
    ...(from.stage !== undefined && { 'banksman.stage': from.stage + 1 }),
    'banksman.next': to.state,
  };
  const parent = { ...asked, spanId: whole };
  const id = stepId(asked, rollout, place - 1);
  const step = startSpan(`rollout ${from.state}`, { attributes, parent, id, start: from.at });
  if (to.state === 'failed') step?.fail('release/rollout-failed', (to.why ?? 'failed').slice(0, 500));
  step?.end(to.at);
  if (lasting.includes(to.state)) return;
  const start = rollout.steps[0]?.at ?? from.at;
  const all = { ...attributes, 'banksman.kind': rollout.kind, 'banksman.state': to.state };
  const span = startSpan('rollout', { attributes: all, parent: asked, id: whole, start });
  if (to.state === 'failed') span?.fail('release/rollout-failed', (to.why ?? 'failed').slice(0, 500));
  span?.end(to.at);
}

function names(service: Label, environment: string, rollout: string, release: string) {
  return {
    'banksman.service': service,
    'banksman.environment': environment,
    'banksman.rollout': rollout,
    'banksman.release': release,
  };
}

function wholeId(asked: TracePlace, { id }: Rollout): string {
  return idOf(`${asked.traceId} ${asked.spanId} ${id}`);
}

function stepId(asked: TracePlace, { id }: Rollout, place: number): string {
  return idOf(`${asked.traceId} ${asked.spanId} ${id} ${place}`);
}

function idOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 16);
}
