import { isSpace, type Word } from './source.ts';
import type { Escape } from './substitute.ts';

/**
 * Words divided by white space; what stands in quotes belongs together. Quotes and escapes stay in the words: they are taken away
 * when variables are replaced.
 */
export function quotedWords({ text, at }: Word, escaping: Escape): Word[] {
  const words: Word[] = [];
  let begin: number | undefined;
  let quote = '';
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? '';
    if (begin === undefined) {
      if (isSpace(character)) continue;
      begin = index;
    } else if (quote === '' && isSpace(character)) {
      words.push({ text: text.slice(begin, index), at: at + begin });
      begin = undefined;
      continue;
    }
    if (quote !== "'" && character === escaping) index += 1;
    else if (quote === character) quote = '';
    else if (quote === '' && (character === "'" || character === '"')) quote = character;
  }
  if (begin !== undefined) words.push({ text: text.slice(begin), at: at + begin });
  return words;
}

/** Words divided by white space and nothing else. */
export function plainWords({ text, at }: Word): Word[] {
  return [...text.matchAll(/[^\t\v\f\r ]+/g)].map((match) => ({ text: match[0], at: at + match.index }));
}

/** The first word, and what is behind it without white space around. */
export function firstWord(line: Word): { readonly first: Word; readonly rest: Word } {
  const [word] = plainWords(line);
  const first = word ?? { text: '', at: line.at };
  const end = first.at - line.at + first.text.length;
  let start = end;
  while (start < line.text.length && isSpace(line.text[start] ?? '')) start++;
  return { first, rest: { text: line.text.slice(start).replace(/[\s\u0085]+$/, ''), at: line.at + start } };
}

export interface Flag {
  readonly name: string;
  /** Without one it is `true`. */
  readonly value: string | undefined;
  readonly word: Word;
  /** Where the value stands. */
  readonly valueAt: number;
}

/** `--name=value` before the arguments. Quotes around a value or in it are taken away; variables are not replaced yet. */
export function leadingFlags(args: Word, escaping: Escape): { readonly flags: readonly Flag[]; readonly rest: Word } {
  const flags: Flag[] = [];
  let index = 0;
  const { text, at } = args;
  for (;;) {
    while (index < text.length && isSpace(text[index] ?? '')) index++;
    if (!text.startsWith('--', index)) break;
    const begin = index;
    let value = '';
    let quote = '';
    for (; index < text.length; index++) {
      const character = text[index] ?? '';
      if (quote === '' && isSpace(character)) break;
      if (character === escaping) {
        index += 1;
        value += text[index] ?? '';
      } else if (quote === character) quote = '';
      else if (quote === '' && (character === "'" || character === '"')) quote = character;
      else value += character;
    }
    const word = { text: text.slice(begin, index), at: at + begin };
    // As everywhere, `--` alone ends the flags.
    if (value === '--') break;
    const equals = value.indexOf('=');
    const name = equals < 0 ? value.slice(2) : value.slice(2, equals);
    flags.push({
      name,
      value: equals < 0 ? undefined : value.slice(equals + 1),
      word,
      valueAt: word.at + Math.min(word.text.length, name.length + 3),
    });
  }
  while (index < text.length && isSpace(text[index] ?? '')) index++;
  return { flags, rest: { text: text.slice(index), at: at + index } };
}
