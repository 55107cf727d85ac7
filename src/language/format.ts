import { checkedText } from './execution.ts';
import { EvaluationError } from './fault.ts';
import { type Dict, display, typeOf, type Value, written } from './value.ts';

/** `"%s is %d" % (a, b)`: `%s`, `%d`, `%r`, `%v`, `%q` and `%%`. */
export function interpolate(text: string, operand: Value): string {
  const values = Array.isArray(operand) ? operand : [operand];
  let used = 0;
  let result = '';
  let from = 0;
  for (let at = text.indexOf('%'); at !== -1; at = text.indexOf('%', from)) {
    result += text.slice(from, at);
    const letter = text[at + 1];
    from = at + 2;
    if (letter === '%') {
      result += '%';
      continue;
    }
    const value = values[used++];
    if (value === undefined) {
      throw new EvaluationError(
        'language/value',
        `the string asks for more than ${values.length} values`,
        'write %% for a per cent sign',
      );
    }
    if (letter === 's' || letter === 'v') result += display(value);
    else if (letter === 'r' || letter === 'q') result += written(value);
    else if (letter === 'd') {
      if (typeof value !== 'number')
        throw new EvaluationError('language/type', `%d takes an int, not ${typeOf(value)}`);
      result += String(value);
    } else {
      throw new EvaluationError(
        'language/value',
        `%${letter ?? ''} is no form that the BUILD language knows`,
        'use %s or %d; write %% for a per cent sign',
      );
    }
    checkedText(result);
  }
  if (used < values.length) {
    throw new EvaluationError('language/value', `the string asks for ${used} values and gets ${values.length}`);
  }
  return checkedText(result + text.slice(from));
}

/**
 * `"{} and {name}".format(x, name = y)`. As in Please, `${X}` and names that are not given stay as they are, since
 * commands for a shell are full of them.
 */
export function formatText(text: string, positional: readonly Value[], named: Dict): string {
  let result = '';
  let at = 0;
  let used = 0;
  while (at < text.length) {
    const brace = text.indexOf('{', at);
    const end = brace === -1 ? -1 : text.indexOf('}', brace);
    if (end === -1) break;
    result += text.slice(at, brace);
    const key = text.slice(brace + 1, end);
    at = end + 1;
    if (text[brace - 1] === '$' && key !== '') {
      // ${{X}} gives ${X}.
      if (key.startsWith('{')) result += key;
      else result += text.slice(brace, end + 1);
    } else if (key === '') {
      const value = positional[used++];
      if (value === undefined) {
        throw new EvaluationError('language/value', `the string asks for more than ${positional.length} values`);
      }
      result += display(value);
    } else {
      const value = named.get(key);
      result += value === undefined ? text.slice(brace, end + 1) : display(value);
    }
    checkedText(result);
  }
  return checkedText(result + text.slice(at));
}
