import type { SourceTree } from './tree.ts';
/**
 * A commit's files, read from git's objects.
 *
 * @throws GraphFault for an unknown revision, a shallow clone, no repository
 */
export declare function openCommit(root: string, revision: string): Promise<SourceTree>;
