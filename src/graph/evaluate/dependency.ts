import type { Input, Inputs, Label, Target } from '../types.ts';

/** Why one target needs another. */
export type Role = 'srcs' | 'deps' | 'exported_deps' | 'tools' | 'data' | 'test_tools';

export interface Dependency {
  readonly label: Label;
  readonly role: Role;
  /** Only these outputs. */
  readonly named?: string | undefined;
}

/** What a target names, as written. */
export function dependenciesOf(target: Target): Dependency[] {
  const found: Dependency[] = [];
  const add = (role: Role, inputs: readonly Input[]) => {
    for (const input of inputs)
      if (input.kind === 'label') found.push({ label: input.label, role, named: input.named });
  };
  add('srcs', target.srcs.all);
  for (const label of target.deps) found.push({ label, role: 'deps' });
  for (const label of target.exportedDeps) found.push({ label, role: 'exported_deps' });
  add('tools', target.tools.all);
  add('data', target.data.all);
  if (target.test !== undefined) add('test_tools', target.test.tools.all);
  return found;
}

/**
 * What stands in for a dependency: of one that `provides` what this target `requires`, the targets that it provides.
 * Tools and data are taken as they are.
 */
export function providedFor(target: Target, role: Role, dependency: Target): readonly Label[] {
  if (target.requires.length === 0 || role === 'tools' || role === 'data' || role === 'test_tools')
    return [dependency.label];
  const provided = target.requires.flatMap((kind) => dependency.provides[kind] ?? []);
  return provided.length === 0 ? [dependency.label] : [...new Set(provided)];
}

/** Dependencies with `provides` resolved, each label once, in the order written. Labels that are missing stay. */
export function resolvedDependencies(
  targets: ReadonlyMap<Label, Target>,
  target: Target,
  roles?: ReadonlySet<Role>,
): Label[] {
  const labels = new Set<Label>();
  for (const { label, role, named } of dependenciesOf(target)) {
    if (roles !== undefined && !roles.has(role)) continue;
    // Outputs that are named are this target's own: nothing stands in for them.
    const dependency = named === undefined ? targets.get(label) : undefined;
    for (const each of dependency === undefined ? [label] : providedFor(target, role, dependency)) labels.add(each);
  }
  return [...labels];
}

/** Source files of a target, for building, running and testing. */
export function filesOf(target: Target): string[] {
  const files = new Set<string>();
  const add = (inputs: Inputs) => {
    for (const input of inputs.all) if (input.kind === 'file') files.add(input.path);
  };
  add(target.srcs);
  add(target.data);
  return [...files];
}
