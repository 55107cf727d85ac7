import { RRuleTemporal } from 'rrule-temporal';
import { Temporal } from 'temporal-polyfill';
import type { SpanForm } from '../../graph/index.ts';
import type { Time } from '../model/index.ts';

/** How a span stands to a time. */
export interface SpanState {
  /** The stretch that covers the time. */
  readonly inside?: { readonly from: Time; readonly until: Time } | undefined;
  /** When the next one begins. */
  readonly next?: Time | undefined;
}

interface Compiled {
  readonly once: { readonly from: Time; readonly until: Time } | undefined;
  /** Of clock times, as if they were UTC. */
  readonly rule: RRuleTemporal<Temporal.ZonedDateTime> | undefined;
  /** Why the rule can't be followed. */
  readonly broken?: Error;
}

/** Reading a rule costs more than asking it; forms are never changed. */
const compiled = new WeakMap<SpanForm, Compiled>();

/** Hours around a change of the clock in which clock times and moments are not in the same order. */
const disorder = 3;

/**
 * Where a time lies in a span.
 *
 * Rules count clock times. One that the clock skips is read with the offset before the change, one that comes twice is the first
 * (RFC 5545, 3.3.5). Section 3.3.10 would leave out those that are skipped: then a freeze would not hold on one day in the year.
 * Of a rule only what it says itself counts: a `starts` that does not fit it is no occurrence.
 *
 * @throws Error where the rule can't be followed: it has no occurrence, or asks for more steps than any real one needs
 */
export function spanAt(span: SpanForm, now: Time): SpanState {
  let known = compiled.get(span);
  if (known === undefined) {
    known = compile(span);
    compiled.set(span, known);
  }
  if (known.once !== undefined) {
    const { from, until } = known.once;
    return { ...(now >= from && now < until && { inside: { from, until } }), ...(now < from && { next: from }) };
  }
  const { rule, broken } = known;
  if (broken !== undefined) throw broken;
  if (rule === undefined) return {};
  const here = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(span.zone);
  const changes = here.subtract({ days: 1 }).offset !== here.add({ days: 1 }).offset;
  const clock = here.toPlainDateTime().toZonedDateTime('UTC');
  const margin = { hours: changes ? disorder : 0 };
  const real = (time: Temporal.ZonedDateTime) => time.toPlainDateTime().toZonedDateTime(span.zone);
  let last = rule.previous(clock.add(margin), true);
  while (last !== null && real(last).epochMilliseconds > now) last = rule.previous(last, false);
  let next = rule.next(clock.subtract(margin), false);
  while (next !== null && real(next).epochMilliseconds <= now) next = rule.next(next, false);
  const from = last === null ? undefined : real(last);
  const until = from === undefined ? now : endOf(span, from);
  return {
    ...(from !== undefined && now < until && { inside: { from: from.epochMilliseconds, until } }),
    ...(next !== null && { next: real(next).epochMilliseconds }),
  };
}

function compile(span: SpanForm): Compiled {
  const start = Temporal.PlainDateTime.from(span.starts);
  if (span.rule === undefined) {
    const from = start.toZonedDateTime(span.zone);
    return { once: { from: from.epochMilliseconds, until: endOf(span, from) }, rule: undefined };
  }
  // UNTIL is a moment: it becomes a clock time as well.
  const rule = span.rule.replace(/(?<=UNTIL=)(\d{8})T(\d{6})Z/, (text) => {
    const clock = Temporal.Instant.from(text).toZonedDateTimeISO(span.zone).toPlainDateTime();
    return `${basic(clock.toString({ smallestUnit: 'second' }))}Z`;
  });
  const rruleString = `DTSTART:${basic(span.starts)}Z\nRRULE:${rule}`;
  try {
    const read = new RRuleTemporal({ rruleString, temporal: Temporal, strict: true });
    // 30 February never comes. To find that out takes the library half a second, which is spent once.
    if (read.next(Temporal.PlainDateTime.from(span.starts).toZonedDateTime('UTC'), true) === null) {
      throw new RangeError('it has no occurrence');
    }
    return { once: undefined, rule: read };
  } catch (error) {
    return { once: undefined, rule: undefined, broken: error instanceof Error ? error : new Error(String(error)) };
  }
}

/** ISO 8601 without signs between, as iCalendar writes times. */
function basic(time: string): string {
  return time.replace(/[-:]/g, '');
}

function endOf({ lasts, zone }: SpanForm, start: Temporal.ZonedDateTime): Time {
  if ('until' in lasts) return Temporal.PlainDateTime.from(lasts.until).toZonedDateTime(zone).epochMilliseconds;
  return start.add({ days: lasts.days }).add({ milliseconds: lasts.milliseconds }).epochMilliseconds;
}
