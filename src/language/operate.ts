import type { BinaryOperator } from './ast.ts';
import { allocate, charge, checkedText, checkLength, dictItem, freshDict, freshList, listItem } from './execution.ts';
import { EvaluationError } from './fault.ts';
import { interpolate } from './format.ts';
import { charactersOf, isWide } from './text.ts';
import { compare, type Dict, equals, type List, typeOf, type Value } from './value.ts';

/** @throws EvaluationError where the operator is not defined for these values */
export function operate(operator: BinaryOperator, a: Value, b: Value): Value {
  switch (operator) {
    case '+':
      return add(a, b);
    case '-':
      return whole(numbers(operator, a, b), (x, y) => x - y);
    case '*':
      return multiply(a, b);
    case '/':
      // Integers only, so / truncates as Please's does, and // rounds down as Python's.
      return whole(divisible(numbers(operator, a, b)), (x, y) => Math.trunc(x / y));
    case '//':
      return whole(divisible(numbers(operator, a, b)), (x, y) => Math.floor(x / y));
    case '%':
      if (typeof a === 'string') return interpolate(a, b);
      // As in Please, and not as in Python: the sign is that of the dividend.
      return whole(divisible(numbers(operator, a, b)), (x, y) => x % y);
    case '|':
      return union(a, b);
    case '==':
      return equals(a, b);
    case '!=':
      return !equals(a, b);
    case '<':
      return compare(a, b) < 0;
    case '>':
      return compare(a, b) > 0;
    case '<=':
      return compare(a, b) <= 0;
    case '>=':
      return compare(a, b) >= 0;
    case 'in':
      return contains(b, a);
    case 'not in':
      return !contains(b, a);
    case 'is':
      return isSame(a, b);
    case 'is not':
      return !isSame(a, b);
  }
}

/** Only None, True and False are themselves; of other values `is` says no, as in Please. */
function isSame(a: Value, b: Value): boolean {
  return (a === null || typeof a === 'boolean') && a === b;
}

function undefinedFor(operator: string, a: Value, b: Value): EvaluationError {
  const next =
    operator === '+' &&
    (typeof a === 'string') !== (typeof b === 'string') &&
    (typeof a === 'number' || typeof b === 'number')
      ? 'make a string of the number: str(x)'
      : undefined;
  return new EvaluationError('language/type', `${operator} is not defined for ${typeOf(a)} and ${typeOf(b)}`, next);
}

function numbers(operator: string, a: Value, b: Value): readonly [number, number] {
  if (typeof a !== 'number' || typeof b !== 'number') throw undefinedFor(operator, a, b);
  return [a, b];
}

function divisible(pair: readonly [number, number]): readonly [number, number] {
  if (pair[1] === 0) throw new EvaluationError('language/value', 'division by zero');
  return pair;
}

function whole([a, b]: readonly [number, number], apply: (a: number, b: number) => number): number {
  const result = apply(a, b);
  if (!Number.isSafeInteger(result)) throw new EvaluationError('language/limit', 'a number of more than 53 bits');
  return result + 0;
}

function add(a: Value, b: Value): Value {
  if (typeof a === 'string' && typeof b === 'string') {
    charge((a.length + b.length) >> 6);
    return checkedText(a + b);
  }
  if (typeof a === 'number' && typeof b === 'number') return whole([a, b], (x, y) => x + y);
  if (Array.isArray(a) && Array.isArray(b)) {
    charge((a.length + b.length) >> 2);
    return freshList(a.concat(b));
  }
  throw undefinedFor('+', a, b);
}

function multiply(a: Value, b: Value): Value {
  if (typeof a === 'number' && typeof b === 'number') return whole([a, b], (x, y) => x * y);
  const [subject, count] = typeof a === 'number' ? [b, a] : [a, b];
  if (typeof count !== 'number') throw undefinedFor('*', a, b);
  const times = Math.max(0, count);
  if (typeof subject === 'string') {
    if (subject.length * times > 2 ** 28)
      throw new EvaluationError('language/limit', 'a string of too many characters');
    charge((subject.length * times) >> 6);
    return checkedText(subject.repeat(times));
  }
  if (Array.isArray(subject)) {
    checkLength(subject.length * times);
    allocate(subject.length * times * listItem);
    charge((subject.length * times) >> 2);
    const result: List = [];
    for (let turn = 0; turn < times && subject.length > 0; turn++) for (const item of subject) result.push(item);
    return result;
  }
  throw undefinedFor('*', a, b);
}

function union(a: Value, b: Value): Dict {
  if (!(a instanceof Map) || !(b instanceof Map)) throw undefinedFor('|', a, b);
  charge(a.size + b.size);
  allocate(a.size * dictItem);
  const result: Dict = new Map(a);
  for (const [key, value] of b) result.set(key, value);
  return freshDict(result);
}

function contains(container: Value, item: Value): boolean {
  if (typeof container === 'string') {
    if (typeof item !== 'string') throw undefinedFor('in', item, container);
    charge((container.length + item.length) >> 4);
    return container.includes(item);
  }
  if (container instanceof Map) return typeof item === 'string' && container.has(item);
  if (Array.isArray(container)) {
    charge(container.length >> 4);
    if (typeof item !== 'object') return container.includes(item);
    return container.some((each) => equals(each, item));
  }
  throw undefinedFor('in', item, container);
}

/** `x[key]`. @throws EvaluationError */
export function itemOf(object: Value, key: Value): Value {
  if (object instanceof Map) {
    if (typeof key !== 'string')
      throw new EvaluationError('language/type', `the key of a dict is a str, not ${typeOf(key)}`);
    const value = object.get(key);
    if (value === undefined) throw missingKey(object, key);
    return value;
  }
  if (!Array.isArray(object) && typeof object !== 'string') {
    throw new EvaluationError('language/type', `${typeOf(object)} has no items`);
  }
  if (typeof object === 'string' && isWide(object)) object = charactersOf(object);
  const value = object[position(object, key)];
  if (value === undefined) throw outOfRange(object, key);
  return value;
}

/** `x[key] = value`. @throws EvaluationError */
export function position(object: List | string, key: Value): number {
  if (typeof key !== 'number') {
    throw new EvaluationError('language/type', `an index of a ${typeOf(object)} is an int, not ${typeOf(key)}`);
  }
  return key < 0 ? object.length + key : key;
}

export function outOfRange(object: List | string, key: Value): EvaluationError {
  return new EvaluationError(
    'language/value',
    `the index ${key} is outside of this ${typeOf(object)} of ${object.length}`,
  );
}

/** `x[from:to]`, with Python's reading of negative and excessive bounds. */
export function sliceOf(object: Value, from: Value, to: Value): Value {
  if (!Array.isArray(object) && typeof object !== 'string') {
    throw new EvaluationError('language/type', `${typeOf(object)} can't be sliced`);
  }
  if (typeof object === 'string' && isWide(object)) {
    return (sliceOf(charactersOf(object), from, to) as string[]).join('');
  }
  const start = from === null ? 0 : position(object, from);
  const end = to === null ? object.length : position(object, to);
  const first = Math.max(0, start);
  const last = Math.max(first, Math.max(0, end));
  if (typeof object === 'string') return object.slice(first, last);
  charge(Math.max(0, Math.min(last, object.length) - first) >> 2);
  return freshList(object.slice(first, last));
}

export function missingKey(dict: Dict, key: string): EvaluationError {
  const known = [...dict.keys()];
  const shown = known.length <= 12 ? known.join(', ') : `${known.slice(0, 12).join(', ')}, ...`;
  return new EvaluationError(
    'language/name',
    `the dict has no key ${JSON.stringify(key)}`,
    `its keys are ${shown || 'none'}`,
  );
}
