import { isFault } from '../../fault/index.ts';
import { type Graph, type Label, loadTargets, type Target, type Workspace } from '../../graph/index.ts';
import { ReleaseFault } from '../fault.ts';

/**
 * Holds what services name in `after` against the workspace: each is a service that there is. That is no dependency: nothing of it goes into
 * the build, and a circle is allowed.
 *
 * @param load evaluates what a label needs; for packages that the graph does not reach
 * @throws ReleaseFault release/unknown-service, release/not-a-service, at the service that names it
 */
export async function checkNeeded(
  { targets }: Graph,
  services: readonly Label[],
  load: (label: Label) => Promise<Target | undefined>,
): Promise<void> {
  for (const service of services) {
    const target = targets.get(service);
    for (const label of target === undefined ? [] : neededBy(target)) {
      const needed = targets.get(label) ?? (await load(label));
      const place = target?.place;
      if (needed === undefined) {
        throw new ReleaseFault('release/unknown-service', `${service} goes after ${label}, which does not exist`, {
          place,
          next: 'name a k8s_config target, or leave it out of after',
        });
      }
      if (!isService(needed)) {
        throw new ReleaseFault('release/not-a-service', `${service} goes after ${label}, which is a ${needed.rule}`, {
          place,
          related: [{ message: 'no service', place: needed.place }],
          next: 'name a k8s_config target, or leave it out of after',
        });
      }
    }
  }
}

/** A target by its label, from its package and what that reaches; undefined where there is none. */
export async function loadNeeded(
  workspace: Workspace,
  label: Label,
  options: Parameters<typeof loadTargets>[2],
): Promise<Target | undefined> {
  try {
    return (await loadTargets(workspace, [label], options)).graph.targets.get(label);
  } catch (error) {
    if (isFault(error) && (error.code === 'graph/missing-target' || error.code === 'graph/missing-package'))
      return undefined;
    throw error;
  }
}

function isService({ action }: Target): boolean {
  return action.kind === 'builtin' && action.name === 'k8s_config';
}

function neededBy(target: Target): readonly Label[] {
  if (!isService(target) || target.action.kind !== 'builtin') return [];
  const { after } = (target.action.config ?? {}) as { after?: unknown };
  return Array.isArray(after) ? after.filter((each): each is Label => typeof each === 'string') : [];
}
