import type { Code } from './ast.ts';
import { checkLength, current, located, type Site, sitePlace, trace } from './execution.ts';
import { EvaluationError } from './fault.ts';
import {
  type Call,
  missingArgument,
  NativeFunction,
  tooManyArguments,
  unknownArgument,
  wrongType,
} from './function.ts';
import type { Frame, Run } from './scope.ts';
import { type Dict, FunctionValue, type Parameter, type TypeName, typeOf, type Value } from './value.ts';

/** What is the same for all closures of one `def` or `lambda`. */
export interface FunctionTemplate {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly positions: ReadonlyMap<string, number>;
  /** Run in the frame where the function was defined, at each call that needs them: a fresh list each time. */
  readonly fallbacks: readonly (Run | undefined)[];
  readonly returns: readonly TypeName[];
  /** Known only when the body is compiled. */
  size: number;
  body: Run;
  readonly code: Code;
  /** Names in the code, read where the function was defined. Its own are among them. */
  readonly uses: readonly { readonly name: string; readonly read: Run }[];
}

/** A function written in the BUILD language, with the frame that it was defined in. */
export class DefinedFunction extends FunctionValue {
  readonly rest = false;
  readonly extra = false;
  readonly template: FunctionTemplate;
  readonly frame: Frame;

  constructor(template: FunctionTemplate, frame: Frame) {
    super(template.name, template.parameters, template.positions);
    this.template = template;
    this.frame = frame;
  }
}

/** The arguments of one call as written. */
export interface WrittenArguments {
  readonly site: Site;
  readonly values: readonly Run[];
  readonly names: readonly (string | undefined)[];
  readonly sites: readonly Site[];
}

/** Calls a function with the arguments that a call writes; a method gets its object in front of them. */
export function invokeWritten(
  callee: FunctionValue,
  args: WrittenArguments,
  frame: Frame,
  self: Value | undefined,
): Value {
  const { parameters } = callee;
  const native = callee instanceof NativeFunction;
  // A frame has its parent in front.
  const offset = native ? 0 : 1;
  const slots: unknown[] = new Array(native ? parameters.length : (callee as DefinedFunction).template.size).fill(
    undefined,
  );
  let rest: Value[] | undefined;
  let extra: Dict | undefined;
  let position = 0;
  if (self !== undefined) slots[offset + position++] = self;
  for (let index = 0; index < args.values.length; index++) {
    const value = args.values[index]!(frame);
    const name = args.names[index];
    let at: number;
    if (name === undefined) {
      at = position++;
      if (at >= parameters.length) {
        if (!callee.rest) {
          const given = args.names.filter((each) => each === undefined).length;
          throw located(tooManyArguments(callee, given), args.sites[index]!);
        }
        rest ??= [];
        rest.push(value);
        continue;
      }
    } else {
      const found = callee.positions.get(name);
      if (found === undefined) {
        if (!callee.extra) throw located(unknownArgument(callee, name), args.sites[index]!);
        extra ??= new Map();
        extra.set(name, value);
        continue;
      }
      at = found;
      if (slots[offset + at] !== undefined) {
        const twice = new EvaluationError(
          'language/argument',
          `the argument ${parameters[at]!.name} of ${callee.name} is given twice`,
        );
        throw located(twice, args.sites[index]!);
      }
    }
    const parameter = parameters[at]!;
    if (parameter.types.length > 0) {
      const type = typeOf(value);
      if (type === 'none') {
        // None stands for the default where there is one. Functions of the language then see it; native ones can't.
        if (parameter.optional) continue;
        if (native) throw located(wrongType(callee, parameter, type), args.sites[index]!);
      } else if (!parameter.types.includes(type)) throw located(wrongType(callee, parameter, type), args.sites[index]!);
    }
    slots[offset + at] = value;
  }
  if (rest !== undefined) for (const value of rest) slots.push(value);
  if (callee.extra) slots.push(extra ?? new Map());
  return run(callee, slots, args.site);
}

/** Calls a function with values by position, on behalf of a native function. */
function invokeValues(callee: FunctionValue, values: readonly Value[]): Value {
  return callFrom(current.sites[current.depth - 1]!, callee, values);
}

/** Calls a function with values by position, as if the call stood at a site. */
export function callFrom(site: Site, callee: FunctionValue, values: readonly Value[]): Value {
  const native = callee instanceof NativeFunction;
  const slots: unknown[] = new Array(
    native ? callee.parameters.length : (callee as DefinedFunction).template.size,
  ).fill(undefined);
  values.forEach((value, index) => {
    const parameter = callee.parameters[index];
    if (parameter === undefined) {
      if (!callee.rest) throw tooManyArguments(callee, values.length);
      slots.push(value);
      return;
    }
    if (parameter.types.length > 0) {
      if (value === null && parameter.optional) return;
      if ((native || value !== null) && !parameter.types.includes(typeOf(value))) {
        throw wrongType(callee, parameter, typeOf(value));
      }
    }
    slots[index + (native ? 0 : 1)] = value;
  });
  if (callee.extra) slots.push(new Map());
  return run(callee, slots, site);
}

function run(callee: FunctionValue, slots: unknown[], site: Site): Value {
  const execution = current;
  const { depth } = execution;
  if (++execution.steps > execution.limits.steps) throw located(tooManySteps(execution.limits.steps), site);
  if (depth >= execution.limits.callDepth) {
    const error = new EvaluationError(
      'language/limit',
      `calls nested more than ${execution.limits.callDepth} deep`,
      'look for a function that calls itself',
    );
    throw located(error, site);
  }
  fillDefaults(callee, slots, site);
  execution.sites[depth] = site;
  execution.callees[depth] = callee.name;
  execution.depth = depth + 1;
  let result: Value;
  if (callee instanceof NativeFunction) {
    try {
      result = callee.implementation(slots as Value[], call);
      if (Array.isArray(result)) checkLength(result.length);
    } catch (error) {
      throw located(error, site);
    }
  } else {
    const { template, frame } = callee as DefinedFunction;
    slots[0] = frame;
    result = template.body(slots);
    if (template.returns.length > 0 && result !== null && !template.returns.includes(typeOf(result))) {
      const error = new EvaluationError(
        'language/type',
        `${callee.name} returns ${typeOf(result)}, but is declared to return ${template.returns.join(' or ')}`,
      );
      throw located(error, site);
    }
  }
  execution.depth = depth;
  return result;
}

function fillDefaults(callee: FunctionValue, slots: unknown[], site: Site): void {
  const { parameters } = callee;
  if (callee instanceof NativeFunction) {
    for (let index = 0; index < parameters.length; index++) {
      if (slots[index] !== undefined) continue;
      const fallback = callee.fallbacks[index];
      if (fallback === undefined) throw located(missingArgument(callee, parameters[index]!), site);
      slots[index] = typeof fallback === 'function' ? fallback(current.context) : fallback;
    }
    return;
  }
  const { template, frame } = callee as DefinedFunction;
  for (let index = 0; index < parameters.length; index++) {
    if (slots[index + 1] !== undefined) continue;
    const fallback = template.fallbacks[index];
    if (fallback === undefined) throw located(missingArgument(callee, parameters[index]!), site);
    slots[index + 1] = fallback(frame);
  }
}

export function tooManySteps(limit: number): EvaluationError {
  return new EvaluationError(
    'language/limit',
    `more than ${limit} steps`,
    'a loop runs too often; generate fewer targets in one file',
  );
}

/** One object for all calls: it answers for the innermost one, which is the one that asks. */
const call: Call<unknown> = {
  get context() {
    return current.context;
  },
  place: () => trace(current.sites[current.depth - 1]!).place,
  trace: () => trace(current.sites[current.depth - 1]!),
  outermost: () => ({ name: current.callees[0]!, place: sitePlace(current.sites[0]!) }),
  invoke: invokeValues,
  importNames(names) {
    if (current.depth > 1) {
      throw new EvaluationError(
        'language/value',
        `${current.callees[current.depth - 1]} stands inside a function`,
        'call it at the top level of the file',
      );
    }
    for (const [name, value] of names) current.imported.set(name, value);
  },
};
