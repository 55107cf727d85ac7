import { type Label, providedFor, type Target } from '../graph/index.ts';
import { allInputs, labelsIn } from './target.ts';

export type Targets = ReadonlyMap<Label, Target>;

export interface Dependency {
  readonly label: Label;
  /** Named by the target, or exported by one that is. */
  readonly direct: boolean;
}

/**
 * The dependencies whose outputs an action sees beside its sources and tools: those that the target names and what these
 * export; with `needsTransitiveDeps` all that they reach, up to targets whose output is complete. A dependency comes before what
 * depends on it, and otherwise in the order of the BUILD files.
 */
export function visibleDependencies(targets: Targets, target: Target): Dependency[] {
  const direct = new Set<Label>();
  const spread = [...provided(targets, target, target.deps)];
  for (let label = spread.pop(); label !== undefined; label = spread.pop()) {
    if (direct.has(label)) continue;
    direct.add(label);
    const dependency = targets.get(label);
    if (dependency !== undefined) spread.push(...provided(targets, target, dependency.exportedDeps));
  }
  const found = new Map<Label, Dependency>();
  const next = (label: Label): readonly Label[] => {
    const dependency = targets.get(label);
    if (dependency === undefined) return [];
    const onward = target.needsTransitiveDeps && !dependency.outputIsComplete;
    return onward ? needs(targets, target, dependency) : provided(targets, target, dependency.exportedDeps);
  };
  const roots = target.needsTransitiveDeps ? needs(targets, target, target) : provided(targets, target, target.deps);
  const own = new Set(sourceLabels(targets, target));
  for (const label of postOrder(roots, next)) {
    // The outputs of its own sources are laid out as sources; only what is behind them is seen here.
    if (own.has(label) && !target.deps.includes(label)) continue;
    found.set(label, { label, direct: direct.has(label) });
  }
  return [...found.values()];
}

/** What a target's dependants may need along with it. The sources of a group of files are the group itself. */
function needs(targets: Targets, dependant: Target, target: Target): Label[] {
  const own = target === dependant || target.action.kind === 'filegroup' ? labelsIn(target.srcs) : [];
  const { deps, internalDeps } = target;
  const seen =
    target === dependant || internalDeps === undefined ? deps : deps.filter((each) => !internalDeps.includes(each));
  return provided(targets, dependant, [...seen, ...target.exportedDeps, ...own]);
}

/** Labels with what they provide for the dependant's `requires` in their place. */
function provided(targets: Targets, dependant: Target, labels: readonly Label[]): Label[] {
  if (dependant.requires.length === 0) return [...labels];
  return labels.flatMap((label) => {
    const offers = targets.get(label)?.provides;
    if (offers === undefined) return [label];
    const taken = dependant.requires.flatMap((name) => offers[name] ?? []);
    return taken.length === 0 ? [label] : taken;
  });
}

/** What a target takes for one of its inputs: what that provides for it, if it is a source and provides something. */
export function standIns(
  targets: Targets,
  target: Target,
  { label, named }: { readonly label: Label; readonly named?: string },
  role: 'srcs' | 'tools',
): readonly Label[] {
  const dependency = named === undefined ? targets.get(label) : undefined;
  return dependency === undefined ? [label] : providedFor(target, role, dependency);
}

function sourceLabels(targets: Targets, target: Target): Label[] {
  const found = allInputs(target.srcs).flatMap((input) =>
    input.kind === 'label' ? standIns(targets, target, input, 'srcs') : [],
  );
  return [...new Set(found)];
}

/** All that a target's action needs to be there: sources, tools with what these need when they run, dependencies. */
export function actionDependencies(targets: Targets, target: Target): Label[] {
  const labels = new Set<Label>(sourceLabels(targets, target));
  for (const tool of labelsIn(target.tools)) for (const label of withData(targets, tool)) labels.add(label);
  for (const { label } of visibleDependencies(targets, target)) labels.add(label);
  labels.delete(target.label);
  return [...labels];
}

/** All that a test needs to be there beside its own outputs. */
export function testDependencies(targets: Targets, target: Target): Label[] {
  const labels = new Set<Label>();
  for (const label of labelsIn(target.data)) for (const each of withData(targets, label)) labels.add(each);
  if (target.test !== undefined) {
    for (const tool of labelsIn(target.test.tools)) for (const each of withData(targets, tool)) labels.add(each);
  }
  labels.delete(target.label);
  return [...labels];
}

/** A target with all that it needs at run time, however far: what it needs comes before it. */
export function withData(targets: Targets, label: Label): Label[] {
  return [...postOrder([label], (each) => runtimeNeeds(targets, each))];
}

function runtimeNeeds(targets: Targets, label: Label): readonly Label[] {
  return [...new Set(withGrouped(targets, label).flatMap(({ data }) => labelsIn(data)))];
}

/** A target; of a group of files also those that it groups: what these need when they run, it needs. */
export function withGrouped(targets: Targets, label: Label): Target[] {
  const found: Target[] = [];
  const labels = new Set([label]);
  for (const each of labels) {
    const target = targets.get(each);
    if (target === undefined) continue;
    found.push(target);
    if (target.action.kind === 'filegroup') for (const source of labelsIn(target.srcs)) labels.add(source);
  }
  return found;
}

/** Each label once, after all that `next` gives for it. Without recursion: chains can be thousands of targets long. */
export function postOrder(roots: readonly Label[], next: (label: Label) => readonly Label[]): Set<Label> {
  const done = new Set<Label>();
  const entered = new Set<Label>();
  const stack: { label: Label; rest: readonly Label[]; at: number }[] = [{ label: '//:', rest: roots, at: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const label = top.rest[top.at++];
    if (label === undefined) {
      stack.pop();
      if (stack.length > 0) done.add(top.label);
    } else if (!entered.has(label)) {
      entered.add(label);
      stack.push({ label, rest: next(label), at: 0 });
    }
  }
  return done;
}
