import { nearest } from '../../fault/index.ts';
import type { Architecture } from '../platform.ts';
import { DockerfileFault } from './fault.ts';
import type { Dockerfile, Warning } from './parse.ts';
import { type LogicalLine, placeAt, type Word } from './source.ts';
import { type Escape, type Substituted, SubstitutionProblem, substitute } from './substitute.ts';

export interface Platform {
  readonly os: 'linux';
  readonly architecture: Architecture;
}

/** Names and values; a name without a value is a variable that is not set. */
export type Variables = ReadonlyMap<string, string>;

/** Variables that docker build knows without ARG; nobody is told when a Dockerfile does not use them. */
const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];
const neverUnused = new Set([...proxies, ...proxies.map((name) => name.toLowerCase()), 'SOURCE_DATE_EPOCH']);

/** The reference's "Automatic platform ARGs in the global scope". */
export function platformVariables(build: Platform, target: Platform, stage: string): Variables {
  const of = (prefix: string, { os, architecture }: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, `${os}/${architecture}`],
    [`${prefix}OS`, os],
    [`${prefix}ARCH`, architecture],
    [`${prefix}VARIANT`, ''],
  ];
  return new Map([...of('BUILD', build), ...of('TARGET', target), ['TARGETSTAGE', stage]]);
}

/** What the text of a word becomes. @throws DockerfileFault dockerfile/bad-substitution at the place */
export function substituteWord(
  line: LogicalLine,
  word: Word,
  escaping: Escape,
  variables: (name: string) => string | undefined,
  ignoreQuotes = false,
): Substituted {
  try {
    return substitute(word.text, { escape: escaping, variable: variables, ignoreQuotes });
  } catch (error) {
    if (!(error instanceof SubstitutionProblem)) throw error;
    throw new DockerfileFault('dockerfile/bad-substitution', `variables can't be replaced here: ${error.message}`, {
      place: placeAt(line, word.at + error.at, word.text.length - error.at),
    });
  }
}

/** ARG before the first FROM: what it sets is known to FROM, and to stages that say ARG again. */
export function globalVariables(
  { globalArgs, escape: escaping }: Dockerfile,
  automatic: Variables,
  given: Variables,
): Variables {
  const variables = new Map(automatic);
  for (const [name] of automatic) {
    const value = given.get(name);
    if (value !== undefined) variables.set(name, value);
  }
  for (const { line, meaning } of globalArgs) {
    for (const { name, value } of meaning.args) {
      const own = value && substituteWord(line, value, escaping, (each) => variables.get(each)).text;
      const set = given.get(name.text) ?? own;
      if (set !== undefined) variables.set(name.text, set);
    }
  }
  return variables;
}

/** Arguments that no ARG of the file names. */
export function unusedArguments(dockerfile: Dockerfile, given: Variables, automatic: Variables): Warning[] {
  const known = new Set(automatic.keys());
  for (const { meaning } of [
    ...dockerfile.globalArgs,
    ...dockerfile.stages.flatMap(({ instructions }) => instructions),
  ]) {
    if (meaning.kind === 'arg') for (const { name } of meaning.args) known.add(name.text);
  }
  return [...given.keys()]
    .filter((name) => !known.has(name) && !neverUnused.has(name))
    .map((name) => {
      const meant = nearest(
        name,
        [...known].filter((each) => !automatic.has(each)),
      );
      return {
        line: 1,
        message: `no ARG takes the build argument ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      };
    });
}
