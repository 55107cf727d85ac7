import { allocate, charge, checkedText, checkLength, freshDict, freshList, pair } from './execution.ts';
import { EvaluationError } from './fault.ts';
import { formatText } from './format.ts';
import { defineFunction, type NativeFunction } from './function.ts';
import { patternFits } from './pattern.ts';
import { characterAt, charactersOf, isWide, lengthOf } from './text.ts';
import { checkChangeable, type Dict, type List, sortedKeys, typeOf, type Value } from './value.ts';

/** Methods take their object as the first argument. */
type Methods = ReadonlyMap<string, NativeFunction>;

function methods(definitions: readonly NativeFunction[]): Methods {
  return new Map(definitions.map((definition) => [definition.name, definition]));
}

/** For the language reference. */
const documentation: Readonly<Record<string, string>> = {
  join: 'The elements of a list with this text between them.',
  split: 'The parts between the occurrences of on.',
  replace: 'The text with every old replaced by new.',
  partition: 'What is before the first sep, sep, and what is behind.',
  rpartition: 'What is before the last sep, sep, and what is behind.',
  startswith: 'Whether the text begins with s.',
  endswith: 'Whether the text ends with s.',
  strip: 'The text without these characters at both ends.',
  lstrip: 'The text without these characters at its start.',
  rstrip: 'The text without these characters at its end.',
  removeprefix: 'The text without prefix at its start.',
  removesuffix: 'The text without suffix at its end.',
  find: 'Where needle first stands, -1 where it does not.',
  rfind: 'Where needle last stands, -1 where it does not.',
  count: 'How often needle stands in the text.',
  matches: 'Whether a regular expression (RE2 syntax) is found in the text.',
  upper: 'The text in capitals.',
  lower: 'The text in small letters.',
  ljust: 'The text filled up at its end.',
  rjust: 'The text filled up at its start.',
  setdefault: 'The value of a key, which becomes default where there was none.',
  keys: 'The keys in order.',
  values: 'The values in the order of their keys.',
  items: 'Pairs of key and value in the order of the keys.',
  copy: 'A new dict with the same keys and values.',
};

const self = { name: 'self' };

function text(
  name: string,
  parameters: Parameters<typeof defineFunction>[0]['parameters'],
  apply: (self: string, ...args: never[]) => Value,
) {
  return defineFunction({
    name,
    documentation: documentation[name]!,
    parameters: [self, ...parameters],
    implementation: (args) => {
      charge((args[0] as string).length >> 4);
      const result = apply(...(args as unknown as [string, ...never[]]));
      return typeof result === 'string' ? checkedText(result) : result;
    },
  });
}

function str(name: string, fallback?: string) {
  return { name, type: 'str', ...(fallback !== undefined && { fallback }) };
}

/** Bytes of a part of a string, the elements of the list aside. */
const part = 24;
const blank = ' \n';

export const stringMethods: Methods = methods([
  text('join', [{ name: 'seq', type: 'list' }], (separator, items: List) => {
    let length = 0;
    charge(items.length >> 2);
    for (const item of items) {
      if (typeof item !== 'string') {
        throw new EvaluationError('language/type', `join takes a list of str, but one element is ${typeOf(item)}`);
      }
      length += item.length + separator.length;
    }
    if (length > 2 ** 28) throw new EvaluationError('language/limit', 'a string of too many characters');
    return (items as string[]).join(separator);
  }),
  text('split', [{ ...str('on', ' ') }], (self, on: string) => {
    checkLength(on === '' ? 0 : countOf(self, on));
    const parts = on === '' ? charactersOf(self) : self.split(on);
    charge(parts.length >> 2);
    allocate(parts.length * part);
    return freshList(parts);
  }),
  text('replace', [str('old'), str('new')], (self, old: string, replacement: string) => {
    if (old !== '') {
      const count = countOf(self, old);
      charge(count);
      if (self.length + count * (replacement.length - old.length) > 2 ** 28) {
        throw new EvaluationError('language/limit', 'a string of too many characters');
      }
      return self.replaceAll(old, replacement.replaceAll('$', '$$$$'));
    }
    const parts = ['', ...charactersOf(self), ''];
    if (self.length + (parts.length - 1) * replacement.length > 2 ** 28) {
      throw new EvaluationError('language/limit', 'a string of too many characters');
    }
    charge(parts.length >> 2);
    return parts.join(replacement);
  }),
  text('partition', [str('sep')], (self, separator: string) => {
    const at = self.indexOf(separator);
    return at === -1 ? [self, '', ''] : [self.slice(0, at), separator, self.slice(at + separator.length)];
  }),
  text('rpartition', [str('sep')], (self, separator: string) => {
    const at = self.lastIndexOf(separator);
    return at === -1 ? ['', '', self] : [self.slice(0, at), separator, self.slice(at + separator.length)];
  }),
  text('startswith', [str('s')], (self, prefix: string) => self.startsWith(prefix)),
  text('endswith', [str('s')], (self, suffix: string) => self.endsWith(suffix)),
  text('strip', [str('cutset', blank)], (self, cutset: string) => stripEnd(stripStart(self, cutset), cutset)),
  text('lstrip', [str('cutset', blank)], stripStart),
  text('rstrip', [str('cutset', blank)], stripEnd),
  text('removeprefix', [str('prefix')], (self, prefix: string) =>
    self.startsWith(prefix) ? self.slice(prefix.length) : self,
  ),
  text('removesuffix', [str('suffix')], (self, suffix: string) =>
    suffix !== '' && self.endsWith(suffix) ? self.slice(0, -suffix.length) : self,
  ),
  text('find', [str('needle')], (self, needle: string) => characterAt(self, self.indexOf(needle))),
  text('rfind', [str('needle')], (self, needle: string) => characterAt(self, self.lastIndexOf(needle))),
  text('count', [str('needle')], (self, needle: string) =>
    needle === '' ? lengthOf(self) + 1 : countOf(self, needle),
  ),
  text('matches', [str('pattern')], (self, pattern: string) => patternFits(pattern, self)),
  text('upper', [], (self) => recased(self, 'toUpperCase')),
  text('lower', [], (self) => recased(self, 'toLowerCase')),
  text(
    'ljust',
    [{ name: 'width', type: 'int' }, str('fillchar', ' ')],
    (self, width: number, fill: string) => self + padding(self, width, fill),
  ),
  text(
    'rjust',
    [{ name: 'width', type: 'int' }, str('fillchar', ' ')],
    (self, width: number, fill: string) => padding(self, width, fill) + self,
  ),
  defineFunction({
    name: 'format',
    documentation: 'The text with {} and {name} replaced by the arguments in their order and by name.',
    parameters: [self],
    rest: true,
    extra: true,
    implementation: (args) => formatText(args[0] as string, args.slice(1, -1), args.at(-1) as Dict),
  }),
]);

function countOf(text: string, needle: string): number {
  let count = 0;
  for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, at + needle.length)) count++;
  return count;
}

function stripStart(text: string, cutset: string): string {
  const cut = new Set(charactersOf(cutset));
  let from = 0;
  for (const character of text) {
    if (!cut.has(character)) break;
    from += character.length;
  }
  return text.slice(from);
}

function stripEnd(text: string, cutset: string): string {
  const cut = new Set(charactersOf(cutset));
  let to = text.length;
  while (to > 0) {
    const wide = to > 1 && cut.has(text.slice(to - 2, to)) && isWide(text.slice(to - 2, to));
    if (!wide && !cut.has(text[to - 1]!)) break;
    to -= wide ? 2 : 1;
  }
  return text.slice(0, to);
}

/** Character by character, as Go does: the number of characters stays. */
function recased(text: string, how: 'toUpperCase' | 'toLowerCase'): string {
  const whole = text[how]();
  // What JavaScript does beyond single characters: letters that become two, and a sigma at the end of a word.
  if (whole.length === text.length && !text.includes('Σ')) return whole;
  return text.replace(/[\0-\x7f]+|./gsu, (part) => {
    const other = part[how]();
    return lengthOf(other) === lengthOf(part) ? other : part;
  });
}

function padding(text: string, width: number, fill: string): string {
  if (lengthOf(fill) !== 1) throw new EvaluationError('language/value', 'fillchar is a single character');
  if (width > 2 ** 20) throw new EvaluationError('language/limit', 'a string of too many characters');
  return fill.repeat(Math.max(0, width - lengthOf(text)));
}

function dict(
  name: string,
  parameters: Parameters<typeof defineFunction>[0]['parameters'],
  apply: (self: Dict, ...args: never[]) => Value,
) {
  return defineFunction({
    name,
    documentation: documentation[name]!,
    parameters: [self, ...parameters],
    implementation: (args) => {
      charge((args[0] as Dict).size >> 2);
      return apply(...(args as unknown as [Dict, ...never[]]));
    },
  });
}

const anyDefault = { name: 'default', fallback: null };

export const dictMethods: Methods = methods([
  defineFunction({
    name: 'get',
    documentation: 'The value of a key, or default.',
    parameters: [self, str('key'), anyDefault],
    implementation: ([self, key, fallback]) => (self as Dict).get(key as string) ?? fallback!,
  }),
  dict('setdefault', [str('key'), anyDefault], (self, key: string, fallback: Value) => {
    const present = self.get(key);
    if (present !== undefined) return present;
    checkChangeable(self);
    self.set(key, fallback);
    return fallback;
  }),
  dict('keys', [], (self) => freshList(sortedKeys(self))),
  dict('values', [], (self) => freshList(sortedKeys(self).map((key) => self.get(key)!))),
  dict('items', [], (self) => {
    allocate(self.size * pair);
    return freshList(sortedKeys(self).map((key) => [key, self.get(key)!]));
  }),
  dict('copy', [], (self) => freshDict(new Map(self))),
]);
