export type * as ast from './ast.ts';
export { coreFunctions } from './builtins.ts';
export type { Closure } from './closure.ts';
export type { CompiledModule } from './compile.ts';
export { createEvaluator, type Evaluator, type EvaluatorOptions, functionsOf } from './evaluate.ts';
export type { Trace } from './execution.ts';
export { EvaluationError, type LanguageCode, LanguageFault } from './fault.ts';
export {
  type Call,
  defineFunction,
  type Implementation,
  type NativeDefinition,
  type NativeFunction,
  type NativeParameter,
} from './function.ts';
export { fromJson, type JsonValue, toJson } from './json.ts';
export { defaultLimits, type Limits } from './limits.ts';
export { dictMethods, stringMethods } from './methods.ts';
export { parseSource } from './parser.ts';
export { placeOf, type Source } from './source.ts';
export {
  type Dict,
  display,
  FunctionValue,
  freeze,
  isTruthy,
  type List,
  sortedKeys,
  typeOf,
  type Value,
} from './value.ts';
