import type { Place } from '../../fault/index.ts';
import { LanguageFault, placeOf, type Source, type Trace } from '../../language/index.ts';
import { GraphFault } from '../fault.ts';

/** The place of a string literal inside the call at a place; the call itself where the literal is not written in it. */
export function literalPlace(place: Place, text: string): Place {
  const { source, line, column, length } = place;
  if (source === undefined || line === undefined || column === undefined || length === undefined) return place;
  let start = 0;
  for (let at = 1; at < line; at++) start = source.indexOf('\n', start) + 1;
  start += column - 1;
  for (const quote of ['"', "'"]) {
    const found = source.indexOf(quote + text + quote, start);
    if (found !== -1 && found < start + length) {
      const file: Source = { file: place.file, text: source, internal: false };
      return placeOf(file, found, found + text.length + 2);
    }
  }
  return place;
}

/** Gives a fault that knows no place the place of the call that caused it. */
export function placed(error: unknown, trace: Trace): unknown {
  if (!(error instanceof GraphFault) || error.place !== undefined) return error;
  const { code, message, next, notes, cause } = error;
  return new GraphFault(code, message, {
    place: trace.place,
    related: [...error.related, ...trace.related],
    notes: [...notes, ...trace.notes],
    next,
    cause,
  });
}

/** Faults listed of a run; more help nobody. */
const shownFaults = 50;

/** One fault for many: the first by place, with the rest as its `others`. */
export function joinFaults(faults: readonly (GraphFault | LanguageFault)[]): GraphFault | LanguageFault {
  const sorted = [...faults].sort(
    (a, b) =>
      compareText(a.place?.file ?? '', b.place?.file ?? '') ||
      (a.place?.line ?? 0) - (b.place?.line ?? 0) ||
      (a.place?.column ?? 0) - (b.place?.column ?? 0),
  );
  const [first, ...rest] = sorted;
  if (first === undefined || rest.length === 0) return first!;
  const { message, place, next, related, cause } = first;
  const hidden = rest.length - (shownFaults - 1);
  const notes = hidden > 0 ? [...first.notes, `${hidden} more errors are not shown`] : first.notes;
  const details = { place, next, related, notes, cause, others: rest.slice(0, shownFaults - 1) };
  return first instanceof LanguageFault
    ? new LanguageFault(first.code, message, details)
    : new GraphFault(first.code, message, details);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
