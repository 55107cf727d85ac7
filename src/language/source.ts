import type { Place } from '../fault/index.ts';

/** A text with its name, as faults show it. */
export interface Source {
  /** Path as a person would type it. */
  readonly file: string;
  readonly text: string;
  /** The product's own rules: an error inside them is shown at the call that led there. */
  readonly internal: boolean;
}

const lineStarts = new WeakMap<Source, number[]>();

/** The place of a stretch of text, given by its offsets. */
export function placeOf(source: Source, start: number, end: number): Place {
  const starts = startsOf(source);
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= start) low = middle;
    else high = middle - 1;
  }
  return {
    file: source.file,
    line: low + 1,
    column: start - starts[low]! + 1,
    length: Math.max(1, end - start),
    source: source.text,
  };
}

function startsOf(source: Source): number[] {
  let starts = lineStarts.get(source);
  if (starts === undefined) {
    starts = [0];
    for (let at = source.text.indexOf('\n'); at !== -1; at = source.text.indexOf('\n', at + 1)) starts.push(at + 1);
    lineStarts.set(source, starts);
  }
  return starts;
}
