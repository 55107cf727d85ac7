import { defaultShell } from './config.ts';
import type { Heredoc, Instruction, InstructionOf } from './instruction.ts';
import type { Stage } from './parse.ts';
import type { LogicalLine, Word } from './source.ts';

/** A stage, and what is known of what it stands on. */
export interface StageForBuildah {
  readonly stage: Stage;
  /** SHELL of what FROM names. */
  readonly shell: readonly string[] | undefined;
  /** Images by their ids in buildah's storage, by the words that name them. */
  readonly ids: ReadonlyMap<Word, string>;
  /** Heredocs of COPY and ADD with their variables replaced. */
  readonly texts: ReadonlyMap<Heredoc, string>;
}

export interface DockerfileForBuildah {
  readonly text: string;
  /** Files that stand for heredocs, by their path in a context of their own, `heredocContext`. */
  readonly files: ReadonlyMap<string, string>;
}

/** The name by which `--build-context` gives the folder of heredocs: in the context itself, `COPY .` would take them along. */
export const heredocContext = 'banksman-heredocs';

/**
 * A Dockerfile as any buildah takes it: images are named by ids, and what buildah learned only later is put in other words. Heredocs
 * become files to copy and commands in the form of a list; `--link`, which decides on caches alone, is left out. Every line keeps
 * its number.
 */
export function dockerfileForBuildah(text: string, stages: readonly StageForBuildah[]): DockerfileForBuildah {
  const lines = text.replace(/^\ufeff/, '').split('\n');
  const files = new Map<string, string>();
  const replace = (line: LogicalLine, last: number, by: string) => {
    const first = line.pieces[0]?.line ?? 1;
    lines.fill('', first - 1, last);
    for (const [index, each] of by.split('\n').entries()) lines[first - 1 + index] = each;
  };
  for (const { stage, shell: below, ids, texts } of stages) {
    let shell = below ?? defaultShell;
    for (const instruction of [stage.from, ...stage.instructions]) {
      const { line, meaning } = instruction;
      if (meaning.kind === 'shell') shell = meaning.words;
      const heredocs = heredocsOf(instruction);
      const last = Math.max(line.pieces.at(-1)?.line ?? 1, ...heredocs.map(lastLine));
      if (meaning.kind === 'run') {
        if (heredocs.length > 0) replace(line, last, runAsList(instruction as InstructionOf<'run'>, shell));
        continue;
      }
      const edits: Edit[] = wordsOf(instruction).flatMap((word) => {
        const id = ids.get(word);
        return id === undefined ? [] : [{ at: word.at, length: word.text.length, text: id }];
      });
      if (meaning.kind === 'copy' || meaning.kind === 'add') edits.push(...withoutLink(line));
      if (heredocs.length > 0) {
        const paths = heredocs.map((heredoc) => {
          const path = `${files.size}/${heredoc.name}`;
          files.set(path, texts.get(heredoc) ?? heredoc.content);
          return path;
        });
        replace(line, last, copiesOf(instruction as InstructionOf<'copy'>, edits, paths));
        continue;
      }
      if (edits.length > 0) replace(line, last, edited(line.text, edits));
    }
  }
  return { text: lines.join('\n'), files };
}

interface Edit {
  readonly at: number;
  readonly length: number;
  readonly text: string;
}

function edited(text: string, edits: readonly Edit[]): string {
  let result = text;
  // From the end to the start, so that offsets stay what they are.
  for (const { at, length, text: by } of edits.toSorted((a, b) => b.at - a.at))
    result = result.slice(0, at) + by + result.slice(at + length);
  return result;
}

/** Words that may name images. */
function wordsOf({ meaning }: Instruction): Word[] {
  if (meaning.kind === 'from') return [meaning.image];
  return (meaning.kind === 'copy' || meaning.kind === 'add') && meaning.flags.from ? [meaning.flags.from] : [];
}

export function heredocsOf({ meaning }: Instruction): readonly Heredoc[] {
  if (meaning.kind === 'run') return meaning.heredocs;
  if (meaning.kind !== 'copy' && meaning.kind !== 'add') return [];
  return meaning.sources.filter((source): source is Heredoc => !('text' in source));
}

/** Line of the file that ends a heredoc. */
function lastLine({ line, content }: Heredoc): number {
  return line + content.split('\n').length - 1;
}

function withoutLink({ text }: LogicalLine): Edit[] {
  return [...text.matchAll(/(?<=\s)--link(?:=\w+)?(?=\s)/g)].map(({ index, 0: { length } }) => ({
    at: index,
    length,
    text: '',
  }));
}

/** A COPY with heredocs: one for those, and one before it for what else it copies. There is a line for each, as heredocs have an end. */
function copiesOf({ line, meaning }: InstructionOf<'copy'>, edits: readonly Edit[], paths: readonly string[]): string {
  const marks = heredocPlaces(line.text);
  const others = meaning.sources.filter((source): source is Word => 'text' in source);
  const without = (words: readonly Pick<Edit, 'at' | 'length'>[]) => words.map((word) => ({ ...word, text: '' }));
  const sources = without(others.map(({ at, text }) => ({ at, length: text.length })));
  const [first, ...rest] = marks;
  const heredocs = [
    ...edits,
    ...sources,
    ...without(rest),
    ...(first === undefined ? [] : [{ ...first, text: paths.join(' ') }]),
  ];
  // ADD takes no --from, and does with plain files what COPY does.
  const own = edited(line.text, heredocs).replace(/^(\s*)(?:COPY|ADD)\b/i, `$1COPY --from=${heredocContext}`);
  return others.length === 0 ? own : `${edited(line.text, [...edits, ...without(marks)])}\n${own}`;
}

/** `<<EOF`, `<<-"EOF"` in a line of COPY or ADD, in their order. */
function heredocPlaces(text: string): Pick<Edit, 'at' | 'length'>[] {
  return [...text.matchAll(/(?<=\s)[0-9]*<<-?[\t\r ]*(?:"[^"]*"|'[^']*'|[^\s"'<])+/g)].map(
    ({ index, 0: { length } }) => ({
      at: index,
      length,
    }),
  );
}

/** A RUN with heredocs, in the form of a list: the shell reads them then. */
function runAsList({ line, keywordWord, meaning }: InstructionOf<'run'>, shell: readonly string[]): string {
  const flags = meaning.flags.map(({ word }) => `${word.text} `).join('');
  const command = 'shell' in meaning.command ? meaning.command.shell : meaning.command.exec.join(' ');
  return `${line.text.slice(0, keywordWord.at)}RUN ${flags}${JSON.stringify(runWords(command, meaning.heredocs, shell))}`;
}

/**
 * As the Dockerfile reference has it: a heredoc alone is a script, for the shell or for what its first line names. Otherwise the
 * shell gets the command with its heredocs.
 */
function runWords(command: string, heredocs: readonly Heredoc[], shell: readonly string[]): string[] {
  const [only, ...others] = heredocs;
  const isAlone =
    only !== undefined && others.length === 0 && heredocPlaces(` ${command}`)[0]?.length === command.trim().length;
  if (!isAlone) return [...shell, [command, ...heredocs.map(({ content, name }) => `${content}${name}`)].join('\n')];
  if (!only.content.startsWith('#!')) return [...shell, only.content];
  let end = 'END_OF_SCRIPT';
  while (only.content.split('\n').includes(end)) end += '_';
  const script = [
    `d=$(mktemp -d) && cat > "$d/run" <<'${end}' || exit`,
    `${only.content}${end}`,
    'chmod 755 "$d" "$d/run"; "$d/run"; s=$?; rm -rf "$d"; exit $s',
  ];
  return [...defaultShell, script.join('\n')];
}
