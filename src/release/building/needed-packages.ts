import { type Graph, type Label, type Role, resolvedDependencies, type Target } from '../../graph/index.ts';
import { configOf } from './action-config.ts';
import { isPackage } from './package-target.ts';

const roles: ReadonlySet<Role> = new Set(['srcs', 'deps', 'exported_deps']);

/**
 * Packages that images for another architecture than this machine's are made of. A lock has them all for each architecture, and most images
 * are for this machine: what none asks for need not be fetched.
 */
export function packagesOfImages(graph: Graph, architecture: string): ReadonlySet<Label> {
  const waiting = [...graph.targets.values()]
    .filter((target) => isImageFor(target, architecture))
    .map(({ label }) => label);
  const seen = new Set<Label>(waiting);
  for (let label = waiting.pop(); label !== undefined; label = waiting.pop()) {
    const target = graph.targets.get(label);
    if (target === undefined) continue;
    for (const each of resolvedDependencies(graph.targets, target, roles)) {
      if (seen.has(each)) continue;
      seen.add(each);
      waiting.push(each);
    }
  }
  return new Set([...seen].filter((label) => isPackageLabel(graph, label)));
}

function isPackageLabel({ targets }: Graph, label: Label): boolean {
  const target = targets.get(label);
  return target !== undefined && isPackage(target);
}

function isImageFor(target: Target, architecture: string): boolean {
  const { action } = target;
  return action.kind === 'builtin' && action.name === 'image' && configOf(target).architecture === architecture;
}
