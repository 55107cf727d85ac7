import type { Place } from '../fault/index.ts';
import { EvaluationError, type LanguageCode, LanguageFault } from './fault.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { placeOf, type Source } from './source.ts';

/** A stretch of a source that can be blamed or called from. */
export interface Site {
  readonly source: Source;
  readonly start: number;
  readonly end: number;
}

/** The state of one evaluation: what is running, and how much it has done. */
export class Execution {
  readonly limits: Limits;
  /** What the embedder gave for this evaluation; native functions receive it. */
  readonly context: unknown;
  /** Where `importNames` puts what the file under evaluation imports. */
  readonly imported = new Map<string, unknown>();
  steps = 0;
  /** Of values made so far. */
  bytes = 0;
  depth = 0;
  /** Sites of the calls under way, outermost first; entries from `depth` on are leftovers. */
  readonly sites: Site[] = [];
  readonly callees: string[] = [];

  constructor(limits: Limits, context: unknown) {
    this.limits = limits;
    this.context = context;
  }
}

/** Outside of any evaluation, for values made by hand. */
const idle = new Execution(defaultLimits, undefined);

/**
 * The evaluation under way. A variable of the module and not an argument of every expression: evaluation is synchronous,
 * so there is one at a time, and a nested one (subinclude) puts its predecessor back.
 */
export let current: Execution = idle;

/** Runs `body` as an evaluation of its own, with every error given its place. */
export function execute<T>(execution: Execution, site: Site, body: () => T): T {
  const previous = current;
  current = execution;
  try {
    return body();
  } catch (error) {
    throw located(error, site);
  } finally {
    current = previous;
    if (previous === idle) {
      idle.steps = 0;
      idle.bytes = 0;
    }
  }
}

/** Counts work towards the limit of steps. @throws EvaluationError language/limit */
export function charge(steps: number): void {
  current.steps += steps;
  if (current.steps > current.limits.steps && current !== idle) {
    throw new EvaluationError(
      'language/limit',
      `more than ${current.limits.steps} steps`,
      'a loop runs too often; generate fewer targets in one file',
    );
  }
}

/** Counts memory towards its limit. @throws EvaluationError language/limit */
export function allocate(bytes: number): void {
  current.bytes += bytes;
  if (current.bytes > current.limits.memory && current !== idle) {
    throw new EvaluationError(
      'language/limit',
      `more than ${Math.floor(current.limits.memory / 1024 / 1024)} MiB of values`,
      'a file makes too much; generate fewer targets in one file',
    );
  }
}

/** What lists, dicts and strings take beside their elements, and elements of each, in bytes. */
export const listItem = 8;
export const dictItem = 64;
/** A list of two. */
export const pair = 48;
const header = 24;

/** A list that was just made. @throws EvaluationError language/limit */
export function freshList<T extends readonly unknown[]>(list: T): T {
  checkLength(list.length);
  allocate(header + list.length * listItem);
  return list;
}

/** A dict that was just made. @throws EvaluationError language/limit */
export function freshDict<T extends ReadonlyMap<string, unknown>>(dict: T): T {
  checkLength(dict.size);
  allocate(header + dict.size * dictItem);
  return dict;
}

/** A string that was just made. @throws EvaluationError language/limit */
export function checkedText(text: string): string {
  checkTextLength(text);
  // A character takes two bytes where one of the string is beyond Latin-1. Short strings are not looked at.
  const wide = text.length > 16 * 1024 && /[^\0-\xff]/.test(text);
  allocate(header + (wide ? text.length * 2 : text.length));
  return text;
}

/** @throws EvaluationError language/limit */
export function checkTextLength(text: string): string {
  if (text.length > current.limits.stringLength) {
    throw new EvaluationError('language/limit', `a string of more than ${current.limits.stringLength} characters`);
  }
  return text;
}

/** @throws EvaluationError language/limit */
export function checkLength(length: number): void {
  if (length > current.limits.listLength) {
    throw new EvaluationError('language/limit', `a list of more than ${current.limits.listLength} elements`);
  }
}

/** Gives an error the place of the expression that caused it, unless it has one already. */
export function located(error: unknown, site: Site): unknown {
  if (error instanceof EvaluationError) return faultAt(site, error.code, error.message, error.next);
  // V8's stack ran out, or a string grew past what it can hold: the limits for depth and length did not suffice.
  if (error instanceof RangeError) {
    const what = error.message.includes('call stack') ? 'calls and values are nested too deep' : error.message;
    return faultAt(site, 'language/limit', what);
  }
  return error;
}

/**
 * A fault with its place and the chain of calls. An error inside the product's own rules is shown at the call that led
 * there, since that is what its author can change.
 */
export function faultAt(site: Site, code: LanguageCode, message: string, next?: string): LanguageFault {
  const { place, related, notes } = trace(site);
  return new LanguageFault(code, message, { place, related, notes, next });
}

export interface Trace {
  readonly place: Place;
  readonly related: readonly { readonly message: string; readonly place: Place }[];
  readonly notes: readonly string[];
}

/** Calls shown of a long chain: the nearest ones. */
const shownCalls = 10;

export function trace(site: Site): Trace {
  const steps: { site: Site; inside: string | undefined }[] = [{ site, inside: current.callees[current.depth - 1] }];
  for (let index = current.depth - 1; index >= 0; index--) {
    const caller = current.sites[index]!;
    // The innermost call's own site may be the place itself.
    if (index === current.depth - 1 && caller === site) {
      steps[0]!.inside = current.callees[index - 1];
      continue;
    }
    // A function that calls itself says nothing new each time.
    if (steps.at(-1)!.site !== caller) steps.push({ site: caller, inside: current.callees[index - 1] });
  }
  const blamed = Math.max(
    0,
    steps.findIndex((step) => !step.site.source.internal),
  );
  const shown = steps.slice(blamed + 1, blamed + 1 + shownCalls);
  const notes = steps.slice(0, blamed).map(({ site: inner, inside }) => {
    const { file, line } = placeOf(inner.source, inner.start, inner.end);
    return `at ${file}:${line}${inside === undefined ? '' : ` in ${inside}`}`;
  });
  if (steps.length > blamed + 1 + shownCalls) notes.push(`${steps.length - blamed - 1 - shownCalls} more calls`);
  return {
    place: sitePlace(steps[blamed]!.site),
    related: shown.map((step) => ({
      message: step.inside === undefined ? 'called here' : `called here, in ${step.inside}`,
      place: sitePlace(step.site),
    })),
    notes,
  };
}

export function sitePlace(site: Site): Place {
  return placeOf(site.source, site.start, site.end);
}
