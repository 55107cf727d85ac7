import type { Place } from '../fault/index.ts';
import type { GraphFault } from './fault.ts';
import type { Label } from './types.ts';

/** A file that BUILD files include and that is built. */
export interface BuiltText {
  /** Relative to the root of the outputs. */
  readonly path: string;
  readonly text: string;
}

/** What is known of built targets that BUILD files include: their files, or why there are none. */
export type BuiltIncludes = Map<Label, readonly BuiltText[] | GraphFault>;

/**
 * Evaluation has met a target that it includes and that is not built yet. It is no fault: what evaluates has the target built and
 * begins anew with the files that were under evaluation.
 */
export class BuildNeeded extends Error {
  readonly label: Label;
  readonly place: Place;

  constructor(label: Label, place: Place) {
    super(`${label} has to be built before evaluation goes on`);
    this.label = label;
    this.place = place;
  }
}
