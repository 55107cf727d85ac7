import { charge } from './execution.ts';

/** Whether a text has characters that take two code units, so that positions in it have to be counted. */
export function isWide(text: string): boolean {
  return /[\ud800-\udfff]/.test(text);
}

/** The characters (code points) of a text. */
export function charactersOf(text: string): string[] {
  charge(text.length >> 2);
  return Array.from(text);
}

/** Characters of a text. */
export function lengthOf(text: string): number {
  return isWide(text) ? charactersOf(text).length : text.length;
}

/** The position in characters of a position in code units; -1 stays. */
export function characterAt(text: string, at: number): number {
  return at <= 0 ? at : lengthOf(text.slice(0, at));
}
