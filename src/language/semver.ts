import { charge } from './execution.ts';
import { EvaluationError } from './fault.ts';

/** A version after semver.org 2.0.0; a leading `v` is let pass. */
interface Version {
  readonly numbers: readonly [number, number, number];
  readonly pre: readonly string[];
}

const part = '0|[1-9][0-9]{0,8}';
const word = '[0-9A-Za-z-]+';
const suffixes = `(?:-(${word}(?:\\.${word})*))?(?:\\+${word}(?:\\.${word})*)?`;
const whole = new RegExp(`^v?(${part})\\.(${part})\\.(${part})${suffixes}$`);
const partial = new RegExp(`^v?(?:(${part}|[xX*])(?:\\.(${part}|[xX*])(?:\\.(${part}|[xX*])${suffixes})?)?)$`);
const longest = 1000;

/** Whether a text is a version in the form of semver.org, with or without a leading `v`. */
export function isVersion(text: string): boolean {
  return parseVersion(text) !== undefined;
}

function parseVersion(text: string): Version | undefined {
  const match = text.length > longest ? null : whole.exec(text);
  if (match === null) return undefined;
  const pre = match[4]?.split('.') ?? [];
  if (pre.some((each) => /^0[0-9]+$/.test(each))) return undefined;
  return { numbers: [Number(match[1]), Number(match[2]), Number(match[3])], pre };
}

/**
 * Whether a version fulfils a constraint: comparisons (`=`, `!=`, `>`, `>=`, `<`, `<=`), `~1.2`, `^1.2.3`, `1.2.x`, `1.2 - 2.3`;
 * all of those joined by `,` or a space, one of those joined by `||`. A pre-release fulfils only constraints that name one.
 *
 * @throws EvaluationError language/value for what is no version or no constraint
 */
export function fulfils(version: string, constraint: string): boolean {
  const parsed = parseVersion(version);
  if (parsed === undefined) {
    throw new EvaluationError('language/value', `${JSON.stringify(version)} is no semantic version`, 'write 1.2.3');
  }
  if (constraint.length > longest) throw badConstraint(`${constraint.slice(0, 60)}...`);
  charge(constraint.length >> 2);
  const alternatives = constraint.split('||').map((each) => testsOf(each, constraint));
  return alternatives.some((tests) => tests.every((test) => test(parsed)));
}

type Test = (version: Version) => boolean;

function testsOf(text: string, all: string): Test[] {
  const range = /^\s*(\S+)\s+-\s+(\S+)\s*$/.exec(text);
  if (range !== null) return [testOf('>=', range[1]!, all), testOf('<=', range[2]!, all)];
  const tests: Test[] = [];
  const pattern = /\s*(!=|>=|=>|<=|=<|~>|[=><~^]|)\s*([^\s,=<>!~^]+)\s*,?/y;
  const trimmed = text.trim();
  if (trimmed === '') throw badConstraint(all);
  let at = 0;
  while (at < trimmed.length) {
    pattern.lastIndex = at;
    const match = pattern.exec(trimmed);
    if (match === null) throw badConstraint(all);
    tests.push(testOf(match[1]!, match[2]!, all));
    at = pattern.lastIndex;
  }
  return tests;
}

function testOf(operator: string, text: string, all: string): Test {
  const match = partial.exec(text);
  if (match === null) throw badConstraint(all);
  const given = match.slice(1, 4).map((each) => (each === undefined || /[xX*]/.test(each) ? undefined : Number(each)));
  const [major, minor, patch] = given;
  const pre = match[4]?.split('.') ?? [];
  const low: Version = { numbers: [major ?? 0, minor ?? 0, patch ?? 0], pre };
  /** The first version behind all that agree with what is written. */
  const next = (): Version | undefined => {
    if (major === undefined) return undefined;
    if (minor === undefined) return release(major + 1, 0, 0);
    return patch === undefined ? release(major, minor + 1, 0) : undefined;
  };
  const from = (version: Version) => order(version, low) >= 0;
  const within = (version: Version, end: Version | undefined) =>
    from(version) && (end === undefined || order(version, end) < 0);
  const open = major === undefined || minor === undefined || patch === undefined;
  const same = (version: Version) => (open ? within(version, next()) : order(version, low) === 0);
  const allowed = (version: Version) => version.pre.length === 0 || pre.length > 0;
  const test = ((): Test => {
    switch (operator) {
      case '':
      case '=':
        return same;
      case '!=':
        return (version) => !same(version);
      case '>':
        return (version) => (open ? next() !== undefined && order(version, next()!) >= 0 : order(version, low) > 0);
      case '>=':
      case '=>':
        return from;
      case '<':
        return (version) => order(version, low) < 0;
      case '<=':
      case '=<':
        return (version) => (open ? next() === undefined || order(version, next()!) < 0 : order(version, low) <= 0);
      case '^': {
        if (major === undefined) return () => true;
        const end =
          major > 0 || minor === undefined
            ? release(major + 1, 0, 0)
            : minor > 0 || patch === undefined
              ? release(0, minor + 1, 0)
              : release(0, 0, patch + 1);
        return (version) => within(version, end);
      }
      // `~` and `~>`: the last part that is written may grow, of three parts the last one.
      default: {
        if (major === undefined) return () => true;
        const end = minor === undefined ? release(major + 1, 0, 0) : release(major, minor + 1, 0);
        return (version) => within(version, end);
      }
    }
  })();
  return (version) => allowed(version) && test(version);
}

function release(major: number, minor: number, patch: number): Version {
  return { numbers: [major, minor, patch], pre: [] };
}

/** Precedence after section 11 of semver.org 2.0.0. */
function order(a: Version, b: Version): number {
  for (let index = 0; index < 3; index++) {
    const difference = a.numbers[index]! - b.numbers[index]!;
    if (difference !== 0) return difference;
  }
  if (a.pre.length === 0 || b.pre.length === 0) return b.pre.length - a.pre.length;
  for (let index = 0; index < Math.min(a.pre.length, b.pre.length); index++) {
    const [left, right] = [a.pre[index]!, b.pre[index]!];
    if (left === right) continue;
    const numeric = [/^[0-9]+$/.test(left), /^[0-9]+$/.test(right)];
    if (numeric[0] && numeric[1]) return left.length - right.length || (left < right ? -1 : 1);
    if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return a.pre.length - b.pre.length;
}

function badConstraint(text: string): EvaluationError {
  return new EvaluationError(
    'language/value',
    `${JSON.stringify(text)} is no constraint on a version`,
    'write one such as ">=1.2, <2"',
  );
}
