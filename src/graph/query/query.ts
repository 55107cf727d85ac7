import { nearest } from '../../fault/index.ts';
import { dependenciesOf, type Role, resolvedDependencies } from '../evaluate/dependency.ts';
import { GraphFault } from '../fault.ts';
import type { Graph } from '../load/load.ts';
import { formatPattern, nearestLabel, parsePattern, patternCoversPackage, splitLabel } from '../names/label.ts';
import type { Label, Target } from '../types.ts';

/** @throws GraphFault graph/missing-target with the nearest name */
export function findTarget(graph: Pick<Graph, 'targets'>, label: Label): Target {
  const target = graph.targets.get(label);
  if (target !== undefined) return target;
  const near = nearestLabel(label, graph.targets);
  throw new GraphFault('graph/missing-target', `there is no target ${label}`, {
    next: near === undefined ? 'list what there is: banksman query targets //...' : `did you mean ${near}?`,
  });
}

/**
 * Labels of a graph that match patterns, sorted.
 *
 * @throws GraphFault where a pattern names a target or package that is missing
 */
export function targetsMatching(graph: Graph, patterns: readonly string[], currentPackage = ''): Label[] {
  const found = new Set<Label>();
  for (const text of patterns) {
    const pattern = parsePattern(text, currentPackage);
    if (pattern.kind === 'target') {
      found.add(findTarget(graph, pattern.label).label);
      continue;
    }
    // By names alone: the targets of a kept graph need not be looked at.
    const covered = new Set([...graph.packages.keys()].filter((name) => patternCoversPackage(pattern, name)));
    if (covered.size === 0 && pattern.package !== '') {
      const near = nearest(pattern.package, graph.packages.keys());
      throw new GraphFault(
        'graph/missing-package',
        `${formatPattern(pattern)} selects nothing: there is no package //${pattern.package}`,
        {
          next: near && `did you mean //${near}?`,
        },
      );
    }
    for (const label of graph.targets.keys()) if (covered.has(splitLabel(label).package)) found.add(label);
  }
  return [...found].sort();
}

/** All labels that a target names (sources, dependencies, tools, data), `provides` resolved. */
export function directDependencies(graph: Graph, label: Label): Label[] {
  return resolvedDependencies(graph.targets, findTarget(graph, label));
}

/** These and every target that they name, `provides` looked into, or that those name. What there is of a graph where only they are wanted. */
export function reached({ targets }: Pick<Graph, 'targets'>, labels: readonly Label[]): Label[] {
  const found = new Set(labels);
  for (const label of found) {
    const target = targets.get(label);
    if (target === undefined) continue;
    for (const each of dependenciesOf(target)) found.add(each.label);
    for (const provided of Object.values(target.provides)) for (const each of provided) found.add(each);
  }
  return [...found].filter((label) => targets.has(label)).sort();
}

/** Every target that these reach, themselves left out, sorted. `levels`: 1 for direct ones only. */
export function dependencies(graph: Graph, labels: readonly Label[], levels = Number.POSITIVE_INFINITY): Label[] {
  return reach(labels, levels, (label) => directDependencies(graph, label).filter((each) => graph.targets.has(each)));
}

/** Every target that reaches these, themselves left out, sorted. */
export function reverseDependencies(
  graph: Graph,
  labels: readonly Label[],
  levels = Number.POSITIVE_INFINITY,
): Label[] {
  for (const label of labels) findTarget(graph, label);
  const users = new Map<Label, Label[]>();
  for (const target of graph.targets.values()) {
    for (const label of resolvedDependencies(graph.targets, target)) {
      const known = users.get(label);
      if (known === undefined) users.set(label, [target.label]);
      else known.push(target.label);
    }
  }
  return reach(labels, levels, (label) => users.get(label) ?? []);
}

/** Breadth first, so that a label counts at its least distance. */
function reach(labels: readonly Label[], levels: number, next: (label: Label) => readonly Label[]): Label[] {
  const seen = new Set(labels);
  let edge: readonly Label[] = labels;
  for (let level = 0; level < levels && edge.length > 0; level++) {
    const further: Label[] = [];
    for (const label of edge) {
      for (const each of next(label)) {
        if (seen.has(each)) continue;
        seen.add(each);
        further.push(each);
      }
    }
    edge = further;
  }
  for (const label of labels) seen.delete(label);
  return [...seen].sort();
}

const buildRoles: ReadonlySet<Role> = new Set(['srcs', 'deps', 'exported_deps']);
const dependencyRoles: ReadonlySet<Role> = new Set(['deps', 'exported_deps']);
const exportRoles: ReadonlySet<Role> = new Set(['exported_deps']);

/**
 * The targets whose outputs are laid out for a target's action beside its sources and tools: its dependencies and what
 * these export; with `needsTransitiveDeps` everything that they reach, up to targets whose output is complete. A target
 * comes behind those that it depends on.
 */
export function buildDependencies(graph: Graph, label: Label): Label[] {
  const target = findTarget(graph, label);
  const direct = resolvedDependencies(graph.targets, target, dependencyRoles);
  const sources = new Set(resolvedDependencies(graph.targets, target, buildRoles));
  const onward = (each: Target): Label[] => {
    if (!target.needsTransitiveDeps) return resolvedDependencies(graph.targets, each, exportRoles);
    return each.outputIsComplete ? [] : resolvedDependencies(graph.targets, each, buildRoles);
  };
  const order: Label[] = [];
  const seen = new Set<Label>();
  const stack: { label: Label; next: Label[] | undefined }[] = [...sources]
    .reverse()
    .map((each) => ({ label: each, next: undefined }));
  while (stack.length > 0) {
    const top = stack[stack.length - 1]!;
    if (top.next === undefined) {
      if (seen.has(top.label)) {
        stack.pop();
        continue;
      }
      seen.add(top.label);
      top.next = onward(findTarget(graph, top.label)).reverse();
    }
    const next = top.next.pop();
    if (next !== undefined) {
      if (!seen.has(next)) stack.push({ label: next, next: undefined });
    } else {
      order.push(top.label);
      stack.pop();
    }
  }
  // What is named as a source is laid out as such; here it counts only where it is a dependency too.
  const named = new Set(direct);
  const reached = new Set(order.filter((each) => !sources.has(each) || named.has(each)));
  for (const each of order) {
    for (const next of onward(findTarget(graph, each))) reached.add(next);
  }
  return order.filter((each) => reached.has(each));
}
