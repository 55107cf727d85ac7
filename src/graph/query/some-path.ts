import type { Graph } from '../load/load.ts';
import type { Label } from '../types.ts';
import { directDependencies } from './query.ts';

/**
 * A shortest chain of dependencies from one of some targets to one of others, both ends included.
 *
 * @returns undefined where none of the first reaches any of the second
 */
export function somePath(graph: Graph, from: readonly Label[], to: readonly Label[]): Label[] | undefined {
  const goals = new Set(to);
  const cameFrom = new Map<Label, Label | undefined>(from.map((label) => [label, undefined]));
  // A Map goes on to what is added while it is walked: that makes it the queue of the search too.
  for (const label of cameFrom.keys()) {
    if (goals.has(label)) {
      const path = [label];
      for (let at = cameFrom.get(label); at !== undefined; at = cameFrom.get(at)) path.push(at);
      return path.reverse();
    }
    for (const next of directDependencies(graph, label))
      if (!cameFrom.has(next) && graph.targets.has(next)) cameFrom.set(next, label);
  }
  return undefined;
}
