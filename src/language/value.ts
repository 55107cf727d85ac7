import { charge, checkedText } from './execution.ts';
import { EvaluationError } from './fault.ts';

/**
 * A value of the BUILD language, as the plain JavaScript value that is nearest: tuples are lists, `None` is null,
 * integers are numbers without a fraction, dicts have strings for keys.
 */
export type Value = string | number | boolean | null | List | Dict | FunctionValue;
export interface List extends Array<Value> {}
export interface Dict extends Map<string, Value> {}

export type TypeName = 'str' | 'int' | 'bool' | 'list' | 'dict' | 'function' | 'none';

/** Names that may stand in an annotation. `config` is a dict. */
export const typeNames: readonly string[] = ['str', 'int', 'bool', 'list', 'dict', 'function', 'config'];

/** What a function says of one of its parameters. */
export interface Parameter {
  readonly name: string;
  /** Empty for any. `None` is always accepted where there is a default, and stands for it. */
  readonly types: readonly TypeName[];
  readonly aliases: readonly string[];
  /** Whether a call may leave it out. */
  readonly optional: boolean;
}

/** A function as a value: of the BUILD language or native. */
export abstract class FunctionValue {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  /** Positions by name and alias. */
  readonly positions: ReadonlyMap<string, number>;
  abstract readonly rest: boolean;
  abstract readonly extra: boolean;

  constructor(name: string, parameters: readonly Parameter[], positions: ReadonlyMap<string, number>) {
    this.name = name;
    this.parameters = parameters;
    this.positions = positions;
  }
}

/** Where each parameter stands, by its name and aliases. */
export function positionsOf(parameters: readonly Parameter[]): ReadonlyMap<string, number> {
  const positions = new Map<string, number>();
  parameters.forEach((parameter, index) => {
    positions.set(parameter.name, index);
    for (const alias of parameter.aliases) positions.set(alias, index);
  });
  return positions;
}

export function typeOf(value: Value): TypeName {
  switch (typeof value) {
    case 'string':
      return 'str';
    case 'number':
      return 'int';
    case 'boolean':
      return 'bool';
  }
  if (value === null) return 'none';
  if (Array.isArray(value)) return 'list';
  return value instanceof Map ? 'dict' : 'function';
}

/** Lists that `range` gave, with its numbers. As in Please, they are of a type of their own. */
const ranges = new WeakMap<object, string>();

export function markRange(list: List, start: number, stop: number, step: number): List {
  ranges.set(list, `range(${start}, ${stop}, ${step})`);
  return list;
}

export function isRange(value: Value): boolean {
  return Array.isArray(value) && ranges.has(value);
}

export function isTruthy(value: Value): boolean {
  if (value === null || value === false || value === 0 || value === '') return false;
  if (Array.isArray(value)) return value.length > 0 || ranges.has(value);
  return value instanceof Map ? value.size > 0 : true;
}

export function equals(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    charge(a.length);
    for (let index = 0; index < a.length; index++) if (!equals(a[index]!, b[index]!)) return false;
    return true;
  }
  if (a instanceof Map) {
    if (!(b instanceof Map) || a.size !== b.size) return false;
    charge(a.size);
    for (const [key, value] of a) {
      const other = b.get(key);
      if (other === undefined || !equals(value, other)) return false;
    }
    return true;
  }
  return false;
}

/** Negative, zero or positive. Strings compare by UTF-16 code units. */
export function compare(a: Value, b: Value): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (Array.isArray(a) && Array.isArray(b)) {
    const length = Math.min(a.length, b.length);
    charge(length);
    for (let index = 0; index < length; index++) {
      const order = compare(a[index]!, b[index]!);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  throw new EvaluationError('language/type', `${typeOf(a)} and ${typeOf(b)} have no order`);
}

/** Values that files share. Kept beside them, since a Map can't be frozen. */
const frozen = new WeakSet<object>();

/** Makes a value and all that it holds unchangeable to BUILD files. */
export function freeze(value: Value): void {
  if (typeof value !== 'object' || value === null || frozen.has(value)) return;
  if (Array.isArray(value)) {
    frozen.add(value);
    for (const item of value) freeze(item);
  } else if (value instanceof Map) {
    frozen.add(value);
    for (const item of value.values()) freeze(item);
  }
}

/** @throws EvaluationError language/frozen */
export function checkChangeable(value: List | Dict): void {
  if (frozen.has(value)) {
    throw new EvaluationError(
      'language/frozen',
      `this ${typeOf(value)} is shared between files and can't be changed`,
      value instanceof Map ? 'make a copy first: x = x.copy()' : 'make a new list: x = x + [...]',
    );
  }
}

/**
 * As `str(x)`, `%s`, f-strings and `format` give it, and as Please does: strings without quotes at any depth, elements of lists
 * with spaces between them.
 */
export function display(value: Value): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) {
    const range = ranges.get(value);
    if (range !== undefined) return range;
    charge(value.length + 1);
    return checkedText(`[${value.map(display).join(' ')}]`);
  }
  if (value instanceof Map) {
    charge(value.size + 1);
    const items = sortedKeys(value).map((key) => `"${key}": ${display(value.get(key)!)}`);
    return checkedText(`{${items.join(', ')}}`);
  }
  return written(value);
}

/** As it would be written in a BUILD file. */
export function written(value: Value): string {
  if (typeof value === 'string') {
    charge(value.length >> 4);
    return JSON.stringify(value);
  }
  if (typeof value === 'number') return String(value);
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) {
    charge(value.length + 1);
    return `[${value.map(written).join(', ')}]`;
  }
  if (value instanceof Map) {
    charge(value.size + 1);
    return `{${sortedKeys(value)
      .map((key) => `${JSON.stringify(key)}: ${written(value.get(key)!)}`)
      .join(', ')}}`;
  }
  return `<function ${value.name}>`;
}

/** Dicts are always walked in the order of their keys, as in Please: the order of insertion never shows. */
export function sortedKeys(dict: Dict): string[] {
  return [...dict.keys()].sort();
}
