import { DockerfileFault } from './fault.ts';
import { type HeredocMark, heredocMarks } from './heredoc.ts';
import type { Heredoc, Instruction, InstructionOf } from './instruction.ts';
import { readInstruction, splitLine, takesHeredocs } from './read-instruction.ts';
import { type DockerfileSource, isSpace, type LogicalLine, type Piece, placeOf } from './source.ts';
import type { Escape } from './substitute.ts';

/** A warning says what Docker would say too, or what is most likely meant otherwise. */
export interface Warning {
  readonly message: string;
  readonly instruction?: Instruction;
  readonly line: number;
}

export interface Stage {
  readonly from: InstructionOf<'from'>;
  /** 0 for the first. */
  readonly index: number;
  readonly instructions: readonly Instruction[];
}

/** A Dockerfile as it is written: nothing is replaced, looked up or carried out yet. */
export interface Dockerfile {
  readonly source: DockerfileSource;
  readonly escape: Escape;
  /** What `# syntax=` names. It has no effect: the reference's grammar is known here. */
  readonly syntax: string | undefined;
  /** ARG before the first FROM. */
  readonly globalArgs: readonly InstructionOf<'arg'>[];
  /** At least one. */
  readonly stages: readonly Stage[];
  readonly warnings: readonly Warning[];
}

/** UTF-16 code units of a Dockerfile: what people write has a few thousand. */
const maximumLength = 4 * 1024 * 1024;
/** As many layers as nothing could stack. */
const maximumInstructions = 10_000;

/**
 * Reads a Dockerfile: the grammar of https://docs.docker.com/reference/dockerfile/, with parser directives, continued lines, comments
 * between them and heredocs.
 *
 * @throws DockerfileFault with file, line, column
 */
export function parseDockerfile(source: DockerfileSource): Dockerfile {
  if (source.text.length > maximumLength) {
    throw new DockerfileFault('dockerfile/too-large', `${source.file} has more than ${maximumLength} characters`, {
      place: { file: source.file },
    });
  }
  const lines = new Lines(source);
  const instructions: Instruction[] = [];
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const split = splitLine(line, lines.escape);
    const marks = takesHeredocs(split) ? heredocMarks(line.text) : [];
    const heredocs = marks.map((mark) => lines.heredoc(mark, line));
    instructions.push(readInstruction(split, heredocs));
    if (instructions.length > maximumInstructions) {
      throw new DockerfileFault(
        'dockerfile/too-large',
        `${source.file} has more than ${maximumInstructions} instructions`,
        {
          place: { file: source.file },
        },
      );
    }
  }
  return {
    ...staged(source, instructions),
    source,
    escape: lines.escape,
    syntax: lines.syntax,
    warnings: lines.warnings,
  };
}

/** @param bytes of the file @throws DockerfileFault dockerfile/not-text */
export function decodeDockerfile(file: string, bytes: Uint8Array): DockerfileSource {
  try {
    return { file, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (cause) {
    throw new DockerfileFault('dockerfile/not-text', `${file} is not UTF-8 text`, {
      place: { file },
      next: 'save it as UTF-8',
      cause,
    });
  }
}

function staged(source: DockerfileSource, all: readonly Instruction[]): Pick<Dockerfile, 'globalArgs' | 'stages'> {
  const globalArgs: InstructionOf<'arg'>[] = [];
  const stages: { from: InstructionOf<'from'>; index: number; instructions: Instruction[] }[] = [];
  for (const instruction of all) {
    const stage = stages.at(-1);
    if (instruction.meaning.kind === 'from') {
      stages.push({ from: instruction as InstructionOf<'from'>, index: stages.length, instructions: [] });
    } else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.meaning.kind === 'arg') globalArgs.push(instruction as InstructionOf<'arg'>);
    else {
      throw new DockerfileFault('dockerfile/syntax', `${instruction.keyword} stands before the first FROM`, {
        place: placeOf(instruction.line, instruction.keywordWord),
        next: 'begin with FROM; only ARG may stand before it',
      });
    }
  }
  if (stages.length > 0) return { globalArgs, stages };
  throw new DockerfileFault('dockerfile/empty', `${source.file} has no FROM`, {
    place: { file: source.file },
    next: 'begin it with FROM and an image, or FROM scratch',
  });
}

/** The lines of a file as instructions have them. */
class Lines {
  readonly warnings: Warning[] = [];
  escape: Escape = '\\';
  syntax: string | undefined;
  readonly #source: DockerfileSource;
  readonly #lines: readonly string[];
  readonly #directives = new Set<string>();
  #mayBeDirective = true;
  #index = 0;

  constructor(source: DockerfileSource) {
    this.#source = source;
    this.#lines = source.text.replace(/^\ufeff/, '').split('\n');
  }

  /** The next instruction's text. */
  next(): LogicalLine | undefined {
    for (;;) {
      if (this.#index >= this.#lines.length) return undefined;
      const number = this.#index + 1;
      const line = this.#take();
      const start = indentOf(line);
      const text = line.slice(start);
      if (this.#isDirective(text, number) || text.startsWith('#')) continue;
      const { kept, goesOn } = this.#continuation(text);
      if (!goesOn && kept === '') continue;
      return this.#join(kept, goesOn, { at: 0, line: number, column: start + 1 });
    }
  }

  #join(first: string, firstGoesOn: boolean, begin: Piece): LogicalLine {
    const pieces = [begin];
    const parts = [first];
    let length = first.length;
    let emptyAt: number | undefined;
    for (let goesOn = firstGoesOn; goesOn && this.#index < this.#lines.length; ) {
      const number = this.#index + 1;
      const text = this.#take();
      const content = text.slice(indentOf(text));
      if (content.startsWith('#')) continue;
      if (content === '') {
        // The last line of a file that ends with a line break is no line.
        if (this.#index < this.#lines.length) emptyAt ??= number;
        continue;
      }
      const { kept, goesOn: further } = this.#continuation(text);
      pieces.push({ at: length, line: number, column: 1 });
      parts.push(kept);
      length += kept.length;
      goesOn = further;
    }
    if (emptyAt !== undefined) {
      this.warnings.push({
        message: 'an empty line in an instruction that goes on: Docker will not take it',
        line: emptyAt,
      });
    }
    return { source: this.#source, text: parts.join(''), pieces };
  }

  /** Lines up to the one that is the heredoc's name. */
  heredoc(mark: HeredocMark, line: LogicalLine): Heredoc {
    const begin = this.#index;
    for (let index = begin; index < this.#lines.length; index++) {
      const text = (this.#lines[index] ?? '').replace(/\r+$/, '');
      if ((mark.chomp ? text.replace(/^\t+/, '') : text) !== mark.name) continue;
      this.#index = index + 1;
      const body = this.#lines.slice(begin, index).map((each) => `${each}\n`);
      const content = (mark.chomp ? body.map((each) => each.replace(/^\t+/, '')) : body).join('');
      return { ...mark, content, line: begin + 1 };
    }
    const at = Math.max(0, line.text.indexOf('<<'));
    throw new DockerfileFault('dockerfile/syntax', `the heredoc ${mark.name} does not end`, {
      place: placeOf(line, { text: line.text.slice(at).split(/\s/)[0] ?? '', at }),
      next: `end it with a line that is ${mark.name} and nothing else`,
    });
  }

  #take(): string {
    const line = this.#lines[this.#index] ?? '';
    this.#index += 1;
    return line.replace(/\r+$/, '');
  }

  /** A line goes on where its last character but blanks is one escape: two of them are a character. */
  #continuation(text: string): { readonly kept: string; readonly goesOn: boolean } {
    const bare = text.replace(/[ \t]+$/, '');
    if (!bare.endsWith(this.escape) || bare.endsWith(this.escape + this.escape)) return { kept: text, goesOn: false };
    return { kept: bare.slice(0, -1), goesOn: true };
  }

  /** `# escape=...` and its kin, which stand above all else. */
  #isDirective(text: string, line: number): boolean {
    if (!this.#mayBeDirective) return false;
    const [, key = '', value = ''] = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(text) ?? [];
    const name = key.toLowerCase();
    if (name !== 'syntax' && name !== 'escape' && name !== 'check') {
      this.#mayBeDirective = false;
      return false;
    }
    const place = { file: this.#source.file, line, column: 1, length: text.length, source: this.#source.text };
    if (this.#directives.has(name)) {
      throw new DockerfileFault('dockerfile/syntax', `the directive ${name} stands there twice`, { place });
    }
    this.#directives.add(name);
    if (name === 'syntax') this.syntax = value;
    else if (name === 'escape') {
      if (value !== '\\' && value !== '`') {
        throw new DockerfileFault('dockerfile/bad-value', `${JSON.stringify(value)} can't be the escape`, {
          place,
          next: 'use \\ or `',
        });
      }
      this.escape = value;
    }
    return true;
  }
}

function indentOf(line: string): number {
  let start = 0;
  while (start < line.length && isSpace(line[start] ?? '')) start++;
  return start;
}
