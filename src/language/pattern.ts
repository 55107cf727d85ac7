import { charge } from './execution.ts';
import { EvaluationError } from './fault.ts';

/**
 * Regular expressions for BUILD files: the part of RE2's syntax that people write, matched by following all ways at once
 * (Thompson's construction), so that no pattern takes more than its length times that of the text.
 */
type Step =
  | { readonly kind: 'character'; readonly fits: (code: number) => boolean }
  | { readonly kind: 'split'; to: number[] }
  | { readonly kind: 'start' | 'end' | 'edge' | 'inside' }
  | { readonly kind: 'found' };

/** What repetition may blow a pattern up to. */
const maximumSteps = 5000;
const maximumDepth = 100;

/**
 * Whether a pattern is found anywhere in a text.
 *
 * @throws EvaluationError language/value for what is no pattern
 */
export function patternFits(pattern: string, text: string): boolean {
  const steps = new PatternCompiler(pattern).compile();
  const characters = Array.from(text, (each) => each.codePointAt(0)!);
  let active = new Set<number>();
  for (let at = 0; at <= characters.length; at++) {
    charge(1 + (active.size >> 2));
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
const controls: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v' };

class PatternCompiler {
  private readonly pattern: string;
  private readonly characters: readonly string[];
  private at = 0;
  private depth = 0;
  private anyCase = false;

  constructor(pattern: string) {
    this.pattern = pattern;
    this.characters = Array.from(pattern);
  }

  compile(): Step[] {
    if (this.characters.slice(0, 4).join('') === '(?i)') {
      this.anyCase = true;
      this.at = 4;
    }
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
        const counted = /^\{(\d{1,4})(,(\d{1,4})?)?\}/.exec(this.characters.slice(this.at, this.at + 12).join(''));
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
      case '(': {
        if (this.accept('?')) {
          if (!this.accept(':')) throw this.bad('of the (? forms only (?: ) is known, and (?i) at the start');
        }
        const steps = this.alternatives();
        if (!this.accept(')')) throw this.bad('a ( without its )');
        return steps;
      }
      case '[':
        return [{ kind: 'character', fits: this.set() }];
      case '.':
        return [{ kind: 'character', fits: (code) => code !== 10 }];
      case '^':
        return [{ kind: 'start' }];
      case '$':
        return [{ kind: 'end' }];
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
        return [{ kind: 'character', fits: classes[escaped] ?? this.letter(this.escaped(escaped)) }];
      }
      default:
        return [{ kind: 'character', fits: this.letter(character) }];
    }
  }

  private escaped(character: string): string {
    const control = controls[character];
    if (control !== undefined) return control;
    if (/[A-Za-z0-9]/.test(character)) throw this.bad(`\\${character} is not known`);
    return character;
  }

  private letter(character: string): (code: number) => boolean {
    return this.range(character.codePointAt(0)!, character.codePointAt(0)!);
  }

  private range(from: number, to: number): (code: number) => boolean {
    const fits = (code: number) => code >= from && code <= to;
    if (!this.anyCase) return fits;
    return (code) => fits(code) || fits(folded(code, 'toLowerCase')) || fits(folded(code, 'toUpperCase'));
  }

  private set(): (code: number) => boolean {
    const negated = this.accept('^');
    const parts: ((code: number) => boolean)[] = [];
    for (let first = true; ; first = false) {
      let character = this.characters[this.at++];
      if (character === undefined) throw this.bad('a [ without its ]');
      if (character === ']' && !first) break;
      if (character === '\\') {
        const escaped = this.characters[this.at++];
        if (escaped === undefined) throw this.bad('it ends in a backslash');
        const named = classes[escaped];
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

function folded(code: number, how: 'toLowerCase' | 'toUpperCase'): number {
  const text = String.fromCodePoint(code)[how]();
  const point = text.codePointAt(0)!;
  return String.fromCodePoint(point) === text ? point : code;
}

/** Steps at another position: only splits name positions. */
function shifted(steps: readonly Step[], by: number): Step[] {
  return steps.map((step) => (step.kind === 'split' ? { kind: 'split', to: step.to.map((each) => each + by) } : step));
}
