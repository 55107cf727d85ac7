import { isSpace } from './source.ts';
import { SubstitutionProblem, substitute } from './substitute.ts';

/** `<<EOF` before its content is read. */
export interface HeredocMark {
  readonly name: string;
  readonly expand: boolean;
  readonly chomp: boolean;
}

/** The heredocs that an instruction's text names, in their order. */
export function heredocMarks(text: string): HeredocMark[] {
  if (!text.includes('<<')) return [];
  return markedWords(text).flatMap((word) => heredocMark(word) ?? []);
}

/** @param word may have its quotes still */
export function heredocMark(word: string): HeredocMark | undefined {
  const [, dash, rest] = /^[0-9]*<<(-?)\s*([^<]+)$/.exec(word) ?? [];
  if (rest === undefined) return undefined;
  try {
    const { words } = substitute(rest, { escape: '\\', variable: () => undefined });
    const [name] = words;
    if (name === undefined || words.length > 1) return undefined;
    return { name, expand: !/['"]/.test(rest), chomp: dash === '-' };
  } catch (error) {
    if (error instanceof SubstitutionProblem) return undefined;
    throw error;
  }
}

/** Words with their quotes; white space behind `<<` does not end one. None where a quote is not closed: that is no heredoc then. */
function markedWords(text: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? '';
    if (quote === '' && isSpace(character)) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    word += character;
    if (quote !== "'" && character === '\\') word += text[++index] ?? '';
    else if (quote === character) quote = '';
    else if (quote === '' && (character === "'" || character === '"')) quote = character;
    else if (quote === '' && character === '<' && word.endsWith('<<')) {
      while (/[\t\r ]/.test(text[index + 1] ?? '')) index += 1;
    }
  }
  if (quote !== '') return [];
  if (word !== '') words.push(word);
  return words;
}
