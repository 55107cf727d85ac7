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
