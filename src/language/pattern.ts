import { charge } from './execution.ts';
import { EvaluationError } from './fault.ts';

/**
 * Regular expressions for BUILD files: RE2's syntax, matched by following all ways at once
 * (Thompson's construction), so that no pattern takes more than its length times that of the text.
 */
type Step =
  | { readonly kind: 'character'; readonly fits: (code: number) => boolean }
  | { readonly kind: 'split'; to: number[] }
  | { readonly kind: 'start' | 'end' | 'lineStart' | 'lineEnd' | 'edge' | 'inside' }
  | { readonly kind: 'found' };

const longestPattern = 10_000;
/** What repetition may blow a pattern up to. */
const maximumSteps = 5000;
const maximumDepth = 100;

/**
 * Whether a pattern is found anywhere in a text.
 *
 * @throws EvaluationError language/value for what is no pattern
 */
export function patternFits(pattern: string, text: string): boolean {
  if (pattern.length > longestPattern) {
    throw new EvaluationError('language/limit', `a regular expression of more than ${longestPattern} characters`);
  }
  const steps = new PatternCompiler(pattern).compile();
  const characters = Array.from(text, (each) => each.codePointAt(0)!);
  let active = new Set<number>();
  for (let at = 0; at <= characters.length; at++) {
    charge(1 + active.size);
    // A match may begin anywhere.
    const reached = new Set<number>();
    for (const index of [...active, 0]) follow(steps, index, at, characters, reached);
    const next = new Set<number>();
    for (const index of reached) {
      const step = steps[index]!;
      if (step.kind === 'found') return true;
      if (step.kind === 'character' && at < characters.length && step.fits(characters[at]!)) next.add(index + 1);
    }
    active = next;
  }
  return false;
}

function follow(steps: readonly Step[], from: number, at: number, text: readonly number[], reached: Set<number>): void {
  const pending = [from];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    if (reached.has(index)) continue;
    reached.add(index);
    const step = steps[index]!;
    switch (step.kind) {
      case 'split':
        pending.push(...step.to);
        break;
      case 'start':
        if (at === 0) pending.push(index + 1);
        break;
      case 'end':
        if (at === text.length) pending.push(index + 1);
        break;
      case 'lineStart':
        if (at === 0 || text[at - 1] === 10) pending.push(index + 1);
        break;
      case 'lineEnd':
        if (at === text.length || text[at] === 10) pending.push(index + 1);
        break;
      case 'edge':
      case 'inside':
        if ((isWord(text[at - 1]) !== isWord(text[at])) === (step.kind === 'edge')) pending.push(index + 1);
        break;
    }
  }
}

function isWord(code: number | undefined): boolean {
  if (code === undefined) return false;
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
}

const isDigit = (code: number) => code >= 48 && code <= 57;
const isSpace = (code: number) => code === 32 || (code >= 9 && code <= 13 && code !== 11);
const not = (fits: (code: number) => boolean) => (code: number) => !fits(code);

const classes: Readonly<Record<string, (code: number) => boolean>> = {
  d: isDigit,
  D: not(isDigit),
  w: isWord,
  W: not(isWord),
  s: isSpace,
  S: not(isSpace),
};
const controls: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v', a: '\x07' };

/** POSIX classes in sets, `[[:alpha:]]`, as sets of JavaScript. */
const posix: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  ascii: /[\0-\x7f]/,
  blank: /[\t ]/,
  cntrl: /[\0-\x1f\x7f]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[\t\n\v\f\r ]/,
  upper: /[A-Z]/,
  word: /[0-9A-Za-z_]/,
  xdigit: /[0-9A-Fa-f]/,
};

interface Flags {
  /** `i`: capitals and small letters are the same. */
  readonly i: boolean;
  /** `m`: `^` and `$` fit at lines. */
  readonly m: boolean;
  /** `s`: `.` fits a line end. */
  readonly s: boolean;
}

class PatternCompiler {
  private readonly pattern: string;
  private readonly characters: readonly string[];
  private at = 0;
  private depth = 0;
  private flags: Flags = { i: false, m: false, s: false };

  constructor(pattern: string) {
    this.pattern = pattern;
    this.characters = unquoted(Array.from(pattern));
  }

  compile(): Step[] {
    const steps = this.alternatives();
    if (this.at < this.characters.length) throw this.bad('a ) without its (');
    return [...steps, { kind: 'found' }];
  }

  private bad(why: string): EvaluationError {
    return new EvaluationError('language/value', `${JSON.stringify(this.pattern)} is no regular expression: ${why}`);
  }

  private accept(character: string): boolean {
    if (this.characters[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private alternatives(): Step[] {
    if (++this.depth > maximumDepth) throw this.bad('it is nested too deep');
    const branches = [this.sequence()];
    while (this.accept('|')) branches.push(this.sequence());
    this.depth--;
    return branches.reduceRight((rest, branch) => this.either(branch, rest));
  }

  /** `split a (split to the end) b`, with positions relative to where the part will lie. */
  private either(first: Step[], second: Step[]): Step[] {
    return this.joined([
      { kind: 'split', to: [1, first.length + 2] },
      ...shifted(first, 1),
      { kind: 'split', to: [first.length + 2 + second.length] },
      ...shifted(second, first.length + 2),
    ]);
  }

  private joined(steps: Step[]): Step[] {
    if (steps.length > maximumSteps) throw this.bad('it repeats too much');
    return steps;
  }

  private sequence(): Step[] {
    const steps: Step[] = [];
    for (;;) {
      const character = this.characters[this.at];
      if (character === undefined || character === '|' || character === ')') return this.joined(steps);
      steps.push(...shifted(this.repeated(), steps.length));
      this.joined(steps);
    }
  }

  private repeated(): Step[] {
    let steps = this.single();
    for (;;) {
      const character = this.characters[this.at];
      if (character === '*' || character === '+' || character === '?') {
        this.at++;
        steps = this.times(steps, character === '+' ? 1 : 0, character === '?' ? 1 : Number.POSITIVE_INFINITY);
      } else {
        const counted = this.counted();
        if (counted === null) return steps;
        this.at += counted[0].length;
        const least = Number(counted[1]);
        const most =
          counted[2] === undefined ? least : counted[3] === undefined ? Number.POSITIVE_INFINITY : Number(counted[3]);
        if (most < least) throw this.bad(`${counted[0]} asks for more than it allows`);
        steps = this.times(steps, least, most);
      }
      // A reluctant repetition finds the same texts.
      this.accept('?');
    }
  }

  /** `{2}`, `{2,}` or `{2,3}`; anything else in braces stands for itself. */
  private counted(): RegExpExecArray | null {
    return /^\{(\d{1,4})(,(\d{1,4})?)?\}/.exec(this.characters.slice(this.at, this.at + 12).join(''));
  }

  private times(steps: Step[], least: number, most: number): Step[] {
    const result: Step[] = [];
    const append = (more: Step[]) => {
      result.push(...shifted(more, result.length));
      this.joined(result);
    };
    for (let count = 0; count < least; count++) append(steps);
    if (most === Number.POSITIVE_INFINITY) {
      append([{ kind: 'split', to: [1, steps.length + 2] }, ...shifted(steps, 1), { kind: 'split', to: [0] }]);
    } else
      for (let count = least; count < most; count++)
        append([{ kind: 'split', to: [1, steps.length + 1] }, ...shifted(steps, 1)]);
    return result;
  }

  private single(): Step[] {
    const character = this.characters[this.at++]!;
    switch (character) {
      case '(':
        return this.group();
      case '[':
        return [{ kind: 'character', fits: this.set() }];
      case '.':
        return [{ kind: 'character', fits: this.flags.s ? () => true : (code) => code !== 10 }];
      case '^':
        return [{ kind: this.flags.m ? 'lineStart' : 'start' }];
      case '$':
        return [{ kind: this.flags.m ? 'lineEnd' : 'end' }];
      case '*':
      case '+':
      case '?':
        throw this.bad(`${character} repeats nothing`);
      case '\\': {
        const escaped = this.characters[this.at++];
        if (escaped === undefined) throw this.bad('it ends in a backslash');
        if (escaped === 'b' || escaped === 'B') return [{ kind: escaped === 'b' ? 'edge' : 'inside' }];
        if (escaped === 'A') return [{ kind: 'start' }];
        if (escaped === 'z') return [{ kind: 'end' }];
        return [{ kind: 'character', fits: this.named(escaped) ?? this.letter(this.escaped(escaped)) }];
      }
      default:
        return [{ kind: 'character', fits: this.letter(character) }];
    }
  }

  /** `( )`, `(?: )`, `(?P<name> )`, `(?<name> )`, `(?i: )`; `(?i)` counts to the end of the group around it. */
  private group(): Step[] {
    const before = this.flags;
    if (this.accept('?')) {
      const rest = this.characters.slice(this.at, this.at + 64).join('');
      const named = /^P?<[A-Za-z_][A-Za-z0-9_]*>/.exec(rest);
      const flags = /^([imsU]*)(?:-([imsU]+))?([:)])/.exec(rest);
      if (named !== null) this.at += named[0].length;
      else if (flags === null || flags[0] === ')') throw this.bad(`(?${rest.slice(0, 3)} is no group that RE2 knows`);
      else {
        this.at += flags[0].length;
        const [, on, off = '', end] = flags;
        const of = (flag: keyof Flags) => (before[flag] || on!.includes(flag)) && !off.includes(flag);
        this.flags = { i: of('i'), m: of('m'), s: of('s') };
        if (end === ')') {
          if (/[*+?]/.test(this.characters[this.at] ?? '') || this.counted() !== null) {
            throw this.bad('flags are repeated');
          }
          return [];
        }
      }
    }
    const steps = this.alternatives();
    if (!this.accept(')')) throw this.bad('a ( without its )');
    this.flags = before;
    return steps;
  }

  /** A class that a letter behind a backslash names: `\\d`, `\\pL`, `\\p{Greek}`. */
  private named(letter: string): ((code: number) => boolean) | undefined {
    if (letter !== 'p' && letter !== 'P') return classes[letter];
    const rest = this.characters.slice(this.at, this.at + 40).join('');
    const match = /^(?:\{(\^?)([A-Za-z_]+)\}|([A-Z]))/.exec(rest);
    if (match === null) throw this.bad(`\\${letter} names no class of Unicode`);
    this.at += Array.from(match[0]).length;
    const fits = this.unicode(match[2] ?? match[3]!);
    return (letter === 'P') !== (match[1] === '^') ? not(fits) : fits;
  }

  private unicode(name: string): (code: number) => boolean {
    if (name === 'Any') return () => true;
    for (const property of [name, `Script=${name}`]) {
      try {
        // A general category such as L or Nd, or a script such as Greek; of other properties RE2 knows nothing.
        if (property === name && !/^[CLMNPSZ][a-z]?$/.test(name)) continue;
        const fits = new RegExp(`^\\p{${property}}$`, 'u');
        return (code) => fits.test(String.fromCodePoint(code));
      } catch {}
    }
    throw this.bad(`Unicode has no class ${name}`);
  }

  private escaped(character: string): string {
    const control = controls[character];
    if (control !== undefined) return control;
    if (character === 'x') {
      const rest = this.characters.slice(this.at, this.at + 12).join('');
      const match = /^(?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2}))/.exec(rest);
      const code = match === null ? Number.NaN : Number.parseInt(match[1] ?? match[2]!, 16);
      if (!(code <= 0x10ffff)) throw this.bad('\\x needs the hexadecimal digits of a character');
      this.at += match![0].length;
      return String.fromCodePoint(code);
    }
    if (/[0-7]/.test(character)) {
      const octal = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(
        character + this.characters.slice(this.at, this.at + 2).join(''),
      );
      if (octal === null) throw this.bad(`\\${character} refers to a group, which RE2 does not know`);
      this.at += octal[0].length - 1;
      return String.fromCodePoint(Number.parseInt(octal[0], 8));
    }
    if (/[A-Za-z0-9]/.test(character)) throw this.bad(`\\${character} is not known`);
    return character;
  }

  private letter(character: string): (code: number) => boolean {
    return this.range(character.codePointAt(0)!, character.codePointAt(0)!);
  }

  private range(from: number, to: number): (code: number) => boolean {
    const fits = (code: number) => code >= from && code <= to;
    const { i } = this.flags;
    return i ? (code) => this.folds(code, i, fits) : fits;
  }

  private folds(code: number, anyCase: boolean, fits: (code: number) => boolean): boolean {
    if (fits(code)) return true;
    return anyCase && (fits(folded(code, 'toLowerCase')) || fits(folded(code, 'toUpperCase')));
  }

  private set(): (code: number) => boolean {
    const negated = this.accept('^');
    const { i } = this.flags;
    const parts: ((code: number) => boolean)[] = [];
    for (let first = true; ; first = false) {
      let character = this.characters[this.at++];
      if (character === undefined) throw this.bad('a [ without its ]');
      if (character === ']' && !first) break;
      if (character === '[' && this.characters[this.at] === ':') {
        const named = /^:(\^?)([a-z]+):\]/.exec(this.characters.slice(this.at, this.at + 12).join(''));
        if (named !== null) {
          const set = posix[named[2]!];
          if (set === undefined) throw this.bad(`there is no class [:${named[2]}:]`);
          this.at += named[0].length;
          const fits = (code: number) => this.folds(code, i, (each) => set.test(String.fromCodePoint(each)));
          parts.push(named[1] === '^' ? not(fits) : fits);
          continue;
        }
      }
      if (character === '\\') {
        const escaped = this.characters[this.at++];
        if (escaped === undefined) throw this.bad('it ends in a backslash');
        const named = this.named(escaped);
        if (named !== undefined) {
          parts.push(named);
          continue;
        }
        character = this.escaped(escaped);
      }
      const from = character.codePointAt(0)!;
      if (this.characters[this.at] !== '-' || this.characters[this.at + 1] === ']') {
        parts.push(this.range(from, from));
        continue;
      }
      this.at++;
      let end = this.characters[this.at++];
      if (end === '\\') end = this.escaped(this.characters[this.at++] ?? '\\');
      if (end === undefined) throw this.bad('a [ without its ]');
      const to = end.codePointAt(0)!;
      if (to < from) throw this.bad(`the range ${character}-${end} is the wrong way round`);
      parts.push(this.range(from, to));
    }
    const fits = (code: number) => parts.some((each) => each(code));
    return negated ? not(fits) : fits;
  }
}

/** With what stands between `\\Q` and `\\E` escaped letter by letter. */
function unquoted(characters: readonly string[]): string[] {
  const result: string[] = [];
  for (let at = 0; at < characters.length; at++) {
    if (characters[at] !== '\\') result.push(characters[at]!);
    else if (characters[at + 1] !== 'Q') result.push('\\', ...characters.slice(++at, at + 1));
    else {
      for (at += 2; at < characters.length && !(characters[at] === '\\' && characters[at + 1] === 'E'); at++) {
        const letter = characters[at]!;
        result.push(...(/[0-9A-Za-z]/.test(letter) ? [letter] : ['\\', letter]));
      }
      at++;
    }
  }
  return result;
}

function folded(code: number, how: 'toLowerCase' | 'toUpperCase'): number {
  const text = String.fromCodePoint(code)[how]();
  const point = text.codePointAt(0)!;
  return String.fromCodePoint(point) === text ? point : code;
}

/** Steps at another position: only splits name positions. */
function shifted(steps: readonly Step[], by: number): Step[] {
  return steps.map((step) => (step.kind === 'split' ? { kind: 'split', to: step.to.map((each) => each + by) } : step));
}
