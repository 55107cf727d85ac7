/** One step of a pattern. `anything` takes slashes too, `folders` is nothing or anything up to a slash. */
type Step =
  | { readonly literal: string }
  | { readonly ranges: readonly (readonly [low: string, high: string])[]; readonly negated: boolean }
  | 'one'
  | 'star'
  | 'anything'
  | 'folders';

/** Whether a path fits. Takes time in proportion to path and pattern, whatever they are. */
export type PathPattern = (path: string) => boolean;

/**
 * Go's filepath.Match: `*` and `?` stop at slashes, `[a-z]`, `[^a]`, a backslash takes the next character as it is.
 *
 * @returns undefined for what Go calls a bad pattern
 */
export function compileGlob(pattern: string): PathPattern | undefined {
  const steps = stepsOf([...pattern], false);
  return steps && ((path) => fits(steps, path));
}

/**
 * A pattern of a .dockerignore file: as filepath.Match, and `**` for any number of folders.
 *
 * @returns undefined for a bad pattern
 */
export function compileIgnorePattern(pattern: string): PathPattern | undefined {
  // As Docker has it: `**name` is whatever ends so, unlike `a**name`.
  const plainEnd = /^\*\*([^/*?[\]\\][^*?[\]\\]*)$/.exec(pattern)?.[1];
  if (plainEnd !== undefined) return (path) => path.endsWith(plainEnd);
  const steps = stepsOf([...pattern], true);
  return steps && ((path) => fits(steps, path));
}

/** Whether a text has characters that mean something in a pattern. */
export function hasWildcards(text: string): boolean {
  return /^(?:[^\\*?[]|\\[\s\S])*[*?[]/.test(text);
}

/** The text without the backslashes that take the next character as it is. */
export function withoutEscapes(text: string): string {
  return text.replace(/\\([\s\S])/g, '$1');
}

function stepsOf(characters: readonly string[], globStar: boolean): readonly Step[] | undefined {
  const steps: Step[] = [];
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? '';
    if (character === '*' && globStar && characters[index + 1] === '*') {
      index += characters[index + 2] === '/' ? 2 : 1;
      steps.push(index === characters.length - 1 ? 'anything' : 'folders');
    } else if (character === '*') steps.push('star');
    else if (character === '?') steps.push('one');
    else if (character === '\\') {
      const next = characters[++index];
      if (next === undefined) return undefined;
      steps.push({ literal: next });
    } else if (character === '[') {
      const found = classAt(characters, index + 1);
      if (found === undefined) return undefined;
      steps.push(found.step);
      index = found.end;
    } else steps.push({ literal: character });
  }
  return steps;
}

/** `^a-z]` behind the bracket. */
function classAt(characters: readonly string[], from: number): { step: Step; end: number } | undefined {
  let index = from;
  const negated = characters[index] === '^';
  if (negated) index += 1;
  const ranges: [string, string][] = [];
  const take = (): string | undefined => {
    const character = characters[index++];
    if (character === '-' || character === ']') return undefined;
    return character === '\\' ? characters[index++] : character;
  };
  for (;;) {
    if (characters[index] === ']' && ranges.length > 0) return { step: { ranges, negated }, end: index };
    const low = take();
    if (low === undefined) return undefined;
    let high: string | undefined = low;
    if (characters[index] === '-') {
      index += 1;
      high = take();
      if (high === undefined) return undefined;
    }
    ranges.push([low, high]);
  }
}

function fits(steps: readonly Step[], path: string): boolean {
  let states = new Set<number>();
  enter(states, steps, 0);
  for (const character of path) {
    const next = new Set<number>();
    for (const state of states) {
      const step = steps[state];
      if (step === undefined) continue;
      if (step === 'anything') next.add(state);
      else if (step === 'folders') {
        next.add(state);
        if (character === '/') enter(next, steps, state + 1);
      } else if (step === 'star') {
        if (character !== '/') enter(next, steps, state);
      } else if (step === 'one' ? character !== '/' : takes(step, character)) enter(next, steps, state + 1);
    }
    if (next.size === 0) return false;
    states = next;
  }
  return [...states].some((state) => restIsEmpty(steps, state));
}

/** Steps that can be nothing are passed over as well. */
function enter(into: Set<number>, steps: readonly Step[], state: number): void {
  for (let each = state; ; each++) {
    into.add(each);
    const step = steps[each];
    if (step !== 'star' && step !== 'anything' && step !== 'folders') return;
  }
}

function restIsEmpty(steps: readonly Step[], state: number): boolean {
  // `folders` that has begun ends with a slash: being in it is no end.
  return state === steps.length || (steps[state] === 'anything' && state === steps.length - 1);
}

function takes(step: Exclude<Step, string>, character: string): boolean {
  if ('literal' in step) return step.literal === character;
  const code = character.codePointAt(0) ?? 0;
  const inside = step.ranges.some(
    ([low, high]) => (low.codePointAt(0) ?? 0) <= code && code <= (high.codePointAt(0) ?? 0),
  );
  return inside !== step.negated;
}
