import { coreFunctions } from './builtins.ts';
import { type CompiledModule, compileModule } from './compile.ts';
import { Execution, execute } from './execution.ts';
import type { NativeFunction } from './function.ts';
import { callFrom } from './invoke.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { parseSource } from './parser.ts';
import type { Frame, ModuleNames } from './scope.ts';
import type { Source } from './source.ts';
import { type FunctionValue, freeze, type Value } from './value.ts';

export interface EvaluatorOptions<Context> {
  /** Functions of the embedder, beside those of the language itself; they win over these. */
  readonly functions?: readonly NativeFunction[];
  /** Names whose value depends on the evaluation's context. */
  readonly dynamic?: Readonly<Record<string, (context: Context) => Value>>;
  /** Further names, frozen. */
  readonly values?: Readonly<Record<string, Value>>;
  readonly limits?: Partial<Limits>;
}

/** Evaluates files that know the same functions. */
export interface Evaluator<Context> {
  /** @throws LanguageFault language/syntax | language/limit */
  compile(source: Source): CompiledModule;
  /**
   * Runs a file from top to bottom.
   *
   * @returns the names that the file gives to those that import it, frozen: all but the ones that begin with `_`
   * @throws LanguageFault, or what a native function threw
   */
  evaluate(module: CompiledModule, context: Context): ReadonlyMap<string, Value>;
  /** Runs a file and makes its names known to every file that is evaluated from then on. */
  preload(module: CompiledModule, context: Context): void;
  /**
   * Calls a function that an earlier evaluation left, as an evaluation of its own.
   *
   * @param source the file that the function came from, blamed where nothing nearer is
   * @throws LanguageFault, or what a native function threw
   */
  invoke(callee: FunctionValue, args: readonly Value[], context: Context, source: Source): Value;
}

export function createEvaluator<Context>(options: EvaluatorOptions<Context> = {}): Evaluator<Context> {
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const globals = new Map<string, Value>();
  for (const native of [...coreFunctions, ...(options.functions ?? [])]) globals.set(native.name, native);
  for (const [name, value] of Object.entries(options.values ?? {})) {
    freeze(value);
    globals.set(name, value);
  }
  const dynamic = new Map(Object.entries(options.dynamic ?? {})) as ModuleNames['dynamic'];

  const evaluate = (module: CompiledModule, context: Context): ReadonlyMap<string, Value> => {
    const execution = new Execution(limits, context);
    const imported = execution.imported as Map<string, Value>;
    const names: ModuleNames = { imported, globals, dynamic };
    const frame: Frame = new Array(module.size).fill(undefined);
    frame[0] = names;
    const whole = { source: module.source, start: 0, end: 0 };
    return execute(execution, whole, () => {
      module.run(frame);
      const exported = new Map(imported);
      for (const [name, slot] of module.names) {
        const value = frame[slot] as Value | undefined;
        if (value !== undefined && !name.startsWith('_')) exported.set(name, value);
      }
      for (const value of exported.values()) freeze(value);
      return exported;
    });
  };
  return {
    compile: (source) => {
      const whole = { source, start: 0, end: 0 };
      return execute(new Execution(limits, undefined), whole, () => compileModule(parseSource(source, limits), source));
    },
    evaluate,
    invoke(callee, args, context, source) {
      const whole = { source, start: 0, end: 0 };
      return execute(new Execution(limits, context), whole, () => callFrom(whole, callee, args));
    },
    preload(module, context) {
      for (const [name, value] of evaluate(module, context)) globals.set(name, value);
    },
  };
}
