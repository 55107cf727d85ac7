import type { Place } from '../../fault/index.ts';
import type { GraphFault } from '../fault.ts';
import type { Label } from '../types.ts';

/** A file that BUILD files include and that is built. */
export interface BuiltText {
  /** Relative to the root of the outputs. */
  readonly path: string;
  readonly text: string;
}

/** What is known of built targets that evaluation needs, or why there is nothing. */
export interface BuiltIncludes {
  /** Files that BUILD files include. */
  readonly texts: Map<Label, readonly BuiltText[] | GraphFault>;
  /** Folders that are subrepos: where they are on the disk. */
  readonly folders: Map<Label, string | GraphFault>;
}

/**
 * Evaluation has met a target whose outputs it needs and that is not built yet. It is no fault: what evaluates has the target built and
 * begins anew with the files that were under evaluation.
 */
export class BuildNeeded extends Error {
  readonly label: Label;
  readonly place: Place;
  /** The subrepo that the target's folder is; undefined where its files are included. */
  readonly subrepo: string | undefined;

  constructor(label: Label, place: Place, subrepo?: string) {
    super(`${label} has to be built before evaluation goes on`);
    this.label = label;
    this.place = place;
    this.subrepo = subrepo;
  }
}
