/**
 * Patterns of `${name#pattern}` and its kin: `*` is any text, `?` any character, a backslash takes the next as it is. POSIX.1-2017
 * XCU 2.13 without brackets, as the Dockerfile reference has it. Matching takes time in proportion to text and pattern, whatever they are.
 */
export type Step = { readonly literal: string } | 'any' | 'one';

/** @returns undefined where a backslash stands before what it can't take */
export function compileShellPattern(pattern: string): readonly Step[] | undefined {
  const steps: Step[] = [];
  const characters = [...pattern];
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? '';
    if (character === '*') steps.push('any');
    else if (character === '?') steps.push('one');
    else if (character === '\\') {
      const next = characters[++index];
      if (next === undefined || !'*?\\}/'.includes(next)) return undefined;
      steps.push({ literal: next });
    } else steps.push({ literal: character });
  }
  return steps;
}

/**
 * Lengths, in characters, of all beginnings of the text that the pattern fits, from the shortest to the longest.
 *
 * @param text as a list of characters
 */
function fittingLengths(steps: readonly Step[], text: readonly string[], from: number): number[] {
  let states = new Set<number>();
  const add = (into: Set<number>, state: number) => {
    for (let each = state; ; each++) {
      into.add(each);
      // Any text is no text too.
      if (steps[each] !== 'any') return;
    }
  };
  add(states, 0);
  const lengths: number[] = [];
  for (let at = from; ; at++) {
    if (states.has(steps.length)) lengths.push(at - from);
    const character = text[at];
    if (character === undefined || states.size === 0) return lengths;
    const next = new Set<number>();
    for (const state of states) {
      const step = steps[state];
      if (step === undefined) continue;
      if (step === 'any') {
        if (character !== '\n') add(next, state);
      } else if (step === 'one' ? character !== '\n' : step.literal === character) add(next, state + 1);
    }
    states = next;
  }
}

/** `${value#pattern}`, with `longest` `${value##pattern}`. */
export function withoutPrefix(value: string, steps: readonly Step[], longest: boolean): string {
  const text = [...value];
  const lengths = fittingLengths(steps, text, 0);
  const length = longest ? lengths.at(-1) : lengths[0];
  return length === undefined ? value : text.slice(length).join('');
}

/** `${value%pattern}`, with `longest` `${value%%pattern}`. */
export function withoutSuffix(value: string, steps: readonly Step[], longest: boolean): string {
  const reversed = [...value].reverse().join('');
  return [...withoutPrefix(reversed, steps.toReversed(), longest)].reverse().join('');
}

/** `${value/pattern/replacement}`, with `all` `${value//pattern/replacement}`: the leftmost fit, as long as can be. */
export function replaced(value: string, steps: readonly Step[], replacement: string, all: boolean): string {
  const text = [...value];
  let result = '';
  for (let at = 0; at <= text.length; ) {
    const length = fittingLengths(steps, text, at).at(-1);
    if (length === undefined) {
      result += text[at++] ?? '';
      continue;
    }
    result += replacement;
    if (length === 0) result += text[at++] ?? '';
    else at += length;
    // A fit that reached the end leaves nothing to look at.
    if (!all || (length > 0 && at === text.length)) return result + text.slice(at).join('');
  }
  return result;
}
