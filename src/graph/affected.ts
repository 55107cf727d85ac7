import type { HashOptions } from './hash.ts';
import type { Graph, LoadOptions } from './load.ts';
import type { Label } from './types.ts';
import type { Workspace } from './workspace.ts';

/** Targets of `after` that are new or whose hash differs, sorted. */
export declare function affected(before: Graph, after: Graph, options?: HashOptions): Label[];

export interface Affected {
  readonly targets: readonly Label[];
  /** Said to the person: why every target counts as affected. */
  readonly note?: string;
  readonly after: Graph;
}

export interface SinceOptions extends LoadOptions, HashOptions {
  /** A revision as git knows them. */
  readonly since: string;
  /** The work tree unless told. */
  readonly to?: string | undefined;
}

/**
 * What changed since a commit. Commits are read from git's objects; the work tree is not touched.
 *
 * @throws GraphFault for an unknown revision, a shallow clone, no repository
 */
export declare function affectedSince(workspace: Workspace, options: SinceOptions): Promise<Affected>;
