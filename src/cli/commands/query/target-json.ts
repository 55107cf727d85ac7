import type { Target } from '../../../graph/index.ts';

/** A target for other programs: its place without the text of the whole file. */
export function targetJson({ place, ...target }: Target) {
  const { file, line, column } = place;
  return { ...target, place: { file, line, column } };
}
