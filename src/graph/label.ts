import type { Label, Target } from './types.ts';

/** What a person types to name targets: `//...`, `//a/...`, `//a:all`, `//a:b`, `:b`. */
export type LabelPattern =
  | { readonly kind: 'target'; readonly label: Label }
  | { readonly kind: 'package'; readonly package: string }
  | { readonly kind: 'below'; readonly package: string };

/**
 * Full form of a label: `//a/b` is `//a/b:b`, `:x` is in the current package.
 *
 * @param currentPackage '' for the root
 * @throws GraphFault graph/bad-label
 */
export declare function parseLabel(text: string, currentPackage?: string): Label;
/** @throws GraphFault graph/bad-label */
export declare function parsePattern(text: string, currentPackage?: string): LabelPattern;
export declare function splitLabel(label: Label): { package: string; name: string };
export declare function labelOf(packageName: string, name: string): Label;
/** Whether a target's visibility lets another depend on it. */
export declare function isTargetVisible(owner: Target, dependant: Label): boolean;
