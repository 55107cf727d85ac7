import { nearest } from '../../fault/index.ts';
import { parseDuration } from './duration.ts';
import { DockerfileFault } from './fault.ts';
import { heredocMark } from './heredoc.ts';
import {
  type CommandLine,
  type CopyFlags,
  type HealthCheck,
  type Heredoc,
  type Instruction,
  keywords,
  type Meaning,
  type Pair,
} from './instruction.ts';
import { type LogicalLine, placeOf, trimmed, type Word } from './source.ts';
import type { Escape } from './substitute.ts';
import { type Flag, firstWord, leadingFlags, plainWords, quotedWords } from './words.ts';

/** A line split into keyword, flags and arguments. */
export interface SplitLine {
  readonly line: LogicalLine;
  readonly escape: Escape;
  readonly keyword: string;
  readonly keywordWord: Word;
  readonly flags: readonly Flag[];
  readonly args: Word;
}

export function splitLine(line: LogicalLine, escaping: Escape, from = 0): SplitLine {
  const { first, rest } = firstWord({ text: line.text.slice(from), at: from });
  const { flags, rest: args } = leadingFlags(rest, escaping);
  return { line, escape: escaping, keyword: first.text.toUpperCase(), keywordWord: first, flags, args: trimmed(args) };
}

/** The line may have heredocs behind it. */
export function takesHeredocs(split: SplitLine): boolean {
  if (split.keyword === 'ONBUILD') return takesHeredocs(splitLine(split.line, split.escape, split.args.at));
  return ['ADD', 'COPY', 'RUN'].includes(split.keyword) && jsonTexts(split) === undefined;
}

/**
 * What a line means. @throws DockerfileFault dockerfile/syntax, dockerfile/unknown-instruction, dockerfile/bad-flag,
 * dockerfile/bad-value
 */
export function readInstruction(split: SplitLine, heredocs: readonly Heredoc[]): Instruction {
  const { line, keyword, keywordWord } = split;
  if (!(keywords as readonly string[]).includes(keyword)) {
    const meant = nearest(keyword, keywords);
    throw new DockerfileFault(
      'dockerfile/unknown-instruction',
      `${JSON.stringify(keywordWord.text.slice(0, 60))} is not an instruction`,
      {
        place: placeOf(line, keywordWord),
        next: meant === undefined ? `use one of ${keywords.join(', ')}` : `did you mean ${meant}?`,
      },
    );
  }
  return { line, keyword, keywordWord, meaning: meaningOf(split, heredocs) };
}

function meaningOf(split: SplitLine, heredocs: readonly Heredoc[]): Meaning {
  switch (split.keyword) {
    case 'FROM':
      return from(split);
    case 'ARG':
      return args(split);
    case 'ENV':
      return { kind: 'env', pairs: pairs(split) };
    case 'LABEL':
      return { kind: 'label', pairs: pairs(split) };
    case 'COPY':
      return copy(split, 'copy', heredocs);
    case 'ADD':
      return copy(split, 'add', heredocs);
    case 'RUN':
      return { kind: 'run', flags: split.flags, command: commandOf(split, needed(split)), heredocs };
    case 'CMD':
      noFlags(split);
      return { kind: 'cmd', command: commandOf(split, split.args) };
    case 'ENTRYPOINT':
      noFlags(split);
      return { kind: 'entrypoint', command: commandOf(split, split.args) };
    case 'SHELL':
      return shell(split);
    case 'EXPOSE':
      noFlags(split);
      return { kind: 'expose', words: plainWords(needed(split)) };
    case 'VOLUME':
      return volume(split);
    case 'USER':
      return { kind: 'user', word: oneArgument(split) };
    case 'WORKDIR':
      return { kind: 'workdir', word: oneArgument(split) };
    case 'STOPSIGNAL':
      return { kind: 'stopsignal', word: oneArgument(split) };
    case 'MAINTAINER':
      return { kind: 'maintainer', word: oneArgument(split) };
    case 'HEALTHCHECK':
      return { kind: 'healthcheck', check: healthCheck(split) };
    default:
      return onbuild(split, heredocs);
  }
}

function syntax({ line }: SplitLine, word: Word, message: string, next?: string): DockerfileFault {
  return new DockerfileFault('dockerfile/syntax', message, { place: placeOf(line, word), next });
}

function needed(split: SplitLine): Word {
  if (split.args.text !== '') return split.args;
  throw syntax(split, split.keywordWord, `${split.keyword} has no arguments`, `write what it is for behind it`);
}

function oneArgument(split: SplitLine): Word {
  noFlags(split);
  return needed(split);
}

function noFlags(split: SplitLine): void {
  flagsOf(split, []);
}

/** The flags by name. @throws DockerfileFault dockerfile/bad-flag for one that is not known, or that stands there twice */
function flagsOf(split: SplitLine, known: readonly string[], repeated: readonly string[] = []): Map<string, Flag[]> {
  const found = new Map<string, Flag[]>();
  for (const flag of split.flags) {
    const bad = (message: string, next?: string) =>
      new DockerfileFault('dockerfile/bad-flag', message, { place: placeOf(split.line, flag.word), next });
    if (!known.includes(flag.name)) {
      const meant = nearest(flag.name, known);
      throw bad(
        `${split.keyword} has no flag --${flag.name.slice(0, 60)}`,
        meant === undefined ? undefined : `did you mean --${meant}?`,
      );
    }
    const before = found.get(flag.name);
    if (before !== undefined && !repeated.includes(flag.name)) throw bad(`--${flag.name} stands there twice`);
    found.set(flag.name, [...(before ?? []), flag]);
  }
  return found;
}

function flagWord(split: SplitLine, flags: Map<string, Flag[]>, name: string): Word | undefined {
  return flagWords(split, flags, name)[0];
}

function flagWords(split: SplitLine, flags: Map<string, Flag[]>, name: string): Word[] {
  return (flags.get(name) ?? []).map(({ value, word, valueAt }) => {
    if (value === undefined || value === '') {
      throw new DockerfileFault('dockerfile/bad-flag', `--${name} has no value`, {
        place: placeOf(split.line, word),
        next: `write --${name}=...`,
      });
    }
    return { text: value, at: valueAt };
  });
}

function flagTruth(split: SplitLine, flags: Map<string, Flag[]>, name: string): boolean | undefined {
  const [flag] = flags.get(name) ?? [];
  if (flag === undefined) return undefined;
  const value = (flag.value ?? 'true').toLowerCase();
  if (value === 'true' || value === 'false') return value === 'true';
  throw new DockerfileFault('dockerfile/bad-flag', `--${name} is true or false`, {
    place: placeOf(split.line, flag.word),
  });
}

function from(split: SplitLine): Meaning {
  const flags = flagsOf(split, ['platform']);
  const words = plainWords(needed(split));
  const [image, as, name, ...more] = words;
  if (image === undefined) throw syntax(split, split.keywordWord, 'FROM names no image');
  const platform = flagWord(split, flags, 'platform');
  if (as === undefined) return { kind: 'from', image, platform, stage: undefined };
  if (name === undefined || more.length > 0 || as.text.toLowerCase() !== 'as') {
    throw syntax(
      split,
      as,
      'FROM takes an image, and AS with a name where the stage has one',
      'write FROM image AS name',
    );
  }
  const stage = name.text.toLowerCase();
  if (!/^[a-z][a-z0-9_.-]*$/.test(stage)) {
    throw syntax(
      split,
      name,
      `${JSON.stringify(name.text.slice(0, 60))} can't be the name of a stage`,
      'begin it with a letter, and use letters, digits, _ . and -',
    );
  }
  return { kind: 'from', image, platform, stage };
}

function args(split: SplitLine): Meaning {
  noFlags(split);
  const words = quotedWords(needed(split), split.escape);
  return {
    kind: 'arg',
    args: words.map((word) => {
      const equals = word.text.indexOf('=');
      const name = equals < 0 ? word : { text: word.text.slice(0, equals), at: word.at };
      if (name.text === '') throw syntax(split, word, 'ARG has a value without a name');
      return { name, value: equals < 0 ? undefined : { text: word.text.slice(equals + 1), at: word.at + equals + 1 } };
    }),
  };
}

/** `a=1 b=2`, or the older `a 1` for one pair. */
function pairs(split: SplitLine): Pair[] {
  noFlags(split);
  const all = needed(split);
  const words = quotedWords(all, split.escape);
  const [head] = words;
  if (head !== undefined && !head.text.includes('=')) {
    const { first, rest } = firstWord(all);
    if (rest.text === '')
      throw syntax(
        split,
        first,
        `${split.keyword} has a name and no value`,
        `write ${split.keyword} ${first.text}=...`,
      );
    return [{ name: first, value: rest }];
  }
  return words.map((word) => {
    const equals = word.text.indexOf('=');
    if (equals < 0)
      throw syntax(
        split,
        word,
        `${JSON.stringify(word.text.slice(0, 60))} has no =`,
        'write name=value, with quotes around a value that holds spaces',
      );
    if (equals === 0) throw syntax(split, word, `${split.keyword} has a value without a name`);
    return {
      name: { text: word.text.slice(0, equals), at: word.at },
      value: { text: word.text.slice(equals + 1), at: word.at + equals + 1 },
    };
  });
}

function copy(split: SplitLine, kind: 'copy' | 'add', heredocs: readonly Heredoc[]): Meaning {
  const both = ['chown', 'chmod', 'link', 'exclude'];
  const own = kind === 'copy' ? ['from', 'parents'] : ['checksum', 'unpack', 'keep-git-dir'];
  const flags = flagsOf(split, [...both, ...own], ['exclude']);
  const words = jsonWords(split) ?? plainWords(split.args);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) {
    throw syntax(
      split,
      destination ?? split.keywordWord,
      `${split.keyword} needs sources and a destination`,
      `write ${split.keyword} source... destination`,
    );
  }
  if (heredocMark(destination.text) !== undefined && jsonTexts(split) === undefined) {
    throw syntax(split, destination, 'a heredoc can be a source and not the destination');
  }
  const copyFlags: CopyFlags = {
    from: flagWord(split, flags, 'from'),
    chown: flagWord(split, flags, 'chown'),
    chmod: flagWord(split, flags, 'chmod'),
    checksum: flagWord(split, flags, 'checksum'),
    exclude: flagWords(split, flags, 'exclude'),
    parents: flagTruth(split, flags, 'parents') ?? false,
    link: flagTruth(split, flags, 'link') ?? false,
    unpack: flagTruth(split, flags, 'unpack'),
  };
  flagTruth(split, flags, 'keep-git-dir');
  const rest = [...heredocs];
  const sources = words.slice(0, -1).map((word) => {
    const mark = rest.length > 0 ? heredocMark(word.text) : undefined;
    // `<< EOF` is two words here and one for the shell.
    return mark === undefined ? word : (rest.shift() ?? word);
  });
  return { kind, flags: copyFlags, sources, destination };
}

function shell(split: SplitLine): Meaning {
  noFlags(split);
  const words = jsonTexts(split);
  if (words === undefined || words.length === 0) {
    throw syntax(split, needed(split), 'SHELL takes a JSON list', 'write SHELL ["/bin/sh", "-c"]');
  }
  return { kind: 'shell', words };
}

function volume(split: SplitLine): Meaning {
  noFlags(split);
  const words = (jsonWords(split) ?? plainWords(needed(split))).map(trimmed);
  if (words.length === 0) throw syntax(split, split.args, 'VOLUME names no path');
  const empty = words.find(({ text }) => text === '');
  if (empty !== undefined) throw syntax(split, split.args, 'VOLUME has an empty path');
  return { kind: 'volume', words };
}

function healthCheck(split: SplitLine): HealthCheck {
  const names = ['interval', 'timeout', 'start-period', 'start-interval', 'retries'];
  const flags = flagsOf(split, names);
  const { first, rest } = firstWord(needed(split));
  const none = { command: undefined, interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 };
  if (first.text.toUpperCase() === 'NONE') {
    if (rest.text !== '') throw syntax(split, rest, 'HEALTHCHECK NONE takes no arguments');
    return none;
  }
  if (first.text.toUpperCase() !== 'CMD') {
    throw syntax(
      split,
      first,
      `${JSON.stringify(first.text.slice(0, 60))} is no kind of health check`,
      'write HEALTHCHECK CMD ..., or HEALTHCHECK NONE',
    );
  }
  if (rest.text === '') throw syntax(split, first, 'HEALTHCHECK CMD has no command');
  const duration = (name: string): number => {
    const word = flagWord(split, flags, name);
    if (word === undefined) return 0;
    const value = parseDuration(word.text);
    // Docker takes 0 for what it would be without the flag, and refuses what it can't measure.
    if (value !== undefined && (value === 0 || value >= 1e6)) return value;
    throw new DockerfileFault('dockerfile/bad-value', `--${name} is not a duration of at least 1ms`, {
      place: placeOf(split.line, word),
      next: 'write it as 30s or 1m30s',
    });
  };
  return {
    command: commandOf(split, rest),
    interval: duration('interval'),
    timeout: duration('timeout'),
    startPeriod: duration('start-period'),
    startInterval: duration('start-interval'),
    retries: retries(split, flagWord(split, flags, 'retries')),
  };
}

function retries(split: SplitLine, word: Word | undefined): number {
  if (word === undefined) return 0;
  if (/^\+?[0-9]{1,9}$/.test(word.text)) return Number(word.text);
  throw new DockerfileFault('dockerfile/bad-value', '--retries is not a number from 0 on', {
    place: placeOf(split.line, word),
  });
}

function onbuild(split: SplitLine, heredocs: readonly Heredoc[]): Meaning {
  noFlags(split);
  const all = needed(split);
  const trigger = splitLine(split.line, split.escape, all.at);
  if (['ONBUILD', 'FROM', 'MAINTAINER'].includes(trigger.keyword)) {
    throw syntax(split, trigger.keywordWord, `${trigger.keyword} can't stand behind ONBUILD`);
  }
  const bodies = heredocs.map(({ content, name }) => `\n${content}${name}`).join('');
  return { kind: 'onbuild', text: `${all.text}${bodies}`, trigger: readInstruction(trigger, heredocs) };
}

/** The exec form where it is a JSON list of texts; else the text goes to a shell. */
function commandOf(split: SplitLine, word: Word): CommandLine {
  const list = parseTexts(split, word);
  return list === undefined ? { shell: word.text } : { exec: list };
}

function jsonTexts(split: SplitLine): readonly string[] | undefined {
  return parseTexts(split, split.args);
}

/** The texts of a JSON list as words; they all stand where the list stands. */
function jsonWords(split: SplitLine): Word[] | undefined {
  return jsonTexts(split)?.map((text) => ({ text, at: split.args.at }));
}

/** @returns undefined where it is no JSON list, which then is text like any other */
function parseTexts(split: SplitLine, word: Word): readonly string[] | undefined {
  if (!word.text.trimStart().startsWith('[')) return undefined;
  let list: unknown;
  try {
    list = JSON.parse(word.text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(list)) return undefined;
  if (list.every((entry) => typeof entry === 'string')) return list;
  throw syntax(
    split,
    word,
    'the JSON list holds something that is no text',
    'put each of its members into double quotes',
  );
}
