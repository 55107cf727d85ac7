import { nearest } from '../fault/index.ts';
import { type Environment, type Graph, type Label, splitLabel, type Workspace } from '../graph/index.ts';
import { ReleaseFault } from './fault.ts';
import { usualKind } from './kind.ts';
import type { Service } from './types.ts';

/**
 * An environment of banksman.yaml; `dev` unless told.
 *
 * @throws ReleaseFault release/unknown-environment with the nearest name
 */
export function environmentOf(workspace: Workspace, name = 'dev'): Environment {
  const environment = workspace.environments.get(name);
  if (environment !== undefined) return environment;
  const names = [...workspace.environments.keys()];
  const meant = nearest(name, names);
  throw new ReleaseFault('release/unknown-environment', `banksman.yaml has no environment ${JSON.stringify(name)}`, {
    place: workspace.place,
    next: meant !== undefined ? `did you mean ${meant}?` : `choose one of: ${names.join(', ')}`,
  });
}

/** The services of a graph, sorted by label. */
export function servicesOf(graph: Graph): Service[] {
  const labels = [...graph.targets.values()]
    .filter(({ action }) => action.kind === 'builtin' && action.name === 'k8s_config')
    .map(({ label }) => label)
    .sort();
  const counts = new Map<string, number>();
  for (const label of labels) {
    const { name } = splitLabel(label);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return labels.map((label) => {
    const { name } = splitLabel(label);
    const action = graph.targets.get(label)?.action;
    const config = action?.kind === 'builtin' ? (action.config as { owner?: unknown; kind?: unknown } | null) : null;
    return {
      label,
      name: counts.get(name) === 1 ? name : label.slice(2),
      owner: typeof config?.owner === 'string' ? config.owner : undefined,
      kind: config?.kind === 'service' || config?.kind === 'infrastructure' ? config.kind : usualKind(label),
    };
  });
}

/**
 * A service by label (`//bank/ledger`, `//bank/ledger:ledger`) or by short name (`ledger`).
 *
 * @throws ReleaseFault release/unknown-service with the nearest name
 */
export function findService(services: readonly Service[], text: string): Service {
  const full = fullLabel(text);
  const found = services.find(({ label, name }) => label === full || name === text);
  if (found !== undefined) return found;
  const names = services.flatMap(({ label, name }) => [name, label]);
  const meant = nearest(full ?? text, names);
  throw new ReleaseFault('release/unknown-service', `there is no service ${text}`, {
    next:
      meant !== undefined
        ? `did you mean ${meant}?`
        : services.length === 0
          ? 'make one with k8s_config in a BUILD file'
          : `choose one of: ${services.map(({ name }) => name).join(', ')}`,
  });
}

/** @returns undefined where the text is no absolute label */
function fullLabel(text: string): Label | undefined {
  if (!text.startsWith('//')) return undefined;
  return (text.includes(':') ? text : `${text}:${text.split('/').at(-1)}`) as Label;
}
