import { resolvedDependencies } from '../evaluate/dependency.ts';
import type { Label, Target } from '../types.ts';

/**
 * What a target with `stamp` finds in `$STAMP_FILE`: the labels and licences of all targets that it depends on, as JSON in the
 * form that Please has for it.
 */
export function stampFile(targets: ReadonlyMap<Label, Target>, stamped: Target): string {
  const known = new Map<Label, Target>([[stamped.label, stamped]]);
  for (const target of known.values()) {
    for (const label of resolvedDependencies(targets, target)) {
      const dependency = targets.get(label);
      if (dependency !== undefined && !known.has(label)) known.set(label, dependency);
    }
  }
  const told = [...known.keys()].sort().map((label) => {
    const { labels, licences = [] } = known.get(label)!;
    return [label, { ...(labels.length > 0 && { labels }), ...(licences.length > 0 && { licences }) }];
  });
  return `${JSON.stringify({ targets: Object.fromEntries(told) }, undefined, 2)}\n`;
}
