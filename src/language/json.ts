import { allocate, charge, dictItem, freshList } from './execution.ts';
import { EvaluationError } from './fault.ts';
import { type Dict, sortedKeys, typeOf, type Value } from './value.ts';

/** Plain data, as JSON has it. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** A value as plain data, keys in order. @throws EvaluationError where it holds a function */
export function toJson(value: Value): JsonValue {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) {
    charge(value.length + 1);
    return freshList(value.map(toJson));
  }
  if (value instanceof Map) {
    charge(value.size + 1);
    allocate(value.size * dictItem);
    // fromEntries and not assignment: a key may be __proto__.
    return Object.fromEntries(sortedKeys(value).map((key) => [key, toJson(value.get(key)!)]));
  }
  throw new EvaluationError('language/type', `a ${typeOf(value)} is no data`);
}

/** Plain data as a value. @throws EvaluationError where it holds a fraction, which the language has not */
export function fromJson(json: JsonValue): Value {
  if (typeof json === 'number' && !Number.isSafeInteger(json)) {
    throw new EvaluationError(
      'language/value',
      `${json} is not a whole number of at most 53 bits`,
      'write it as a string',
    );
  }
  if (json === null || typeof json !== 'object') return json;
  if (Array.isArray(json)) return json.map(fromJson);
  const dict: Dict = new Map();
  for (const [key, value] of Object.entries(json)) dict.set(key, fromJson(value));
  return dict;
}
