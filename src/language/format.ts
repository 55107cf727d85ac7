import { checkedText, checkTextLength } from './execution.ts';
import { EvaluationError } from './fault.ts';
import { charactersOf, lengthOf } from './text.ts';
import { type Dict, display, typeOf, type Value, written } from './value.ts';

/** Flags, width, precision and verb, as in Go's fmt, which Please hands strings to. */
const verb = /%([-+# 0]*)(\d{0,4})(?:\.(\d{0,4}))?([%svrqdxXobct])/y;

/**
 * `"%s is %-5d" % (a, b)`: `%s` and `%v`, `%d`, `%x`, `%X`, `%o`, `%b`, `%c`, `%t`, `%r` and `%q` (as it would be written), `%%`.
 *
 * @throws EvaluationError language/value | language/type where verbs and values don't go together
 */
export function interpolate(text: string, operand: Value): string {
  const values = Array.isArray(operand) ? operand : [operand];
  let used = 0;
  let result = '';
  let from = 0;
  for (let at = text.indexOf('%'); at !== -1; at = text.indexOf('%', from)) {
    result += text.slice(from, at);
    verb.lastIndex = at;
    const match = verb.exec(text);
    if (match === null) {
      throw new EvaluationError(
        'language/value',
        `${text.slice(at, at + 2)} is no form that the BUILD language knows`,
        'use %s or %d; write %% for a per cent sign',
      );
    }
    from = verb.lastIndex;
    const [, flags, width, precision, letter] = match;
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
    const limit = precision === undefined ? undefined : Number(precision);
    result += padded(shownAs(letter!, value, flags!, limit), letter!, flags!, Number(width));
    checkTextLength(result);
  }
  if (used < values.length) {
    throw new EvaluationError('language/value', `the string asks for ${used} values and gets ${values.length}`);
  }
  return checkedText(result + text.slice(from));
}

const bases: Readonly<Record<string, number>> = { d: 10, o: 8, b: 2 };

function shownAs(letter: string, value: Value, flags: string, precision: number | undefined): string {
  const cut = (text: string) => (precision === undefined ? text : charactersOf(text).slice(0, precision).join(''));
  switch (letter) {
    case 's':
    case 'v':
      return cut(display(value));
    case 'r':
    case 'q':
      return typeof value === 'string' ? written(cut(value)) : written(value);
    case 'x':
    case 'X': {
      const hex = Buffer.from(display(value)).toString('hex');
      return letter === 'X' ? hex.toUpperCase() : hex;
    }
    case 't':
      if (typeof value !== 'boolean') throw wrongValue(letter, 'a bool', value);
      return String(value);
  }
  if (typeof value !== 'number') throw wrongValue(letter, 'an int', value);
  if (letter === 'c') return value >= 0 && value <= 0x10ffff ? String.fromCodePoint(value) : '\ufffd';
  const sign = value < 0 ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  return (
    sign +
    Math.abs(value)
      .toString(bases[letter])
      .padStart(precision ?? 0, '0')
  );
}

function padded(text: string, letter: string, flags: string, width: number): string {
  const missing = width - lengthOf(text);
  if (missing <= 0) return text;
  if (flags.includes('-')) return text + ' '.repeat(missing);
  if (!flags.includes('0')) return ' '.repeat(missing) + text;
  const sign = letter in bases && /^[-+ ]/.test(text) ? 1 : 0;
  return text.slice(0, sign) + '0'.repeat(missing) + text.slice(sign);
}

function wrongValue(letter: string, wanted: string, value: Value): EvaluationError {
  return new EvaluationError('language/type', `%${letter} takes ${wanted}, not ${typeOf(value)}`);
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
    checkTextLength(result);
  }
  return checkedText(result + text.slice(at));
}
