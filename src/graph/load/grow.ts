import type { FunctionValue } from '../../language/index.ts';
import { dependenciesOf } from '../evaluate/dependency.ts';
import { joinFaults } from '../evaluate/place.ts';
import { GraphFault } from '../fault.ts';
import type { SourceTree } from '../files/tree.ts';
import { splitLabel } from '../names/label.ts';
import type { Label, Target } from '../types.ts';
import { checkDependencies, checkFiles, checkOutputs } from './check.ts';

/**
 * The targets of a graph while it is built: `post_build` functions read what an action has printed, and change the graph behind
 * it. So that the outcome does not hang on which action ends first, a target is what the functions of those make of it that it
 * depends on, in an order of their own; and a function may change only its own target, targets that depend on it, and those that
 * it makes.
 */
export interface GrowingTargets {
  /** All targets there are so far. Those that are settled are as they stay; others as evaluation has left them. */
  readonly targets: ReadonlyMap<Label, Target>;
  /**
   * A target that is about to be built, as functions have left it. It may then need more, which has to be built before it is
   * settled again, until it needs nothing more.
   *
   * @param needs all targets that its action depends on: each is built
   */
  settle(label: Label, needs: readonly Label[]): Target;
  /**
   * Runs the `post_build` function of a settled target.
   *
   * @param printed standard output of its action
   * @param outs outputs that came out of `output_dirs`
   * @returns the target as its function leaves it
   * @throws GraphFault graph/post-build with the place in the function; or what is wrong with targets that it made or changed
   */
  built(label: Label, printed: string, outs: readonly string[]): Target;
}

/** What of a graph growth begins with. */
export interface GrownGraph {
  readonly workspace: { readonly buildFiles: readonly string[] };
  readonly tree: SourceTree;
  readonly targets: ReadonlyMap<Label, Target>;
}

/** What is behind growing targets: the evaluation that the functions belong to. */
export interface GrowthSource {
  /** The function that evaluation has found at a target. */
  postBuild(label: Label): FunctionValue | undefined;
  /**
   * Runs a function on a package's targets, and leaves its changes in them.
   *
   * @returns the functions of targets that it made
   * @throws GraphFault | LanguageFault
   */
  runPostBuild(
    callee: FunctionValue,
    label: Label,
    printed: string,
    targets: Map<string, Target>,
  ): ReadonlyMap<Label, FunctionValue>;
  /** The targets of a package, as evaluation has left them. @throws GraphFault where the package is wrong */
  evaluated(packageName: string): ReadonlyMap<string, Target> | undefined;
}

/** What a function changes of a package behind others, and the functions that follow on that. */
interface Step {
  readonly changes: readonly Target[];
  readonly next: Map<Label, Step>;
}

type Labels = ReadonlySet<Label>;
const none: Labels = new Set();

export function growTargets(graph: GrownGraph, source: GrowthSource): GrowingTargets {
  const targets = new Map(graph.targets);
  /** What each built target has printed, and what it has made beyond its outs. */
  const outputs = new Map<Label, { readonly printed: string; readonly outs: readonly string[] }>();
  /** Of what is settled: those with a function that it depends on, itself included once it is built. */
  const reached = new Map<Label, Labels>();
  /** By label of a target that a function has made: the target with that function. */
  const makers = new Map<Label, Label>();
  /** Functions of such targets, as the run that they were first made by left them: the one on behalf of their maker. */
  const callbacks = new Map<Label, FunctionValue>();
  const bases = new Map<string, ReadonlyMap<string, Target>>();
  /** By package: what certain functions, one after the other, change of it. */
  const steps = new Map<string, Step>();

  const unite = (all: readonly Labels[]): Labels => {
    const sets = all.filter(({ size }) => size > 0);
    let largest = none;
    for (const set of sets) if (set.size > largest.size) largest = set;
    if (sets.every((set) => [...set].every((each) => largest.has(each)))) return largest;
    return new Set(sets.flatMap((set) => [...set]));
  };

  /** Those of one package, each after those that it depends on. */
  const inOrder = (labels: Labels, packageName: string): Label[] =>
    [...labels]
      .filter((each) => splitLabel(each).package === packageName)
      .sort((a, b) => (reached.get(a)?.size ?? 0) - (reached.get(b)?.size ?? 0) || (a < b ? -1 : 1));

  /** A package as functions, one after the other, leave it. */
  const view = (packageName: string, functions: readonly Label[]): ReadonlyMap<string, Target> => {
    const all = new Map(base(packageName));
    let step: Step = steps.get(packageName) ?? { changes: [], next: new Map() };
    steps.set(packageName, step);
    for (const label of functions) {
      let next: Step | undefined = step.next.get(label);
      if (next === undefined) {
        next = { changes: afterFunction(label, all), next: new Map() };
        step.next.set(label, next);
      }
      for (const each of next.changes) all.set(each.name, each);
      step = next;
    }
    return all;
  };

  /** Takes back what a function was seen to do. */
  const forgetStep = (packageName: string, label: Label): void => {
    const first = steps.get(packageName);
    const pending = first === undefined ? [] : [first];
    for (const step of pending) {
      step.next.delete(label);
      pending.push(...step.next.values());
    }
  };

  const base = (packageName: string): ReadonlyMap<string, Target> => {
    let found = bases.get(packageName);
    if (found === undefined) {
      found = new Map(source.evaluated(packageName));
      bases.set(packageName, found);
    }
    return found;
  };

  const evaluated = (label: Label): Target | undefined => {
    const { package: packageName, name } = splitLabel(label);
    return source.evaluated(packageName)?.get(name);
  };

  /** The targets that a function makes and changes. */
  const afterFunction = (label: Label, before: ReadonlyMap<string, Target>): Target[] => {
    const { printed, outs } = outputs.get(label)!;
    const own = before.get(splitLabel(label).name)!;
    const after = new Map(before);
    // What came out of output_dirs is among its outputs when the function asks.
    after.set(own.name, Object.freeze({ ...own, outs: Object.freeze([...own.outs, ...outs]) }));
    const start = new Map(after);
    const begun = after.get(own.name)!;
    try {
      const callee = source.postBuild(label) ?? callbacks.get(label)!;
      const more = source.runPostBuild(callee, label, printed, after);
      for (const [made, callback] of more) if (!callbacks.has(made)) callbacks.set(made, callback);
    } catch (error) {
      throw failed(own, error);
    }
    const changed = [...after.values()].filter((each) => start.get(each.name) !== each);
    for (const each of changed) {
      const isNew = !before.has(each.name);
      if (isNew) noteMade(each, label, own);
      else if (
        each.label !== label &&
        makers.get(each.label) !== label &&
        !dependsOn(start.get(each.name)!, label, start)
      ) {
        throw new GraphFault(
          'graph/post-build',
          `the post_build function of ${label} changes ${each.label}, which does not depend on it`,
          {
            place: own.place,
            related: [{ message: 'the target', place: each.place }],
            next: `make ${each.label} depend on ${label}: what is built before or beside it would be another one each time`,
          },
        );
      }
    }
    check(own, changed, after);
    // What came out of output_dirs is a change, too.
    return outs.length > 0 && after.get(own.name) === begun ? [...changed, begun] : changed;
  };

  const noteMade = (made: Target, label: Label, own: Target): void => {
    const before = makers.get(made.label);
    const isOfBoth = before !== undefined && before !== label;
    if (isOfBoth || (before === undefined && targets.has(made.label))) {
      throw new GraphFault('graph/duplicate-target', `two targets of //${made.package} are named ${made.name}`, {
        place: own.place,
        related: isOfBoth
          ? [{ message: `${before} makes it too`, place: targets.get(before)?.place ?? own.place }]
          : [],
        next: 'give one of them another name',
      });
    }
    makers.set(made.label, label);
    if (!targets.has(made.label)) targets.set(made.label, made);
  };

  /** Whether a target is built after another one, as far as is known. */
  const dependsOn = (from: Target, label: Label, own: ReadonlyMap<string, Target>): boolean => {
    const seen = new Set<Label>([from.label]);
    // The nearest first: most depend on it directly.
    const pending = [from];
    for (const target of pending) {
      const provided = Object.values(target.provides).flat();
      const named = dependenciesOf(target).flatMap((each) => (each.role === 'data' ? [] : [each.label]));
      for (const next of [...named, ...(target === from ? [] : provided)]) {
        if (next === label) return true;
        if (seen.has(next)) continue;
        seen.add(next);
        const { package: packageName, name } = splitLabel(next);
        const found = packageName === from.package ? own.get(name) : (targets.get(next) ?? evaluated(next));
        if (found !== undefined) pending.push(found);
      }
    }
    return false;
  };

  /** Brings in what new dependencies reach, and holds it all to what every graph is held to. */
  const check = (own: Target, changed: readonly Target[], after: ReadonlyMap<string, Target>): void => {
    const fresh: Target[] = [];
    const pending = changed.flatMap(namedBy);
    for (let label = pending.pop(); label !== undefined; label = pending.pop()) {
      const { package: packageName, name } = splitLabel(label);
      if (targets.has(label) || (packageName === own.package && after.has(name))) continue;
      const found = evaluated(label);
      if (found === undefined) continue;
      targets.set(label, found);
      fresh.push(found);
      pending.push(...namedBy(found));
    }
    // What the checks ask for, and what a wrong name may have meant.
    const seen = new Map([...after.values()].map((each) => [each.label, each]));
    for (const each of [...changed, ...fresh]) {
      for (const label of namedBy(each)) {
        const named = seen.get(label) ?? targets.get(label);
        if (named !== undefined) seen.set(label, named);
      }
    }
    const { tree, workspace } = graph;
    const checked = { targets: seen, tree, buildFiles: workspace.buildFiles, broken: new Set<string>() };
    const faults = [...changed, ...fresh].flatMap((each) => [
      ...checkDependencies(checked, each),
      ...checkFiles(checked, each),
    ]);
    const find = (label: Label) => seen.get(label) ?? targets.get(label);
    faults.push(...checkOutputs(after.values(), find));
    if (faults.length === 0) return;
    const { code, message, place, related, next, others } = joinFaults(faults) as GraphFault;
    throw new GraphFault(code, message, {
      place,
      related: [...related, { message: `the post_build function of ${own.label} made it so`, place: own.place }],
      next,
      others,
    });
  };

  return {
    targets,
    settle(label, needs) {
      const maker = makers.get(label);
      const sets = [...needs, ...(maker === undefined ? [] : [maker])].map((each) => reached.get(each) ?? none);
      const functions = unite(sets);
      reached.set(label, functions);
      const { package: packageName, name } = splitLabel(label);
      const own = inOrder(functions, packageName);
      const settled = own.length === 0 ? targets.get(label) : view(packageName, own).get(name);
      if (settled === undefined) throw new Error(`${label} is gone`);
      targets.set(label, settled);
      return settled;
    },
    built(label, printed, outs) {
      const { package: packageName, name } = splitLabel(label);
      if (outputs.has(label)) {
        // It was run before, with other output.
        forgetStep(packageName, label);
        for (const [made, maker] of makers) if (maker === label) forget(made);
      }
      outputs.set(label, { printed, outs });
      const before = new Set(reached.get(label) ?? none);
      before.delete(label);
      const all = new Set([...before, label]);
      reached.set(label, all);
      const settled = view(packageName, inOrder(all, packageName)).get(name)!;
      targets.set(label, settled);
      return settled;
    },
  };

  function forget(label: Label): void {
    makers.delete(label);
    callbacks.delete(label);
    targets.delete(label);
  }
}

function namedBy(target: Target): Label[] {
  return [...dependenciesOf(target).map(({ label }) => label), ...Object.values(target.provides).flat()];
}

function failed(target: Target, error: unknown): unknown {
  if (!(error instanceof Error) || !('place' in error)) return error;
  const { message, place, related, notes, next, others } = error as GraphFault;
  return new GraphFault('graph/post-build', `the post_build function of ${target.label} failed: ${message}`, {
    place: place ?? target.place,
    related: [...related, { message: 'the target', place: target.place }],
    notes,
    next,
    others,
    cause: error,
  });
}
