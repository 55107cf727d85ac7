import { allocate, charge, checkedText, checkLength, freshDict, freshList, listItem, pair } from './execution.ts';
import { EvaluationError } from './fault.ts';
import { type Call, defineFunction, type NativeFunction } from './function.ts';
import { toJson } from './json.ts';
import { fulfils, isVersion } from './semver.ts';
import { lengthOf } from './text.ts';
import {
  compare,
  type Dict,
  display,
  FunctionValue,
  isRange,
  isTruthy,
  type List,
  markRange,
  typeOf,
  type Value,
} from './value.ts';

/** Functions that are the same wherever the language is embedded: pure, without a world. */
export const coreFunctions: readonly NativeFunction[] = [
  defineFunction({
    name: 'len',
    documentation: 'How many elements, keys or characters.',
    parameters: [{ name: 'obj', type: 'list|dict|str' }],
    implementation: ([object]) =>
      object instanceof Map ? object.size : typeof object === 'string' ? lengthOf(object) : (object as List).length,
  }),
  defineFunction({
    name: 'range',
    documentation:
      'Whole numbers from start (0 where one number is given) up to but without stop: a list in all but isinstance and str.',
    parameters: [
      { name: 'start', type: 'int' },
      { name: 'stop', type: 'int', fallback: null },
      { name: 'step', type: 'int', fallback: 1 },
    ],
    implementation: ([first, second, by]) => {
      const [start, stop] = second === null ? [0, first as number] : [first as number, second as number];
      const step = by as number;
      if (step === 0) throw new EvaluationError('language/value', 'the step of a range is not 0');
      const length = Math.max(0, Math.ceil((stop - start) / step));
      checkLength(length);
      charge(length >> 2);
      return markRange(freshList(Array.from({ length }, (_, index) => start + index * step)), start, stop, step);
    },
  }),
  defineFunction({
    name: 'enumerate',
    documentation: 'Pairs of a position, from 0, and an element.',
    parameters: [{ name: 'seq', type: 'list' }],
    implementation: ([items]) => {
      charge((items as List).length);
      allocate((items as List).length * pair);
      return freshList((items as List).map((item, index) => [index, item]));
    },
  }),
  defineFunction({
    name: 'zip',
    documentation: 'Lists of the first elements, the second ones and so on, up to the shortest list.',
    parameters: [],
    rest: true,
    implementation: (lists) => {
      const all = lists.map((list) => {
        if (!Array.isArray(list))
          throw new EvaluationError('language/argument', `zip takes lists, not ${typeOf(list)}`);
        return list;
      });
      const length = Math.min(...all.map((list) => list.length), all.length === 0 ? 0 : Number.POSITIVE_INFINITY);
      charge(length * all.length);
      allocate(length * (pair + all.length * listItem));
      return freshList(Array.from({ length }, (_, index) => all.map((list) => list[index]!)));
    },
  }),
  defineFunction({
    name: 'sorted',
    documentation: 'The elements in order; by what key gives for each, backwards with reverse.',
    parameters: [
      { name: 'seq', type: 'list' },
      { name: 'key', type: 'function', fallback: null },
      { name: 'reverse', type: 'bool', fallback: false },
    ],
    implementation: ([items, key, reverse], call) => {
      const keyed = keys(items as List, key!, call);
      charge(keyed.length);
      const sign = reverse === true ? -1 : 1;
      return freshList(keyed.sort((a, b) => sign * compare(a.key, b.key)).map(({ item }) => item));
    },
  }),
  defineFunction({
    name: 'reversed',
    documentation: 'The elements, last one first.',
    parameters: [{ name: 'seq', type: 'list' }],
    implementation: ([items]) => {
      charge((items as List).length >> 2);
      return freshList((items as List).toReversed());
    },
  }),
  defineFunction({
    name: 'min',
    documentation: 'The least element; by what key gives for each.',
    parameters: [
      { name: 'seq', type: 'list' },
      { name: 'key', type: 'function', fallback: null },
    ],
    implementation: ([items, key], call) => extreme('min', items as List, key!, -1, call),
  }),
  defineFunction({
    name: 'max',
    documentation: 'The greatest element; by what key gives for each.',
    parameters: [
      { name: 'seq', type: 'list' },
      { name: 'key', type: 'function', fallback: null },
    ],
    implementation: ([items, key], call) => extreme('max', items as List, key!, 1, call),
  }),
  defineFunction({
    name: 'any',
    documentation: 'Whether an element is true.',
    parameters: [{ name: 'seq', type: 'list' }],
    implementation: ([items]) => {
      charge((items as List).length >> 2);
      return (items as List).some(isTruthy);
    },
  }),
  defineFunction({
    name: 'all',
    documentation: 'Whether every element is true.',
    parameters: [{ name: 'seq', type: 'list' }],
    implementation: ([items]) => {
      charge((items as List).length >> 2);
      return (items as List).every(isTruthy);
    },
  }),
  defineFunction({
    name: 'map',
    documentation: 'What mapper gives for each element.',
    parameters: [
      { name: 'mapper', type: 'function' },
      { name: 'seq', type: 'list' },
    ],
    implementation: ([mapper, items], call) =>
      freshList((items as List).map((item) => call.invoke(mapper as FunctionValue, [item]))),
  }),
  defineFunction({
    name: 'filter',
    documentation: 'The elements for which filter gives what is true.',
    parameters: [
      { name: 'filter', type: 'function' },
      { name: 'seq', type: 'list' },
    ],
    implementation: ([filter, items], call) =>
      freshList((items as List).filter((item) => isTruthy(call.invoke(filter as FunctionValue, [item])))),
  }),
  defineFunction({
    name: 'reduce',
    documentation:
      'What comes of reducer(result so far, element) for all elements, beginning with initializer or the first element.',
    parameters: [
      { name: 'reducer', type: 'function' },
      { name: 'seq', type: 'list' },
      { name: 'initializer', fallback: null },
    ],
    implementation: ([reducer, items, initial], call) => {
      const rest = initial === null ? (items as List).slice(1) : (items as List);
      let result = initial === null ? ((items as List)[0] ?? null) : initial!;
      for (const item of rest) result = call.invoke(reducer as FunctionValue, [result, item]);
      return result;
    },
  }),
  defineFunction({
    name: 'str',
    documentation: 'The value as text.',
    parameters: [{ name: 's' }],
    implementation: ([value]) => (typeof value === 'string' ? value : checkedText(display(value!))),
  }),
  defineFunction({
    name: 'int',
    documentation: 'A whole number of its digits; 1 and 0 for True and False.',
    parameters: [{ name: 's', type: 'str|int|bool' }],
    implementation: ([value]) => {
      if (typeof value !== 'string') return Number(value);
      const number = Number(value);
      if (!/^[-+]?[0-9]+$/.test(value) || !Number.isSafeInteger(number)) {
        throw new EvaluationError('language/value', `${JSON.stringify(value)} is not a whole number`);
      }
      return number + 0;
    },
  }),
  defineFunction({
    name: 'bool',
    documentation: 'Whether the value counts as true: all but None, False, 0 and what is empty.',
    parameters: [{ name: 'b' }],
    implementation: ([value]) => isTruthy(value!),
  }),
  defineFunction({
    name: 'list',
    documentation: 'A new list of the elements, or of the keys of a dict in order.',
    parameters: [{ name: 'l', type: 'list|dict' }],
    implementation: ([value]) => {
      charge(value instanceof Map ? value.size : (value as List).length);
      return freshList(value instanceof Map ? [...value.keys()].sort() : (value as List).slice());
    },
  }),
  defineFunction({
    name: 'dict',
    documentation: 'A new dict of a dict, of a list of pairs, and of named arguments.',
    parameters: [{ name: 'd', type: 'dict|list', fallback: () => new Map() }],
    extra: true,
    implementation: ([value, extra]) => {
      const result: Dict = value instanceof Map ? new Map(value) : new Map();
      for (const pair of Array.isArray(value) ? value : []) {
        const [key, item] = Array.isArray(pair) ? pair : [];
        if (typeof key !== 'string' || item === undefined) {
          throw new EvaluationError('language/value', 'dict takes a list of pairs of a str and a value');
        }
        result.set(key, item);
      }
      for (const [key, item] of extra as Dict) result.set(key, item);
      charge(result.size);
      return freshDict(result);
    },
  }),
  defineFunction({
    name: 'isinstance',
    documentation:
      'Whether the value is of a type, or of one of a list: str, int, bool, list, range, dict, callable. True and False are int too.',
    parameters: [{ name: 'obj' }, { name: 'types' }],
    implementation: ([object, types]) => {
      const found = isRange(object!) ? 'range' : typeOf(object!);
      const names = found === 'bool' ? ['bool', 'int'] : found === 'function' ? ['callable'] : [found];
      // As in Please, a value that is no type stands for the type that it has: isinstance(x, [None, str]).
      return (Array.isArray(types) ? types : [types!]).some((type) =>
        type instanceof FunctionValue ? names.includes(type.name) : (isRange(type) ? 'range' : typeOf(type)) === found,
      );
    },
  }),
  defineFunction({
    name: 'callable',
    documentation: 'Whether the value is a function.',
    parameters: [{ name: 'f' }],
    implementation: ([value]) => value instanceof FunctionValue,
  }),
  defineFunction({
    name: 'chr',
    documentation: 'The character of a code point.',
    parameters: [{ name: 'i', type: 'int' }],
    implementation: ([code]) => {
      const point = code as number;
      if (!(point >= 0 && point <= 0x10ffff)) throw new EvaluationError('language/value', `${point} is no character`);
      return point >= 0xd800 && point <= 0xdfff ? '\ufffd' : String.fromCodePoint(point);
    },
  }),
  defineFunction({
    name: 'ord',
    documentation: 'The code point of a character.',
    parameters: [{ name: 'c', type: 'str' }],
    implementation: ([character]) => {
      const point = (character as string).codePointAt(0);
      if (point === undefined || String.fromCodePoint(point) !== character) {
        throw new EvaluationError('language/value', 'ord takes a single character');
      }
      return point;
    },
  }),
  defineFunction({
    name: 'json',
    documentation: 'The value as JSON; in lines with pretty.',
    parameters: [{ name: 'value' }, { name: 'pretty', type: 'bool', fallback: false }],
    implementation: ([value, pretty]) =>
      // <, > and & are written out, as Go does and therefore Please: the same bytes in what is made of it.
      JSON.stringify(toJson(value!), undefined, pretty === true ? 2 : undefined).replace(
        /[<>&\u2028\u2029]/g,
        (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
      ),
  }),
  defineFunction({
    name: 'is_semver',
    documentation: 'Whether a text is a version after semver.org, with or without a leading v.',
    parameters: [{ name: 's', type: 'str' }],
    implementation: ([text]) => isVersion(text as string),
  }),
  defineFunction({
    name: 'semver_check',
    documentation: 'Whether a version fulfils a constraint such as ">=1.2, <2", "~1.2", "^1", "1.x" or "1.2 - 1.4".',
    parameters: [
      { name: 'version', type: 'str' },
      { name: 'constraint', type: 'str' },
    ],
    implementation: ([version, constraint]) => fulfils(version as string, constraint as string),
  }),
  defineFunction({
    name: 'fail',
    documentation: 'Ends the evaluation with a message.',
    parameters: [{ name: 'msg', type: 'str' }],
    implementation: ([message]) => {
      throw new EvaluationError('language/fail', (message as string) || 'the file fails without a reason');
    },
  }),
];

function keys(items: List, key: Value, call: Call<unknown>): { item: Value; key: Value }[] {
  allocate(items.length * pair);
  if (!(key instanceof FunctionValue)) return items.map((item) => ({ item, key: item }));
  return items.map((item) => ({ item, key: call.invoke(key, [item]) }));
}

function extreme(name: string, items: List, key: Value, sign: number, call: Call<unknown>): Value {
  const [first, ...rest] = keys(items, key, call);
  if (first === undefined) throw new EvaluationError('language/value', `${name} of an empty list`);
  charge(rest.length);
  let best = first;
  for (const each of rest) if (sign * compare(each.key, best.key) > 0) best = each;
  return best.item;
}
