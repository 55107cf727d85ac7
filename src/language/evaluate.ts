import { coreFunctions } from './builtins.ts';
import { type Closure, closureOf } from './closure.ts';
import { type CompiledModule, compileModule } from './compile.ts';
import { Execution, execute } from './execution.ts';
import type { NativeFunction } from './function.ts';
import { callFrom } from './invoke.ts';
import type { Stretch } from './lexer.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { parseSource } from './parser.ts';
import { type Frame, type ModuleNames, PendingFunction } from './scope.ts';
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
   * The same for a file that holds nothing but functions at its top level, each of which is read when it is first looked up: a
   * start costs what is used of the file. A mistake in it shows only then.
   */
  preloadFunctions(source: Source, context: Context): void;
  /**
   * Calls a function that an earlier evaluation left, as an evaluation of its own.
   *
   * @param source the file that the function came from, blamed where nothing nearer is
   * @throws LanguageFault, or what a native function threw
   */
  invoke(callee: FunctionValue, args: readonly Value[], context: Context, source: Source): Value;
  /** What a function that an earlier evaluation left can come to use; names whose value depends on the context as they are in it. */
  closure(callee: FunctionValue, context: Context, source: Source): Closure;
}

/** Where each function of a file stands, comments above the next one included. */
export function functionsOf(source: Source): Map<string, Stretch> {
  const found = [...source.text.matchAll(/^def ([A-Za-z_]\w*)/gm)];
  return new Map(
    found.map(({ 1: name, index }, number) => [
      name!,
      { start: index, end: found[number + 1]?.index ?? source.text.length },
    ]),
  );
}

export function createEvaluator<Context>(options: EvaluatorOptions<Context> = {}): Evaluator<Context> {
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const globals = new Map<string, Value | PendingFunction>();
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
    closure(callee, context, source) {
      return execute(new Execution(limits, context), { source, start: 0, end: 0 }, () => closureOf(callee));
    },
    preload(module, context) {
      for (const [name, value] of evaluate(module, context)) globals.set(name, value);
    },
    preloadFunctions(source, context) {
      const own = new Map<string, Value | PendingFunction>();
      for (const [name, part] of functionsOf(source)) {
        const pending: PendingFunction = new PendingFunction(() => {
          const known = own.get(name)!;
          if (known !== pending) return known as Value;
          const whole = { source, ...part };
          const value = execute(new Execution(limits, context), whole, () => {
            const module = compileModule(parseSource(source, limits, part), source);
            const frame: Frame = new Array(module.size).fill(undefined);
            const names: ModuleNames = { imported: own, globals, dynamic };
            frame[0] = names;
            module.run(frame);
            return frame[module.names.get(name)!] as Value;
          });
          own.set(name, value);
          if (globals.get(name) === pending) globals.set(name, value);
          return value;
        });
        own.set(name, pending);
        if (!name.startsWith('_')) globals.set(name, pending);
      }
    },
  };
}
