import type { SpanForm } from '../../graph/index.ts';
import type { GateAnswer, Time } from '../model/index.ts';
import { moment } from './length.ts';
import { type SpanState, spanAt } from './span.ts';

/** Open while one of the spans lasts. */
export function inWindow(gate: string, spans: readonly SpanForm[], now: Time): GateAnswer {
  const { states, broken } = look(spans, now);
  const inside = states.flatMap(({ state, span }) => (state.inside ? [{ ...state.inside, span }] : []));
  const [first] = inside.toSorted((a, b) => b.until - a.until);
  if (first !== undefined) {
    return {
      gate,
      holds: true,
      reason: `${named(first.span, 'open')} until ${moment(first.until)}`,
      since: first.from,
    };
  }
  const next = least(states.flatMap(({ state }) => state.next ?? []));
  const reason = broken ?? 'outside of every window';
  if (next === undefined)
    return { gate, holds: false, reason, opens: 'no window is to come: change windows in banksman.yaml' };
  return { gate, holds: false, reason, opens: `the window of ${moment(next)}`, opensAt: next };
}

/** Shut while one of the spans lasts, whatever windows say. A rule that can't be followed counts as a freeze. */
export function outsideFreeze(gate: string, spans: readonly SpanForm[], now: Time): GateAnswer {
  const { states, broken } = look(spans, now);
  if (broken !== undefined) {
    return { gate, holds: false, reason: broken, opens: 'a rule that can be followed, in freezes of banksman.yaml' };
  }
  const frozen = states.flatMap(({ state, span }) => (state.inside ? [{ ...state.inside, span }] : []));
  if (frozen.length === 0) {
    const next = least(states.flatMap(({ state }) => state.next ?? []));
    return { gate, holds: true, reason: next === undefined ? 'no freeze' : `no freeze until ${moment(next)}` };
  }
  const thaw = thawOf(spans, now);
  const [first] = frozen.toSorted((a, b) => a.from - b.from);
  const reason = `frozen: ${named(first!.span, 'a freeze')} until ${moment(first!.until)}`;
  if (thaw === undefined)
    return { gate, holds: false, reason, since: first!.from, opens: 'an end of the freezes, which follow each other' };
  return {
    gate,
    holds: false,
    reason,
    since: first!.from,
    opens: `the end of the freeze at ${moment(thaw)}`,
    opensAt: thaw,
  };
}

/** Freezes that follow one another without a gap are one. Undefined where that goes on for longer than is worth looking at. */
function thawOf(spans: readonly SpanForm[], now: Time): Time | undefined {
  let at = now;
  for (let round = 0; round < 100; round++) {
    const { states, broken } = look(spans, at);
    const ends = states.flatMap(({ state }) => state.inside?.until ?? []);
    if (broken !== undefined) return undefined;
    if (ends.length === 0) return at;
    at = Math.max(...ends);
  }
  return undefined;
}

function look(
  spans: readonly SpanForm[],
  now: Time,
): {
  readonly states: readonly { readonly span: SpanForm; readonly state: SpanState }[];
  readonly broken: string | undefined;
} {
  let broken: string | undefined;
  const states = spans.flatMap((span) => {
    try {
      return [{ span, state: spanAt(span, now) }];
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      broken = `${span.place.file}:${span.place.line ?? 1}: the rule ${span.rule ?? span.starts} can't be followed: ${why}`;
      return [];
    }
  });
  return { states, broken };
}

function least(times: readonly Time[]): Time | undefined {
  return times.length === 0 ? undefined : Math.min(...times);
}

function named({ name }: SpanForm, otherwise: string): string {
  return name ?? otherwise;
}
