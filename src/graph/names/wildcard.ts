/**
 * Whether a name fits a pattern of `*` (any run), `?` (one character), `[a-z]`, `[!a-z]` and `\x` (x itself). Neither knows
 * of `/`: both are one part of a path. Takes time in proportion to the product of the lengths, whatever the pattern.
 */
export function matchName(pattern: string, name: string): boolean {
  let at = 0;
  let from = 0;
  // Where the last * stands and what it has swallowed: the only place that has to be tried again.
  let star = -1;
  let swallowed = 0;
  while (from < name.length) {
    const next = at < pattern.length && pattern[at] !== '*' ? matchOne(pattern, at, name[from]!) : -1;
    if (next !== -1) {
      at = next;
      from++;
    } else if (pattern[at] === '*') {
      star = at++;
      swallowed = from;
    } else if (star !== -1) {
      at = star + 1;
      from = ++swallowed;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

/** The offset behind the element of the pattern that fits the character, or -1. */
function matchOne(pattern: string, at: number, character: string): number {
  const element = pattern[at]!;
  if (element === '?') return at + 1;
  if (element === '\\' && at + 1 < pattern.length) return pattern[at + 1] === character ? at + 2 : -1;
  if (element === '[') {
    const close = closingBracket(pattern, at);
    if (close !== -1) return inSet(pattern.slice(at + 1, close), character) ? close + 1 : -1;
  }
  return element === character ? at + 1 : -1;
}

/** A `]` right behind the opening (and its `!` or `^`) is a member, as in POSIX. */
function closingBracket(pattern: string, at: number): number {
  let first = at + 1;
  if (pattern[first] === '!' || pattern[first] === '^') first++;
  return pattern.indexOf(']', first + 1);
}

function inSet(set: string, character: string): boolean {
  const negated = set[0] === '!' || set[0] === '^';
  let found = false;
  for (let index = negated ? 1 : 0; index < set.length; index++) {
    if (set[index + 1] === '-' && index + 2 < set.length) {
      if (set[index]! <= character && character <= set[index + 2]!) found = true;
      index += 2;
    } else if (set[index] === character) found = true;
  }
  return found !== negated;
}

/** The same for `glob`: `**` beside other characters, as in `**.java`, stands for any characters, `/` included. */
export function matchGlob(pattern: readonly string[], path: readonly string[]): boolean {
  return pattern.some((part) => part !== '**' && part.includes('**'))
    ? matchAcross(pattern, path.join('/'))
    : matchPath(pattern, path);
}

/** Whether a path fits a pattern, part by part; `**` stands for any number of parts, none included. */
export function matchPath(pattern: readonly string[], path: readonly string[]): boolean {
  let at = 0;
  let from = 0;
  let star = -1;
  let swallowed = 0;
  while (from < path.length) {
    if (at < pattern.length && pattern[at] === '**') {
      star = at++;
      swallowed = from;
    } else if (at < pattern.length && matchName(pattern[at]!, path[from]!)) {
      at++;
      from++;
    } else if (star !== -1) {
      at = star + 1;
      from = ++swallowed;
    } else return false;
  }
  while (pattern[at] === '**') at++;
  return at === pattern.length;
}

/** One step of a pattern: `one` a character, `run` any but `/`, `all` any, `folders` nothing or any that end in `/`. */
type Step = { readonly kind: 'run' | 'all' | 'folders' } | { readonly kind: 'one'; readonly element: string };

/** Follows all ways at once: takes time in proportion to the product of the lengths. */
function matchAcross(pattern: readonly string[], path: string): boolean {
  const steps = stepsOf(pattern);
  // A state is twice a step's position, and one more inside of `folders`.
  let states = new Set<number>();
  const add = (into: Set<number>, at: number) => {
    for (let step = at; ; step++) {
      into.add(step * 2);
      const { kind } = steps[step] ?? { kind: 'one' };
      if (kind === 'one') return;
    }
  };
  add(states, 0);
  for (const character of path) {
    const next = new Set<number>();
    for (const state of states) {
      const at = state >> 1;
      const step = steps[at];
      if (step === undefined) continue;
      if (step.kind === 'one') {
        const fits = character === '/' ? step.element === '/' : matchName(step.element, character);
        if (fits) add(next, at + 1);
      } else if (step.kind === 'all' || (step.kind === 'run' && character !== '/')) add(next, at);
      else if (step.kind === 'folders') {
        next.add(at * 2 + 1);
        if (character === '/') add(next, at + 1);
      }
    }
    states = next;
  }
  return states.has(steps.length * 2);
}

function stepsOf(pattern: readonly string[]): Step[] {
  const steps: Step[] = [];
  pattern.forEach((part, index) => {
    const last = index === pattern.length - 1;
    if (part === '**') {
      steps.push({ kind: last ? 'all' : 'folders' });
      return;
    }
    for (let at = 0; at < part.length; ) {
      if (part.startsWith('**', at)) {
        steps.push({ kind: 'all' });
        at += 2;
      } else if (part[at] === '*') {
        steps.push({ kind: 'run' });
        at++;
      } else {
        const close = part[at] === '[' ? closingBracket(part, at) : -1;
        const end = close !== -1 ? close + 1 : part[at] === '\\' ? at + 2 : at + 1;
        steps.push({ kind: 'one', element: part.slice(at, end) });
        at = end;
      }
    }
    if (!last) steps.push({ kind: 'one', element: '/' });
  });
  return steps;
}
