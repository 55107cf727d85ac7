import { hash } from 'node:crypto';
import { filesOf, resolvedDependencies } from '../evaluate/dependency.ts';
import type { Graph } from '../load/load.ts';
import { findTarget } from '../query/query.ts';
import type { Label, Target } from '../types.ts';
import { attributesOf } from './attributes.ts';
import { stampFile } from './stamp.ts';

export interface HashOptions {
  /** Further inputs of a target, mixed into its hash: the versions of tools, the code of a built-in action. */
  readonly extraInputs?: (target: Target) => string;
}

/** Part of every hash: a change of what is hashed makes all of them new. */
const version = 'banksman target 4';

/** A function that gives hashes of one graph's targets, each computed once. */
export function createTargetHasher(graph: Graph, options: HashOptions = {}): (label: Label) => string {
  const known = new Map<Label, string>();
  return (label) => {
    const before = known.get(label);
    if (before !== undefined) return before;
    // Depth first with a stack of its own: chains of dependencies are longer than the call stack.
    const stack: Label[] = [findTarget(graph, label).label];
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const target = graph.targets.get(top)!;
      const needed = resolvedDependencies(graph.targets, target);
      const open = known.has(top) ? [] : needed.filter((each) => !known.has(each));
      if (open.length > 0) {
        stack.push(...open);
        continue;
      }
      if (!known.has(top)) {
        const lines = needed.map((each) => dependencyLine(each, known.get(each)!));
        known.set(top, combinedHash(definitionHash(graph, target), lines, options.extraInputs?.(target)));
      }
      stack.pop();
    }
    return known.get(label)!;
  };
}

/**
 * SHA-256 in hex over a target's own part: its definition, and content and mode of its source files; for a stamped one also
 * what it is told of those that it depends on, and for one with an open `post_build` function all files.
 */
export function definitionHash({ tree, targets }: Pick<Graph, 'tree' | 'targets'>, target: Target): string {
  // The root stands for every file there is: what an open function leads to can be any of them.
  const paths = target.postBuild?.open === true ? [...filesOf(target), ''] : filesOf(target);
  const files = paths.map((path) => [path, tree.contentHash(path)]);
  const stamp = target.stamp === undefined ? [] : [stampFile(targets, target)];
  return hash('sha256', JSON.stringify([version, attributesOf(target), files, ...stamp]));
}

export function dependencyLine(label: Label, hash: string): string {
  return `${label} ${hash}`;
}

/** A target's hash from its own part and those of its dependencies, in whatever order these come. */
export function combinedHash(definition: string, dependencyLines: string[], extra = ''): string {
  return hash('sha256', `${definition}\n${dependencyLines.sort().join('\n')}\n\n${extra}`);
}

const hashers = new WeakMap<Graph, (label: Label) => string>();

/**
 * SHA-256 in hex over all that determines what a target is: definition, content and mode of its source files,
 * and the hashes of its dependencies. Comments, line numbers, visibility and selection labels are no part of it.
 */
export function targetHash(graph: Graph, label: Label): string {
  let hasher = hashers.get(graph);
  if (hasher === undefined) {
    hasher = createTargetHasher(graph);
    hashers.set(graph, hasher);
  }
  return hasher(label);
}
