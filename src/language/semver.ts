import { charge } from './execution.ts';
import { EvaluationError } from './fault.ts';

/** A version after semver.org 2.0.0; a leading `v` is let pass. */
interface Version {
  readonly numbers: readonly [number, number, number];
  readonly pre: readonly string[];
}

const numeral = '0|[1-9][0-9]{0,14}';
const words = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*';
const whole = new RegExp(`^v?(${numeral})\\.(${numeral})\\.(${numeral})(?:-(${words}))?(?:\\+${words})?$`);
/** As people write versions: `1.2` is 1.2.0. */
const loose = new RegExp(`^v?([0-9]{1,15})(?:\\.([0-9]{1,15}))?(?:\\.([0-9]{1,15}))?(?:-(${words}))?(?:\\+${words})?$`);
/** A version in a constraint: parts may be left out or be `x`, `X` or `*`. */
const written = `v?(?:[0-9xX*]+)(?:\\.[0-9xX*]+)?(?:\\.[0-9xX*]+)?(?:-${words})?(?:\\+${words})?`;
const parts = new RegExp(`^v?([0-9xX*]+)(?:\\.([0-9xX*]+))?(?:\\.([0-9xX*]+))?(?:-(${words}))?(?:\\+${words})?$`);
const single = new RegExp(`(=>|=<|~>|!=|>=|<=|[=><~^]|)\\s*(${written})`, 'g');
const joined = new RegExp(
  `^\\s*(?:=>|=<|~>|!=|>=|<=|[=><~^]|)\\s*${written}\\s*(?:(?:\\s+|,\\s*)(?:=>|=<|~>|!=|>=|<=|[=><~^]|)\\s*${written}\\s*)*$`,
);
const range = new RegExp(`\\s*(${written})\\s+-\\s+(${written})\\s*`, 'g');
/** Characters of a version and of a constraint, and alternatives of one, as the library that Please uses bounds them. */
const longestVersion = 256;
const longestConstraint = 512;
const mostAlternatives = 32;

/** Whether a text is a version in the form of semver.org, with or without a leading `v`. */
export function isVersion(text: string): boolean {
  return versionOf(whole, text) !== undefined;
}

function versionOf(form: RegExp, text: string): Version | undefined {
  const match = text.length > longestVersion ? null : form.exec(text);
  if (match === null) return undefined;
  const pre = match[4]?.split('.') ?? [];
  if (pre.some((each) => /^0[0-9]+$/.test(each))) return undefined;
  return { numbers: [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)], pre };
}

/**
 * Whether a version fulfils a constraint: comparisons (`=`, `!=`, `>`, `>=`, `<`, `<=`), `~1.2`, `^1.2.3`, `1.2.x`, `1.2 - 2.3`;
 * all of those joined by `,` or a space, one of those joined by `||`. A pre-release fulfils only what names one somewhere
 * between two `||`. The meaning is that of github.com/Masterminds/semver, which Please uses.
 *
 * @throws EvaluationError language/value for what is no version or no constraint
 */
export function fulfils(version: string, constraint: string): boolean {
  const parsed = versionOf(loose, version);
  if (parsed === undefined) {
    throw new EvaluationError(
      'language/value',
      `${JSON.stringify(version.slice(0, 60))} is no semantic version`,
      'write 1.2.3',
    );
  }
  if (constraint.length > longestConstraint) throw badConstraint(`${constraint.slice(0, 60)}...`);
  charge(constraint.length);
  const alternatives = constraint.replace(range, '>= $1, <= $2 ').split('||');
  if (alternatives.length > mostAlternatives) throw badConstraint(`${constraint.slice(0, 60)}...`);
  const groups = alternatives.map((text) => {
    if (!joined.test(text)) throw badConstraint(constraint);
    return Array.from(text.matchAll(single), (match) => constraintOf(match[1]!, match[2]!, constraint));
  });
  return groups.some((group) => {
    if (parsed.pre.length > 0 && !group.some(({ bound }) => bound.pre.length > 0)) return false;
    return group.every((each) => holds(each, parsed));
  });
}

interface Constraint {
  readonly operator: string;
  /** With 0 for what is left open. */
  readonly bound: Version;
  /** The first of its numbers that is left open. */
  readonly open: 'major' | 'minor' | 'patch' | undefined;
}

function constraintOf(operator: string, text: string, all: string): Constraint {
  const [, ...given] = parts.exec(text)!;
  const first = given.slice(0, 3).findIndex((each) => each === undefined || /^[xX*]$/.test(each));
  const known = given.slice(0, first === -1 ? 3 : first);
  const suffix = given[3] === undefined ? '' : `-${given[3]}`;
  const bound = versionOf(loose, `${[...known, 0, 0, 0].slice(0, 3).join('.')}${suffix}`);
  if (bound === undefined) throw badConstraint(all);
  return { operator, bound, open: first === -1 ? undefined : (['major', 'minor', 'patch'] as const)[first] };
}

function holds({ operator, bound, open }: Constraint, version: Version): boolean {
  const [major, minor, patch] = [0, 1, 2].map((at) => version.numbers[at]! - bound.numbers[at]!) as [
    number,
    number,
    number,
  ];
  const compared = order(version, bound);
  switch (operator) {
    case '!=':
      if (open === undefined || major !== 0) return compared !== 0;
      if (open === 'minor') return false;
      if (minor !== 0) return true;
      return open === 'patch' ? orderOfPre(version.pre, bound.pre) !== 0 : compared !== 0;
    case '>':
      if (open === undefined || major !== 0) return compared > 0;
      if (open === 'minor') return false;
      return open === 'patch' ? minor > 0 : compared > 0;
    case '>=':
    case '=>':
      return compared >= 0;
    case '<':
      return compared < 0;
    case '<=':
    case '=<':
      if (open === undefined) return compared <= 0;
      return major < 0 || (major === 0 && (minor <= 0 || open === 'minor'));
    case '^': {
      if (compared < 0) return false;
      const [first, second] = bound.numbers;
      if (first > 0 || open === 'minor') return major === 0;
      if (major > 0) return false;
      if (second > 0 || open === 'patch') return minor === 0;
      return minor === 0 && patch === 0;
    }
    case '~':
    case '~>':
      return agrees();
    default:
      return open === undefined ? compared === 0 : agrees();
  }

  /** Not less, and the same up to the last number but one that is written. Everything agrees with 0.0.0. */
  function agrees(): boolean {
    if (compared < 0) return false;
    const free = open === undefined || open === 'major';
    if (free && bound.numbers.every((each) => each === 0)) return true;
    return major === 0 && (minor === 0 || open === 'minor');
  }
}

/** Precedence after section 11 of semver.org 2.0.0. */
function order(a: Version, b: Version): number {
  for (let index = 0; index < 3; index++) {
    const difference = a.numbers[index]! - b.numbers[index]!;
    if (difference !== 0) return difference;
  }
  return orderOfPre(a.pre, b.pre);
}

function orderOfPre(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const [left, right] = [a[index]!, b[index]!];
    if (left === right) continue;
    const numeric = [/^[0-9]+$/.test(left), /^[0-9]+$/.test(right)];
    if (numeric[0] && numeric[1]) return left.length - right.length || (left < right ? -1 : 1);
    if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return a.length - b.length;
}

function badConstraint(text: string): EvaluationError {
  return new EvaluationError(
    'language/value',
    `${JSON.stringify(text)} is no constraint on a version`,
    'write one such as ">=1.2, <2"',
  );
}
