import type { Place } from '../../fault/index.ts';
import { nearest } from '../../fault/index.ts';
import { dependenciesOf, filesOf, providedFor } from '../evaluate/dependency.ts';
import { groupNames, nameIn, outputNamesOf } from '../evaluate/output-names.ts';
import { literalPlace } from '../evaluate/place.ts';
import { GraphFault } from '../fault.ts';
import { buildFileOf } from '../files/glob.ts';
import type { SourceTree } from '../files/tree.ts';
import { builtPartOf, isTargetVisible, nearestLabel, packageLabel, splitLabel } from '../names/label.ts';
import { childPath, lastPart, parentPath } from '../paths.ts';
import type { Label, Target } from '../types.ts';
import { indexTargets, type TargetIndex } from './target-index.ts';

export interface CheckedTargets {
  readonly targets: ReadonlyMap<Label, Target>;
  readonly tree: SourceTree;
  readonly buildFiles: readonly string[];
  /** Packages whose evaluation failed: what they would have made is not called missing. */
  readonly broken: ReadonlySet<string>;
  /** All targets of a package, where more of it was evaluated than is checked. */
  readonly made?: (packageName: string) => Iterable<Target>;
}

/** Everything that is wrong between targets, each with both sides. */
export function checkTargets(checked: CheckedTargets): GraphFault[] {
  const faults: GraphFault[] = [];
  for (const target of checked.targets.values()) {
    faults.push(...checkDependencies(checked, target), ...checkFiles(checked, target));
  }
  const find = (label: Label) => checked.targets.get(label);
  faults.push(...checkOutputs(checked.targets.values(), find), ...findCycles(indexTargets(checked.targets)));
  return faults;
}

/** What is wrong with what one target depends on. */
export function checkDependencies(checked: CheckedTargets, target: Target): GraphFault[] {
  const { targets, broken, made } = checked;
  const faults: GraphFault[] = [];
  const told = new Set<Label>();
  for (const { label, role, named } of dependenciesOf(target)) {
    const dependency = targets.get(label);
    if (dependency === undefined) {
      if (broken.has(splitLabel(label).package) || told.has(label)) continue;
      told.add(label);
      faults.push(missingTarget(checked, target, label, made?.(splitLabel(label).package) ?? targets.values()));
      continue;
    }
    if (named !== undefined && !groupNames(dependency).includes(named)) {
      const near = nearest(named, groupNames(dependency));
      faults.push(
        new GraphFault(
          'graph/missing-target',
          `${target.label} takes ${label}|${named}, but ${label} has no outputs of that name`,
          {
            place: dependencyPlace(target, label),
            related: [{ message: 'the target', place: dependency.place }],
            next: near && `did you mean ${label}|${near}?`,
          },
        ),
      );
    }
    if (told.has(label)) continue;
    if (!isTargetVisible(dependency, target.label)) {
      told.add(label);
      faults.push(
        new GraphFault('graph/not-visible', `${target.label} depends on ${label}, which it may not see`, {
          place: dependencyPlace(target, label),
          related: [
            {
              message: `visible to ${dependency.visibility.join(', ') || 'its own package only'}`,
              place: dependency.place,
            },
          ],
          next: `add ${packageLabel(target.package)}:all to the visibility of ${label}, if its owner agrees`,
        }),
      );
    }
    if (dependency.testOnly && !target.testOnly && role !== 'tools') {
      told.add(label);
      faults.push(
        new GraphFault('graph/test-only', `${target.label} depends on ${label}, which is for tests only`, {
          place: dependencyPlace(target, label),
          related: [{ message: 'declared test_only', place: dependency.place }],
          next: 'depend on something else, or add test_only = True to the target that depends on it',
        }),
      );
    }
  }
  return faults;
}

function missingTarget(
  { targets, tree, buildFiles }: CheckedTargets,
  target: Target,
  label: Label,
  beside: Iterable<Target>,
): GraphFault {
  const { package: packageName } = splitLabel(label);
  const built = builtPartOf(packageName);
  if (built !== undefined && buildFileOf(tree, packageName, buildFiles) === undefined) {
    return new GraphFault('graph/missing-target', `${target.label} depends on ${label}, which does not exist`, {
      place: dependencyPlace(target, label),
      next: `look at the files of the subrepo ${built.subrepo}: it has no BUILD file in ${built.below || 'its root'}`,
    });
  }
  const near = nearestLabel(label, targets);
  const lock = lockAdvice(label, beside);
  return new GraphFault('graph/missing-target', `${target.label} depends on ${label}, which does not exist`, {
    place: dependencyPlace(target, label),
    notes: near === undefined || lock === undefined ? [] : [`or ${lock}`],
    next:
      near === undefined ? (lock ?? 'create that target, or remove it from the dependencies') : `did you mean ${near}?`,
  });
}

/**
 * What to do for a target that a lock file would have brought. A rule whose lock makes targets says in its configuration which
 * command writes it: `locked_by`.
 *
 * @param beside targets of the package that the label names
 */
export function lockAdvice(label: Label, beside: Iterable<Target>): string | undefined {
  const wanted = splitLabel(label);
  for (const { action, label: rule } of beside) {
    if (action.kind !== 'builtin' || splitLabel(rule).package !== wanted.package) continue;
    const { locked_by: command } = action.config as { locked_by?: unknown };
    if (typeof command === 'string') return `name ${wanted.name} in ${rule}, unless it is there, and run: ${command}`;
  }
  return undefined;
}

/** The label where the BUILD file writes it, in whichever of its forms. */
function dependencyPlace(target: Target, label: Label): Place {
  const { package: packageName, name } = splitLabel(label);
  const forms: string[] = [label];
  if (packageName === target.package) forms.push(`:${name}`);
  if (lastPart(packageName) === name) forms.push(packageLabel(packageName));
  for (const form of forms) {
    const place = literalPlace(target.place, form);
    if (place !== target.place) return place;
  }
  return target.place;
}

/** What is wrong with one target's source files. */
export function checkFiles({ tree, buildFiles }: CheckedTargets, target: Target): GraphFault[] {
  const faults: GraphFault[] = [];
  for (const path of filesOf(target)) {
    const written = target.package === '' ? path : path.slice(target.package.length + 1);
    // Looked for only where something is wrong.
    const place = () => literalPlace(target.place, written);
    const between = otherPackage(tree, buildFiles, target.package, path);
    if (between !== undefined) {
      faults.push(
        new GraphFault(
          'graph/crosses-package',
          `${target.label} takes the file ${path}, which belongs to the package ${packageLabel(between)}`,
          {
            place: place(),
            next: `make a target of it there, such as a filegroup, and name that: ${packageLabel(between)}:name`,
          },
        ),
      );
    } else if (tree.kind(path) === undefined) {
      const beside = tree.list(parentPath(path));
      // A commit that lacks the folder must say the same.
      const isBare = beside.some(({ name, kind }) => kind === 'folder' && name === lastPart(path));
      const near = nearest(
        lastPart(path),
        beside.map(({ name }) => name),
      );
      faults.push(
        new GraphFault('graph/missing-source', `${target.label} takes the file ${path}, which does not exist`, {
          place: place(),
          next: isBare
            ? 'put a file into this folder: git sees none in it, and keeps no empty folders'
            : near === undefined
              ? 'create it, or remove it from the sources'
              : `did you mean ${near}?`,
        }),
      );
    }
  }
  return faults;
}

/** The package that a file of a deeper folder belongs to, where that is another one. */
function otherPackage(
  tree: SourceTree,
  buildFiles: readonly string[],
  packageName: string,
  path: string,
): string | undefined {
  for (let folder = parentPath(path); folder.length > packageName.length; folder = parentPath(folder)) {
    if (buildFileOf(tree, folder, buildFiles) !== undefined) return folder;
  }
  return undefined;
}

/**
 * No two targets write the same file, and none writes a file where another needs a folder. A group shows files of others: several may
 * show the same one, but no two different ones at one path.
 *
 * @param find further targets, which groups show
 */
export function checkOutputs(all: Iterable<Target>, find: (label: Label) => Target | undefined): GraphFault[] {
  const faults: GraphFault[] = [];
  const owners = new Map<string, Target>();
  const groups: Target[] = [];
  for (const target of all) {
    if (target.action.kind === 'filegroup') {
      groups.push(target);
      continue;
    }
    for (const out of new Set(target.outs)) {
      const path = childPath(target.package, out);
      const owner = owners.get(path);
      if (owner === undefined) owners.set(path, target);
      else if (owner !== target) faults.push(clash(path, owner, target));
    }
  }
  for (const [path, target] of owners) {
    for (let folder = parentPath(path); folder !== ''; folder = parentPath(folder)) {
      const owner = owners.get(folder);
      if (owner !== undefined) faults.push(clash(folder, owner, target, ` as a folder for ${path}`));
    }
  }
  faults.push(...checkGroups(groups, owners, find));
  return faults;
}

/** @param makers targets that make files, by path */
function checkGroups(
  groups: readonly Target[],
  makers: ReadonlyMap<string, Target>,
  find: (label: Label) => Target | undefined,
): GraphFault[] {
  const faults: GraphFault[] = [];
  const shownBy = new Map<string, Target>();
  const known = new Map<string, Origins>();
  for (const group of groups) {
    const told = new Set<Target>();
    for (const name of new Set(outputNamesOf(find, group) ?? [])) {
      const path = childPath(group.package, name);
      for (const owner of [makers.get(path), shownBy.get(path)]) {
        // Programs and other outputs lie in folders of their own.
        if (owner === undefined || owner === group || owner.binary !== group.binary || told.has(owner)) continue;
        // Looked at only where two meet: whose file it is.
        const own = originsOf(find, group, known).get(name);
        const other = originsOf(find, owner, known).get(name);
        if (own === undefined || other === undefined || [...own].some((each) => other.has(each))) continue;
        told.add(owner);
        faults.push(
          new GraphFault(
            'graph/output-clash',
            `${owner.label} and ${group.label} both have ${path}, which are different files: ${[...other][0]}, ${[...own][0]}`,
            {
              place: group.place,
              related: [{ message: `${owner.label} has it here`, place: owner.place }],
              next: 'make groups of them in packages of their own, or give one of the files another name',
            },
          ),
        );
      }
      if (!shownBy.has(path)) shownBy.set(path, group);
    }
  }
  return faults;
}

type Origins = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Where each file among a target's outputs comes from, by its name: a source, or the output of the target that makes it.
 *
 * @param known what was found of other targets: each is looked at once
 */
function originsOf(
  find: (label: Label) => Target | undefined,
  target: Target,
  known: Map<string, Origins>,
  named?: string,
): Origins {
  const key = named === undefined ? target.label : `${target.label}|${named}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const found = new Map<string, Set<string>>();
  // A circle is a fault of its own.
  known.set(key, found);
  const add = (name: string, origin: string) => {
    const so = found.get(name);
    if (so === undefined) found.set(name, new Set([origin]));
    else so.add(origin);
  };
  if (target.action.kind !== 'filegroup') {
    const names = outputNamesOf(find, target, named) ?? [];
    for (const name of names) add(name, `${childPath(target.package, name)} of ${target.label}`);
    return found;
  }
  for (const input of named === undefined ? target.srcs.all : (target.srcs.named[named] ?? [])) {
    if (input.kind === 'file') add(nameIn(target.package, input.path), input.path);
    if (input.kind !== 'label') continue;
    const other = find(input.label);
    if (other === undefined) continue;
    for (const label of input.named === undefined ? providedFor(target, 'srcs', other) : [input.label]) {
      const real = find(label);
      if (real === undefined) continue;
      for (const [name, origins] of originsOf(find, real, known, input.named)) {
        for (const origin of origins) add(name, origin);
      }
    }
  }
  return found;
}

function clash(path: string, first: Target, second: Target, how = ''): GraphFault {
  const what =
    first === second
      ? `${first.label} makes ${path} twice${how}`
      : `${first.label} and ${second.label} both make ${path}${how}`;
  return new GraphFault('graph/output-clash', what, {
    place: literalPlace(second.place, path.slice(second.package === '' ? 0 : second.package.length + 1)),
    related: [{ message: `${first.label} makes it here`, place: first.place }],
    next: 'give one of the outputs another name',
  });
}

/**
 * Each circle of dependencies once, found by a depth-first search with a stack of its own.
 *
 * @param from positions of targets, one of which at least is on every circle; all of them unless told
 */
export function findCycles({ labels, needs, targets }: TargetIndex, from?: Iterable<number>): GraphFault[] {
  const faults: GraphFault[] = [];
  /** 1: on the path that is being followed; 2: looked at, with all behind it. */
  const state = new Uint8Array(labels.length);
  const path: number[] = [];
  const next: number[] = [];
  for (const start of from ?? labels.keys()) {
    if (state[start] !== 0) continue;
    for (let enter = start; ; ) {
      if (enter !== -1) {
        path.push(enter);
        next.push(needs.end(enter));
        state[enter] = 1;
      }
      const top = path.length - 1;
      const at = path[top]!;
      if (next[top] === needs.start(at)) {
        state[at] = 2;
        path.pop();
        next.pop();
        if (path.length === 0) break;
        enter = -1;
        continue;
      }
      const need = needs.at(--next[top]!);
      if (state[need] === 1) {
        const circle = path.slice(path.indexOf(need)).map((each) => labels[each]!);
        faults.push(cycle(targets, circle));
      }
      enter = state[need] === 0 ? need : -1;
    }
  }
  return faults;
}

function cycle(targets: ReadonlyMap<Label, Target>, circle: readonly Label[]): GraphFault {
  // Told from its first label, wherever the search entered it.
  const least = circle.indexOf([...circle].sort()[0]!);
  const labels = [...circle.slice(least), ...circle.slice(0, least)];
  const first = targets.get(labels[0]!)!;
  const message =
    labels.length === 1
      ? `${first.label} depends on itself`
      : `these depend on one another in a circle: ${[...labels, labels[0]].join(' -> ')}`;
  return new GraphFault('graph/cycle', message, {
    place: dependencyPlace(first, labels[1] ?? labels[0]!),
    related: labels.slice(1).map((label, index) => ({
      message: `${label} depends on ${labels[index + 2] ?? labels[0]}`,
      place: dependencyPlace(targets.get(label)!, labels[index + 2] ?? labels[0]!),
    })),
    next: 'take one of these dependencies out, or split a target',
  });
}
