import type { Place } from '../../fault/index.ts';

/** A Dockerfile as it was read. */
export interface DockerfileSource {
  /** Path as a person would type it. */
  readonly file: string;
  readonly text: string;
}

/** Where a stretch of a logical line stands in the file. */
export interface Piece {
  /** Offset in the logical line's text, UTF-16 code units. */
  readonly at: number;
  /** 1-based. */
  readonly line: number;
  /** 1-based, UTF-16 code units. */
  readonly column: number;
}

/** An instruction as one text: continued lines are joined, comments between them left out. */
export interface LogicalLine {
  readonly source: DockerfileSource;
  readonly text: string;
  /** In the order of `at`; the first has 0. */
  readonly pieces: readonly Piece[];
}

/** A part of a logical line. */
export interface Word {
  readonly text: string;
  /** Offset in the logical line's text. */
  readonly at: number;
}

/** Place in the file of a stretch of a logical line. */
export function placeAt({ source, pieces }: LogicalLine, at: number, length: number): Place {
  let found = pieces[0] ?? { at: 0, line: 1, column: 1 };
  for (const piece of pieces) if (piece.at <= at) found = piece;
  const position = { line: found.line, column: found.column + Math.max(0, at - found.at) };
  return { file: source.file, ...position, length: Math.max(1, length), source: source.text };
}

export function placeOf(line: LogicalLine, word: Word): Place {
  return placeAt(line, word.at, word.text.length);
}

/** White space as Go's unicode.IsSpace has it. */
export function isSpace(character: string): boolean {
  return /^[\s\u0085]$/.test(character) && character !== '\ufeff';
}

/** The word without white space around it. */
export function trimmed({ text, at }: Word): Word {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start] ?? '')) start++;
  while (end > start && isSpace(text[end - 1] ?? '')) end--;
  return { text: text.slice(start, end), at: at + start };
}
