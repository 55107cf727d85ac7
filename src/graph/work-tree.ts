import type { SourceTree } from './tree.ts';
/** The files as they lie on the disk. */
export declare function openWorkTree(root: string): Promise<SourceTree>;
