import { compileShellPattern, replaced, withoutPrefix, withoutSuffix } from './shell-pattern.ts';
import { isSpace } from './source.ts';

/** What ends or escapes: the Dockerfile's `escape` directive chooses. */
export type Escape = '\\' | '`';

export interface Substitution {
  readonly escape: Escape;
  /** Undefined where the variable is not set. */
  readonly variable: (name: string) => string | undefined;
  /** Quotes are characters like others: in the body of a heredoc. */
  readonly ignoreQuotes?: boolean;
}

export interface Substituted {
  readonly text: string;
  /** The same split at white space that stood outside of quotes; empty words are left out. */
  readonly words: readonly string[];
  /** Variables that were asked for and are not set. */
  readonly unset: readonly string[];
}

/** What is wrong with a text, at which character. The caller knows where the text stands. */
export class SubstitutionProblem extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/** UTF-16 code units of a result: variables that double themselves would fill the memory. */
const maximumResult = 1024 * 1024;
/** `${a:-${b:-...}}` in itself. */
const maximumDepth = 100;

/**
 * Replaces variables and takes quotes and escapes away, as the Dockerfile reference has it under "Environment replacement":
 * `$x`, `${x}`, `${x:-y}`, `${x-y}`, `${x:+y}`, `${x+y}`, `${x:?y}`, `${x?y}`, `${x#y}`, `${x##y}`, `${x%y}`, `${x%%y}`,
 * `${x/y/z}`, `${x//y/z}`.
 *
 * @throws SubstitutionProblem
 */
export function substitute(text: string, substitution: Substitution): Substituted {
  return new Reader(text, substitution).whole();
}

/** Collects words beside the text. */
class Words {
  readonly list: string[] = [];
  #open: string | undefined;

  /** What stood in quotes or behind an escape: never a border between words. */
  addWhole(text: string): void {
    this.#open = (this.#open ?? '') + text;
  }

  add(text: string): void {
    for (const character of text) {
      if (isSpace(character)) this.end();
      else this.addWhole(character);
    }
  }

  end(): void {
    if (this.#open !== undefined && this.#open !== '') this.list.push(this.#open);
    this.#open = undefined;
  }
}

class Reader {
  readonly #text: string;
  readonly #substitution: Substitution;
  readonly #unset = new Set<string>();
  #at = 0;
  #depth = 0;

  constructor(text: string, substitution: Substitution) {
    this.#text = text;
    this.#substitution = substitution;
  }

  whole(): Substituted {
    const words = new Words();
    const text = this.#until(undefined, words, false);
    words.end();
    return { text, words: words.list, unset: [...this.#unset] };
  }

  #problem(message: string, at = this.#at): SubstitutionProblem {
    return new SubstitutionProblem(message, Math.min(at, this.#text.length));
  }

  #peek(): string {
    const code = this.#text.codePointAt(this.#at);
    return code === undefined ? '' : String.fromCodePoint(code);
  }

  #next(): string {
    const character = this.#peek();
    this.#at += character.length;
    return character;
  }

  /** @param keepEscapes escapes stay in the result: they mean something to a pattern */
  #until(stop: string | undefined, words: Words, keepEscapes: boolean): string {
    const began = this.#at;
    const { escape: escaping, ignoreQuotes } = this.#substitution;
    const parts: string[] = [];
    let length = 0;
    const add = (part: string) => {
      length += part.length;
      if (length > maximumResult) throw this.#problem(`the result has more than ${maximumResult} characters`, began);
      parts.push(part);
    };
    for (let character = this.#peek(); character !== ''; character = this.#peek()) {
      if (character === stop) {
        this.#next();
        return parts.join('');
      }
      if (character === '$') {
        const value = this.#dollar();
        add(value);
        words.add(value);
      } else if (!ignoreQuotes && (character === "'" || character === '"')) {
        const quoted = character === "'" ? this.#singleQuoted() : this.#doubleQuoted(keepEscapes);
        add(quoted);
        words.addWhole(quoted);
      } else if (character === escaping) {
        this.#next();
        if (keepEscapes) add(escaping);
        // At the very end it stands for nothing.
        const escaped = this.#next();
        add(escaped);
        words.addWhole(keepEscapes ? escaping + escaped : escaped);
      } else {
        add(this.#next());
        words.add(character);
      }
    }
    if (stop !== undefined) throw this.#problem(`the ${stop} that should end this is missing`, began);
    return parts.join('');
  }

  #singleQuoted(): string {
    const began = this.#at;
    const end = this.#text.indexOf("'", began + 1);
    if (end < 0) throw this.#problem("the ' that should end this is missing", began);
    this.#at = end + 1;
    return this.#text.slice(began + 1, end);
  }

  #doubleQuoted(keepEscapes: boolean): string {
    const began = this.#at;
    const { escape: escaping } = this.#substitution;
    const parts: string[] = [];
    this.#next();
    for (;;) {
      const character = this.#peek();
      if (character === '') throw this.#problem('the " that should end this is missing', began);
      if (character === '$') {
        parts.push(this.#dollar());
        continue;
      }
      this.#next();
      if (character === '"') return parts.join('');
      if (character !== escaping) {
        parts.push(character);
        continue;
      }
      if (keepEscapes) parts.push(escaping);
      const escaped = this.#peek();
      if (escaped === '') continue;
      // Before other characters the escape is one like them.
      if (escaped === '"' || escaped === '$' || escaped === escaping) parts.push(this.#next());
      else parts.push(escaping);
    }
  }

  #dollar(): string {
    const began = this.#at;
    this.#next();
    if (this.#peek() !== '{') {
      const name = this.#name();
      return name === '' ? '$' : (this.#value(name) ?? '');
    }
    this.#next();
    if (++this.#depth > maximumDepth) throw this.#problem('substitutions lie too deep in each other', began);
    const result = this.#braced(began);
    this.#depth -= 1;
    return result;
  }

  #braced(began: number): string {
    const name = this.#name();
    if (name === '') {
      throw this.#problem(this.#peek() === '' ? 'the } that should end this is missing' : 'a name is missing', began);
    }
    const operator = this.#next();
    if (operator === '') throw this.#problem('the } that should end this is missing', began);
    if (operator === '}') return this.#value(name) ?? '';
    if (operator === '#' || operator === '%') return this.#withoutPattern(name, operator, began);
    if (operator === '/') return this.#withReplacement(name, began);
    const emptyIsUnset = operator === ':';
    const kind = emptyIsUnset ? this.#next() : operator;
    if (kind !== '-' && kind !== '+' && kind !== '?') {
      throw this.#problem(`${JSON.stringify(emptyIsUnset ? `:${kind}` : kind)} is not known in a substitution`, began);
    }
    const word = this.#rest('}', false, began);
    const value = this.#value(name, true);
    const set = value !== undefined && !(emptyIsUnset && value === '');
    if (kind === '-') return set ? value : word;
    if (kind === '+') return set ? word : '';
    if (set) return value;
    throw this.#problem(`${name}: ${word === '' ? `must be set${emptyIsUnset ? ' and not empty' : ''}` : word}`, began);
  }

  #withoutPattern(name: string, operator: '#' | '%', began: number): string {
    const longest = this.#peek() === operator;
    if (longest) this.#next();
    const steps = this.#pattern(this.#rest('}', true, began), began);
    const value = this.#value(name) ?? '';
    return operator === '#' ? withoutPrefix(value, steps, longest) : withoutSuffix(value, steps, longest);
  }

  #withReplacement(name: string, began: number): string {
    const all = this.#peek() === '/';
    if (all) this.#next();
    const steps = this.#pattern(this.#rest('/', true, began), began);
    const replacement = this.#rest('}', false, began);
    const result = replaced(this.#value(name) ?? '', steps, replacement, all);
    if (result.length > maximumResult)
      throw this.#problem(`the result has more than ${maximumResult} characters`, began);
    return result;
  }

  #rest(stop: string, keepEscapes: boolean, began: number): string {
    try {
      return this.#until(stop, new Words(), keepEscapes);
    } catch (error) {
      if (this.#at >= this.#text.length && error instanceof SubstitutionProblem && error.message.includes('missing'))
        throw this.#problem(`the ${stop} that should end this is missing`, began);
      throw error;
    }
  }

  #pattern(text: string, began: number) {
    const steps = compileShellPattern(text);
    if (steps === undefined) throw this.#problem(`${JSON.stringify(text)} is not a pattern`, began);
    return steps;
  }

  /** Letters, digits and `_`; a number by itself, or one of the shell's own parameters, which are never set. */
  #name(): string {
    const rest = this.#text.slice(this.#at, this.#at + 300);
    const [name = ''] = /^(?:[0-9]+|[\p{L}_][\p{L}\p{Nd}_]*|[@*#?!$-])/u.exec(rest) ?? [];
    this.#at += name.length;
    return name;
  }

  /** @param mayBeUnset the text says what to do then, so that nobody has to be told */
  #value(name: string, mayBeUnset = false): string | undefined {
    const value = this.#substitution.variable(name);
    if (value === undefined && !mayBeUnset) this.#unset.add(name);
    return value;
  }
}
