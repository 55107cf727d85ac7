import { LanguageFault } from './fault.ts';
import { placeOf, type Source } from './source.ts';

/**
 * What a token is: a class of words (`name`, `int`, `string`), the layout that Python's grammar gives meaning to, or
 * the keyword or operator itself.
 */
export type TokenKind = string;

/** Tokens side by side in arrays: one object a token would cost more than the lexing. */
export interface Tokens {
  readonly kinds: TokenKind[];
  /** Names as written, strings with their escapes resolved, numbers as written. */
  readonly texts: string[];
  readonly starts: number[];
  readonly ends: number[];
}

const keywords = new Set(
  'def for in if elif else return assert pass continue break and or not is lambda True False None'.split(' '),
);
/**
 * Words of Python that begin no statement here and can't be assigned to, so that Python tools can read BUILD files. They may
 * name parameters and attributes, as in Please.
 */
export const reservedWords = new Set(
  'as import try except finally class global nonlocal while del raise with yield from'.split(' '),
);

const operators2 = new Set(['//', '<=', '>=', '==', '!=', '+=', '->']);
const operators1 = new Set('()[]{},:.=+-*/%|&<>');

/** A part of a file, from the beginning of a line to the end of one. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/**
 * Cuts a file into tokens, with `newline`, `indent` and `dedent` where layout matters.
 *
 * @param part only this part of the file; all of it unless told
 * @throws LanguageFault language/syntax
 */
export function tokenize(source: Source, part?: Stretch): Tokens {
  const text = source.text;
  const length = part?.end ?? text.length;
  const kinds: TokenKind[] = [];
  const texts: string[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  const indents = [0];
  /** Open brackets, as offsets: inside them line ends mean nothing. */
  const open: number[] = [];
  let at = part?.start ?? (text.charCodeAt(0) === 0xfeff ? 1 : 0);
  let lineBegins = true;

  const push = (kind: TokenKind, value: string, start: number, end: number) => {
    kinds.push(kind);
    texts.push(value);
    starts.push(start);
    ends.push(end);
  };
  const fail = (message: string, start: number, end: number, next?: string): never => {
    throw new LanguageFault('language/syntax', message, { place: placeOf(source, start, end), next });
  };

  while (true) {
    if (lineBegins) {
      lineBegins = false;
      const begin = at;
      while (text.charCodeAt(at) === 32) at++;
      const code = text.charCodeAt(at);
      if (code === 9) fail('a tab in the indentation', at, at + 1, 'indent with spaces, four a level');
      // Blank lines and lines of comment have no level.
      if (at < length && code !== 10 && code !== 13 && code !== 35) {
        const width = at - begin;
        if (width > indents[indents.length - 1]!) {
          indents.push(width);
          push('indent', '', begin, at);
        } else {
          while (width < indents[indents.length - 1]!) {
            indents.pop();
            push('dedent', '', at, at);
          }
          if (width !== indents[indents.length - 1]!) {
            fail(
              'this indentation matches no block above it',
              begin,
              at,
              'line the statement up with the block it belongs to',
            );
          }
        }
      }
    }
    if (at >= length) break;
    const code = text.charCodeAt(at);
    if (code === 32 || code === 9) {
      at++;
    } else if (code === 10 || code === 13) {
      if (code === 13 && text.charCodeAt(at + 1) !== 10)
        fail('a carriage return inside a line', at, at + 1, 'end lines with a line feed');
      const end = code === 13 ? at + 2 : at + 1;
      if (open.length === 0) {
        const last = kinds[kinds.length - 1];
        if (last !== undefined && last !== 'newline' && last !== 'indent' && last !== 'dedent')
          push('newline', '', at, end);
        lineBegins = true;
      }
      at = end;
    } else if (code === 35) {
      while (at < length && text.charCodeAt(at) !== 10) at++;
    } else if (isNameStart(code) || (code >= 128 && letterAt(text, at) > 0)) {
      const start = at;
      while (true) {
        if (isNamePart(text.charCodeAt(at))) at++;
        else {
          const letter = text.charCodeAt(at) >= 128 ? letterAt(text, at) : 0;
          if (letter === 0) break;
          at += letter;
        }
      }
      const quote = text.charCodeAt(at);
      if ((quote === 34 || quote === 39) && at - start === 1) {
        const prefix = text[start]!;
        if (prefix === 'r' || prefix === 'f') {
          at = string(start, at, prefix);
          continue;
        }
        fail(`strings can't have the prefix ${prefix}`, start, at, 'use a plain, f"..." or r"..." string');
      }
      const word = text.slice(start, at);
      if (keywords.has(word)) push(word, word, start, at);
      else push('name', word, start, at);
    } else if (code >= 48 && code <= 57) {
      const start = at;
      while (isNamePart(text.charCodeAt(at))) at++;
      const word = text.slice(start, at);
      if (!/^(0|[1-9][0-9]*)$/.test(word)) {
        fail(`${word} is not a whole number`, start, at, 'write decimal digits without leading zeros');
      }
      if (!Number.isSafeInteger(Number(word))) fail(`${word} is too large a number`, start, at);
      if (text.charCodeAt(at) === 46 && isDigit(text.charCodeAt(at + 1))) {
        fail('the BUILD language has no fractions', start, at + 2, 'use a whole number or a string');
      }
      push('int', word, start, at);
    } else if (code === 34 || code === 39) {
      at = string(at, at, '');
    } else if (code === 92 && (text.charCodeAt(at + 1) === 10 || text.startsWith('\r\n', at + 1))) {
      at += text.charCodeAt(at + 1) === 10 ? 2 : 3;
    } else {
      const two = text.slice(at, at + 2);
      const one = text[at]!;
      const operator = operators2.has(two) ? two : operators1.has(one) ? one : undefined;
      if (operator === undefined) {
        const whole = String.fromCodePoint(text.codePointAt(at)!);
        fail(`${JSON.stringify(whole)} is not part of the BUILD language`, at, at + whole.length);
      } else {
        const end = at + operator.length;
        if (text.charCodeAt(end) === 61 && /^[-*/%|&]$|^\/\/$/.test(operator)) {
          fail(`the BUILD language has no ${operator}=`, at, end + 1, `write x = x ${operator} y`);
        }
        if (operator === '(' || operator === '[' || operator === '{') open.push(at);
        else if (operator === ')' || operator === ']' || operator === '}') {
          const opener = open.pop();
          const expected = opener === undefined ? undefined : closing[text[opener]!];
          if (expected === undefined) fail(`${operator} closes nothing`, at, end);
          else if (expected !== operator) {
            throw new LanguageFault('language/syntax', `${operator} closes ${text[opener!]}`, {
              place: placeOf(source, at, end),
              related: [{ message: 'opened here', place: placeOf(source, opener!, opener! + 1) }],
              next: `write ${expected}`,
            });
          }
        }
        push(operator, operator, at, end);
        at = end;
      }
    }
  }
  const unclosed = open.pop();
  if (unclosed !== undefined) {
    fail(`this ${text[unclosed]} is never closed`, unclosed, unclosed + 1, `add ${closing[text[unclosed]!]}`);
  }
  const last = kinds[kinds.length - 1];
  if (last !== undefined && last !== 'newline' && last !== 'dedent') push('newline', '', length, length);
  for (let level = indents.length; level > 1; level--) push('dedent', '', length, length);
  push('eof', '', length, length);
  return { kinds, texts, starts, ends };

  /** Reads the string whose quotes begin at `quoteAt`; returns the offset behind it. */
  function string(start: number, quoteAt: number, prefix: string): number {
    const quote = text.charCodeAt(quoteAt);
    const triple = text.charCodeAt(quoteAt + 1) === quote && text.charCodeAt(quoteAt + 2) === quote;
    let position = quoteAt + (triple ? 3 : 1);
    if (triple) {
      // Documentation is most of what rules hold: where nothing in it needs a look, it is taken as it is.
      const end = text.indexOf(quote === 34 ? '"""' : "'''", position);
      const plain = end === -1 ? undefined : text.slice(position, end);
      if (plain !== undefined && !plain.includes('\\') && !plain.includes('\r')) {
        push(prefix === 'f' ? 'fstring' : 'string', plain, start, end + 3);
        return end + 3;
      }
    }
    let value = '';
    let from = position;
    while (true) {
      if (position >= length) fail('this string is never closed', start, quoteAt + (triple ? 3 : 1));
      const code = text.charCodeAt(position);
      if (
        code === quote &&
        (!triple || (text.charCodeAt(position + 1) === quote && text.charCodeAt(position + 2) === quote))
      ) {
        value += text.slice(from, position);
        position += triple ? 3 : 1;
        push(prefix === 'f' ? 'fstring' : 'string', value, start, position);
        return position;
      }
      if (code === 10 && !triple) {
        fail('this string is not closed on its line', start, position, 'close it, or use """ for several lines');
      }
      if (code === 92 && prefix !== 'r') {
        value += text.slice(from, position);
        const [resolved, consumed] = resolveEscape(position, triple);
        value += resolved;
        position += consumed;
        from = position;
      } else if (code === 13 && text.charCodeAt(position + 1) === 10) {
        // The same bytes whatever line ends a checkout gave the file.
        value += text.slice(from, position);
        position++;
        from = position;
      } else position++;
    }
  }

  /** Unknown escapes stay as they are, as in Please: commands for a shell are full of them. */
  function resolveEscape(position: number, triple: boolean): [resolved: string, consumed: number] {
    const letter = text[position + 1] ?? '';
    const simple = simpleEscapes[letter];
    if (simple !== undefined) return [simple, 2];
    const lineEnd = letter === '\n' ? 1 : letter === '\r' && text[position + 2] === '\n' ? 2 : 0;
    if (lineEnd > 0) return [triple ? '' : '\\\n', 1 + lineEnd];
    return ['\\', 1];
  }
}

const closing: Record<string, string> = { '(': ')', '[': ']', '{': '}' };
const simpleEscapes: Record<string, string> = { n: '\n', t: '\t', '\\': '\\', "'": "'", '"': '"' };

/** Code units of the letter or digit beyond ASCII that stands at an offset; 0 where none does. */
function letterAt(text: string, at: number): number {
  const letter = String.fromCodePoint(text.codePointAt(at)!);
  return /[\p{L}\p{Nd}]/u.test(letter) ? letter.length : 0;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isNameStart(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95;
}

function isNamePart(code: number): boolean {
  return isNameStart(code) || isDigit(code);
}
