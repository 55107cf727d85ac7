import { mergedPath } from '../merged.ts';

/** A link that several packages may offer: update-alternatives(1). Paths are as layers have them, targets as links say them. */
export interface Alternative {
  readonly link: string;
  readonly target: string;
  /** Of several that are offered the one with the highest has the link. */
  readonly priority: number;
  /** Links that go with it: `--slave`. */
  readonly others: readonly { readonly link: string; readonly target: string }[];
}

/** A file that a package puts its own in place of, or out of the way: dpkg-divert(1). Paths as layers have them. */
export interface Diversion {
  readonly from: string;
  readonly to: string;
  /** The package whose own file is not moved; none for a diversion of the place itself. */
  readonly by?: string | undefined;
}

/** What installation scripts ask of other programs of dpkg. */
export interface ScriptLinks {
  readonly alternatives: readonly Alternative[];
  readonly diversions: readonly Diversion[];
  /** Commands whose words can't be told from the text. */
  readonly unread: readonly string[];
}

/**
 * Reads what installation scripts have update-alternatives(1) and dpkg-divert(1) make, without running them: commands in so many words, through
 * variables that have one literal value, and in loops over literal words. Whatever else a shell would make of a word is not asked.
 *
 * @param name of the package
 */
export function readScriptLinks(name: string, scripts: readonly string[]): ScriptLinks {
  const alternatives: Alternative[] = [];
  const diversions: Diversion[] = [];
  const unread: string[] = [];
  for (const script of scripts) {
    for (const words of commandsOf(script)) {
      const program = words[0]?.replace(/^(\/usr)?\/s?bin\//, '');
      const shown = words.join(' ').slice(0, 200);
      if (program === 'update-alternatives' && words.includes('--install')) {
        const found = alternativeOf(words);
        if (found === undefined) unread.push(shown);
        else alternatives.push(found);
      } else if (program === 'dpkg-divert' && isAddition(words)) {
        const found = diversionOf(name, words);
        if (found === undefined) unread.push(shown);
        else diversions.push(found);
      }
    }
  }
  return { alternatives, diversions, unread: [...new Set(unread)] };
}

function alternativeOf(words: readonly string[]): Alternative | undefined {
  const at = words.indexOf('--install');
  const [link = '', group = '', target = '', priority = ''] = words.slice(at + 1);
  if (!isPath(link) || group === '' || !isPath(target) || !/^-?[0-9]{1,9}$/.test(priority)) return undefined;
  const others: { link: string; target: string }[] = [];
  words.forEach((word, index) => {
    const [path = '', , to = ''] = words.slice(index + 1);
    // Those that can't be told are pages of manuals in their languages.
    if (word === '--slave' && isPath(path) && isPath(to)) others.push({ link: placeOf(path), target: to });
  });
  return { link: placeOf(link), target, priority: Number(priority), others };
}

/** Adding is what it does where no other action is named. */
function isAddition(words: readonly string[]): boolean {
  const others = ['--remove', '--list', '--listpackage', '--truename', '--version', '--help'];
  return words.length > 1 && !words.some((word) => others.includes(word));
}

function diversionOf(name: string, words: readonly string[]): Diversion | undefined {
  let [from, to, by]: [string, string, string | undefined] = ['', '', name];
  const after = [...words.slice(1)];
  for (let word = after.shift(); word !== undefined; word = after.shift()) {
    const [, option = word, inline] = /^(--[a-z]+)=(.*)$/.exec(word) ?? [];
    const value = () => inline ?? after.shift() ?? '';
    if (option === '--divert') to = value();
    else if (option === '--package') by = value();
    else if (option === '--local') by = undefined;
    else if (option === '--admindir' || option === '--instdir' || option === '--root') return undefined;
    else if (!option.startsWith('--')) from = word;
  }
  if (to === '') to = `${from}.distrib`;
  if (!isPath(from) || !isPath(to) || (by !== undefined && !/^[a-z0-9][a-z0-9+.-]*$/.test(by))) return undefined;
  return { from: placeOf(from), to: placeOf(to), by };
}

function placeOf(path: string): string {
  return mergedPath(path.slice(1));
}

/** An absolute path, plain, without what a shell would expand and without steps upwards. */
function isPath(word: string): boolean {
  return /^(\/[^/$`*?"'(){}[\]\\\0]+)+$/.test(word) && !word.split('/').some((part) => part === '..' || part === '.');
}

const programs = /(?:^|\s|\/)(?:update-alternatives|dpkg-divert)\s/;
/** Where a command may begin: at the line's start, or behind what begins another one. */
const beginning = /(?:^|;|&&|\|\||\||(?<!\$)[{(]|\b(?:then|do|else|if|while|!)\s)\s*/;
/** Values of a loop's variable. Scripts with more loops inside of each other than this makes are no scripts. */
const mostCommands = 10_000;

/** The words of each command that one of the two programs gets, with variables in place. */
function commandsOf(script: string): string[][] {
  if (!programs.test(script)) return [];
  const lines = script
    .slice(0, 256 * 1024)
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/^\s*#.*$/, '').trim());
  const fixed = literalVariables(lines);
  const loops: { name: string; values: readonly string[] }[] = [];
  const found: string[][] = [];
  for (const line of lines) {
    const [, variable, given = ''] = /^for\s+([A-Za-z_]\w*)\s+in\s+([^;]*)/.exec(line) ?? [];
    if (variable !== undefined) loops.push({ name: variable, values: wordsOf(expanded(given, fixed)) });
    for (const command of commandsIn(line)) {
      for (const values of combinations(loops)) {
        if (found.length >= mostCommands) return found;
        found.push(wordsOf(expanded(command, new Map([...fixed, ...values]))));
      }
    }
    if (/(^|;\s*)done\b/.test(line)) loops.pop();
  }
  return found;
}

function commandsIn(line: string): string[] {
  if (!programs.test(line)) return [];
  return line
    .split(beginning)
    .map((text) => text.trim())
    .filter((text) => /^(?:(?:\/usr)?\/s?bin\/)?(?:update-alternatives|dpkg-divert)\s/.test(text))
    .map((text) => text.replace(/\s*(?:;|&&|\|\||\||&|\d?>|#\s).*$/, ''));
}

/** Variables that are set to one value in so many words. What is computed in special cases beside it does not count. */
function literalVariables(lines: readonly string[]): Map<string, string> {
  const values = new Map<string, string | undefined>();
  for (const line of lines) {
    for (const [, name = '', quoted, plain] of line.matchAll(
      /(?:^|;\s*)([A-Za-z_]\w*)=(?:["']([^"'`]*)["']|([^\s;"'`]*))(?=\s*(?:;|$|#))/g,
    )) {
      const value = quoted ?? plain ?? '';
      values.set(name, values.has(name) && values.get(name) !== value ? undefined : value);
    }
  }
  const known = new Map<string, string>();
  for (const [name, value] of values) if (value !== undefined) known.set(name, value);
  return known;
}

function expanded(text: string, variables: ReadonlyMap<string, string>): string {
  let result = text;
  // Values may have variables in them.
  for (let depth = 0; depth < 5; depth++) {
    const before = result;
    result = before.replace(/\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})/g, (whole, plain, braced) => {
      const value = variables.get(plain ?? braced);
      return value ?? whole;
    });
    if (result === before || result.length > 64 * 1024) break;
  }
  return result;
}

function combinations(
  loops: readonly { readonly name: string; readonly values: readonly string[] }[],
): [string, string][][] {
  let all: [string, string][][] = [[]];
  for (const { name, values } of loops) {
    all = all.flatMap((one) => values.map((value): [string, string][] => [...one, [name, value]]));
    if (all.length > mostCommands) return all.slice(0, mostCommands);
  }
  return all;
}

/** Words of a command, their quotes taken off where a word is quoted as a whole. */
function wordsOf(text: string): string[] {
  return text
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => /^(["'])(.*)\1$/.exec(word)?.[2] ?? word);
}
