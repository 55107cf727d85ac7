import type { Place } from '../fault/index.ts';
import { nearest } from '../fault/index.ts';
import type { Trace } from './execution.ts';
import { EvaluationError } from './fault.ts';
import { FunctionValue, type Parameter, positionsOf, type TypeName, type Value } from './value.ts';

/** What a native function may ask about the call that it answers. */
export interface Call<Context> {
  readonly context: Context;
  /** Where the call stands; a call inside the product's own rules is given by the one that led there. */
  place(): Place;
  /** Place and chain of calls, for a fault of the embedder's own. */
  trace(): Trace;
  /** The first function that the file under evaluation called, and where: the rule that a person wrote. */
  outermost(): { readonly name: string; readonly place: Place };
  /** Calls a function value with arguments by position. */
  invoke(callee: FunctionValue, args: readonly Value[]): Value;
  /**
   * Makes names known to the file that calls, as if it had defined them.
   *
   * @throws EvaluationError where the call stands inside a function
   */
  importNames(names: ReadonlyMap<string, Value>): void;
}

/**
 * Arguments in the order of the parameters, defaults filled in; behind them what `rest` collected, or the Map of what
 * `extra` did.
 */
export type Implementation<Context> = (args: readonly Value[], call: Call<Context>) => Value;

export class NativeFunction extends FunctionValue {
  readonly rest: boolean;
  readonly extra: boolean;
  /** For each parameter its default, undefined where it must be given; a function where it depends on the context. */
  readonly fallbacks: readonly (Value | undefined | ((context: unknown) => Value))[];
  readonly implementation: Implementation<unknown>;
  readonly documentation: string;

  constructor(
    name: string,
    parameters: readonly Parameter[],
    fallbacks: readonly (Value | undefined | ((context: unknown) => Value))[],
    implementation: Implementation<unknown>,
    kind: { readonly rest?: boolean; readonly extra?: boolean; readonly documentation?: string } = {},
  ) {
    super(name, parameters, positionsOf(parameters));
    this.fallbacks = fallbacks;
    this.implementation = implementation;
    this.rest = kind.rest ?? false;
    this.extra = kind.extra ?? false;
    this.documentation = kind.documentation ?? '';
  }
}

/** A parameter of a native function. */
export interface NativeParameter<Context> {
  readonly name: string;
  /** `str`, `str|list`...; any type where absent. */
  readonly type?: string;
  readonly aliases?: readonly string[];
  /** Absent: the argument must be given. A function is asked at each call. Lists and dicts must come from a function. */
  readonly fallback?: string | number | boolean | null | ((context: Context) => Value);
}

export interface NativeDefinition<Context> {
  readonly name: string;
  /** For the language reference: what it does and gives, in a sentence or two. */
  readonly documentation?: string;
  readonly parameters: readonly NativeParameter<Context>[];
  /** Takes any number of further arguments by position, appended to the arguments. */
  readonly rest?: boolean;
  /** Takes any further arguments by name; the implementation gets them as a Map behind the arguments. */
  readonly extra?: boolean;
  readonly implementation: Implementation<Context>;
}

/** Makes a function of TypeScript callable from BUILD files, with arguments checked before it runs. */
export function defineFunction<Context>(definition: NativeDefinition<Context>): NativeFunction {
  const parameters = definition.parameters.map((parameter) => ({
    name: parameter.name,
    types: parameter.type === undefined ? [] : typesOf(parameter.type.split('|')),
    aliases: parameter.aliases ?? [],
    optional: parameter.fallback !== undefined,
  }));
  const fallbacks = definition.parameters.map((parameter) => parameter.fallback);
  return new NativeFunction(
    definition.name,
    parameters,
    fallbacks as (Value | undefined | ((context: unknown) => Value))[],
    definition.implementation as Implementation<unknown>,
    definition,
  );
}

/** Types by the names of an annotation. */
export function typesOf(names: readonly string[]): TypeName[] {
  return names.map((name) => (name === 'config' ? 'dict' : (name as TypeName)));
}

export function unknownArgument(callee: FunctionValue, name: string): EvaluationError {
  const near = nearest(name, callee.positions.keys());
  return new EvaluationError(
    'language/argument',
    `${callee.name} has no argument ${name}`,
    near === undefined ? `it takes ${[...callee.positions.keys()].join(', ') || 'none'}` : `did you mean ${near}?`,
  );
}

export function wrongType(callee: FunctionValue, parameter: Parameter, found: TypeName): EvaluationError {
  return new EvaluationError(
    'language/argument',
    `the argument ${parameter.name} of ${callee.name} must be ${parameter.types.join(' or ')}, not ${found}`,
  );
}

export function missingArgument(callee: FunctionValue, parameter: Parameter): EvaluationError {
  return new EvaluationError(
    'language/argument',
    `${callee.name} needs the argument ${parameter.name}`,
    `add ${parameter.name} = ...`,
  );
}

export function tooManyArguments(callee: FunctionValue, given: number): EvaluationError {
  return new EvaluationError(
    'language/argument',
    `${callee.name} takes at most ${callee.parameters.length} arguments, not ${given}`,
  );
}
