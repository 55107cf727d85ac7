import { dependenciesOf, resolvedDependencies } from '../evaluate/dependency.ts';
import type { Label, Target } from '../types.ts';

/** Lists of numbers, one for each of many things, in two arrays. */
export class NumberLists {
  /** Where each list begins in `values`; one more than there are lists. */
  readonly starts: Uint32Array;
  readonly values: Uint32Array;

  constructor(starts: Uint32Array, values: Uint32Array) {
    this.starts = starts;
    this.values = values;
  }

  static of(lists: readonly (readonly number[])[]): NumberLists {
    const starts = new Uint32Array(lists.length + 1);
    let total = 0;
    lists.forEach((list, index) => {
      starts[index] = total;
      total += list.length;
    });
    starts[lists.length] = total;
    const values = new Uint32Array(total);
    let at = 0;
    for (const list of lists) for (const value of list) values[at++] = value;
    return new NumberLists(starts, values);
  }

  start(index: number): number {
    return this.starts[index]!;
  }

  end(index: number): number {
    return this.starts[index + 1]!;
  }

  at(place: number): number {
    return this.values[place]!;
  }

  of(index: number): Uint32Array {
    return this.values.subarray(this.starts[index], this.starts[index + 1]);
  }

  /** The other way round: for each value the numbers of the lists that hold it. */
  reversed(): NumberLists {
    const count = this.starts.length - 1;
    const starts = new Uint32Array(count + 1);
    for (const value of this.values) starts[value + 1]!++;
    for (let index = 0; index < count; index++) starts[index + 1]! += starts[index]!;
    const filled = starts.slice();
    const values = new Uint32Array(this.values.length);
    for (let index = 0; index < count; index++) {
      for (let place = this.starts[index]!; place < this.starts[index + 1]!; place++) {
        values[filled[this.values[place]!]!++] = index;
      }
    }
    return new NumberLists(starts, values);
  }
}

/** A graph's targets by number, in its order, and what each needs: for walks over all of it. */
export interface TargetIndex {
  readonly targets: ReadonlyMap<Label, Target>;
  readonly labels: readonly Label[];
  readonly positions: ReadonlyMap<Label, number>;
  /** Dependencies with `provides` resolved; those that are missing left out. */
  readonly needs: NumberLists;
  /** What targets name beside: dependencies that others stand in for. */
  readonly names: NumberLists;
}

const indexes = new WeakMap<ReadonlyMap<Label, Target>, TargetIndex>();

/** Made once for a map of targets, which is not changed afterwards. */
export function indexTargets(targets: ReadonlyMap<Label, Target>): TargetIndex {
  const before = indexes.get(targets);
  if (before !== undefined) return before;
  const labels = [...targets.keys()];
  const positions = new Map(labels.map((label, position) => [label, position]));
  const needs: (readonly number[])[] = [];
  const names: (readonly number[])[] = [];
  for (const target of targets.values()) {
    const found = neighboursOf(targets, positions, target);
    needs.push(found.needs);
    names.push(found.names);
  }
  const index = { targets, labels, positions, needs: NumberLists.of(needs), names: NumberLists.of(names) };
  indexes.set(targets, index);
  return index;
}

/** What one target needs and names, by number. */
export function neighboursOf(
  targets: ReadonlyMap<Label, Target>,
  positions: ReadonlyMap<Label, number>,
  target: Target,
): { readonly needs: readonly number[]; readonly names: readonly number[] } {
  const needs: number[] = [];
  for (const label of resolvedDependencies(targets, target)) {
    const position = positions.get(label);
    if (position !== undefined) needs.push(position);
  }
  const names = target.requires.length === 0 ? none : beside(positions, target, needs);
  return { needs, names };
}

const none: readonly number[] = [];

function beside(positions: ReadonlyMap<Label, number>, target: Target, needs: readonly number[]): readonly number[] {
  const found = new Set<number>();
  for (const { label } of dependenciesOf(target)) {
    const position = positions.get(label);
    if (position !== undefined && !needs.includes(position)) found.add(position);
  }
  return [...found];
}
