import type { FunctionDefinition, Module, Statement } from './ast.ts';
import { applied, closure, ExpressionCompiler, guarded, iterable, made, step, unpack } from './compile-expression.ts';
import { allocate, checkLength, dictItem, listItem, located } from './execution.ts';
import { EvaluationError } from './fault.ts';
import { DefinedFunction } from './invoke.ts';
import { itemOf, outOfRange, position } from './operate.ts';
import { declareAssigned, type Frame, type Run, Scope } from './scope.ts';
import type { Source } from './source.ts';
import { checkChangeable, display, isTruthy, typeOf, type Value } from './value.ts';

/** How a statement ended: on to the next one, or out of the loop or the function. */
type Ending = 0 | 1 | 2 | 3;
const onward = 0;
const broken = 1;
const continued = 2;
const returned = 3;
type Execute = (frame: Frame) => Ending;

/** Of the innermost `return` on its way out; taken by the function at once. */
let returnValue: Value = null;

/** A file ready to be evaluated, any number of times. */
export interface CompiledModule {
  readonly source: Source;
  readonly size: number;
  /** Slots of the names that the file assigns at its top level. */
  readonly names: ReadonlyMap<string, number>;
  run(frame: Frame): void;
}

export function compileModule(module: Module, source: Source): CompiledModule {
  const scope = new Scope(undefined);
  declareAssigned(scope, module.statements);
  const compiler = new StatementCompiler(source);
  const run = compiler.block(scope, module.statements);
  return { source, size: scope.size, names: scope.slots, run };
}

class StatementCompiler extends ExpressionCompiler {
  block(scope: Scope, statements: readonly Statement[]): Execute {
    const compiled = statements.map((statement) => this.statement(scope, statement));
    const [only] = compiled;
    if (compiled.length === 1 && only !== undefined) return only;
    return (frame) => {
      for (let index = 0; index < compiled.length; index++) {
        const ending = compiled[index]!(frame);
        if (ending !== onward) return ending;
      }
      return onward;
    };
  }

  private statement(scope: Scope, node: Statement): Execute {
    switch (node.type) {
      case 'expression': {
        const run = this.expression(scope, node.expression);
        return (frame) => {
          run(frame);
          return onward;
        };
      }
      case 'assign':
        return this.assign(scope, node);
      case 'def':
        return this.definition(scope, node);
      case 'for':
        return this.loop(scope, node);
      case 'if': {
        const branches = node.branches.map(({ test, body }) => ({
          test: this.expression(scope, test),
          body: this.block(scope, body),
        }));
        const otherwise = this.block(scope, node.otherwise);
        return (frame) => {
          for (const { test, body } of branches) if (isTruthy(test(frame))) return body(frame);
          return otherwise(frame);
        };
      }
      case 'return': {
        const value = node.value && this.expression(scope, node.value);
        return (frame) => {
          returnValue = value === undefined ? null : value(frame);
          return returned;
        };
      }
      case 'assert': {
        const test = this.expression(scope, node.test);
        const message = node.message && this.expression(scope, node.message);
        const site = this.site(node);
        return (frame) => {
          if (isTruthy(test(frame))) return onward;
          const said = message?.(frame);
          const text = said === undefined ? '' : guarded(site, () => display(said));
          throw located(new EvaluationError('language/assertion', text || 'an assertion does not hold'), site);
        };
      }
      case 'pass':
        return () => onward;
      case 'continue':
        return () => continued;
      case 'break':
        return () => broken;
    }
  }

  private assign(scope: Scope, node: Extract<Statement, { type: 'assign' }>): Execute {
    const value = this.expression(scope, node.value);
    const site = this.site(node);
    const { target } = node;
    if (target.type === 'item') {
      const object = this.expression(scope, target.object);
      const key = this.expression(scope, target.key);
      return (frame) => {
        const [into, at] = [object(frame), key(frame)];
        const operand = value(frame);
        const result = node.add
          ? applied(
              '+',
              guarded(site, () => itemOf(into, at)),
              operand,
              site,
            )
          : operand;
        guarded(site, () => assignItem(into, at, result));
        return onward;
      };
    }
    const slots = target.names.map(({ name }) => scope.declare(name));
    if (node.add) {
      const before = this.expression(scope, { type: 'name', ...target.names[0]! });
      return (frame) => {
        frame[slots[0]!] = applied('+', before(frame), value(frame), site);
        return onward;
      };
    }
    const [only] = slots;
    if (slots.length === 1 && only !== undefined) {
      return (frame) => {
        frame[only] = value(frame);
        return onward;
      };
    }
    return (frame) => {
      unpack(frame, slots, value(frame), site);
      return onward;
    };
  }

  private definition(scope: Scope, node: FunctionDefinition): Execute {
    const template = this.template(scope, node.name, node, node.returns, (inner): Run => {
      declareAssigned(inner, node.body);
      const body = this.block(inner, node.body);
      return (frame) => (body(frame) === returned ? returnValue : null);
    });
    const slot = scope.declare(node.name);
    const site = this.site(node);
    return (frame) => {
      made(site, frame.length + closure, listItem);
      frame[slot] = new DefinedFunction(template, frame);
      return onward;
    };
  }

  private loop(scope: Scope, node: Extract<Statement, { type: 'for' }>): Execute {
    const over = this.expression(scope, node.over);
    const overSite = this.site(node.over);
    const slots = node.names.map(({ name }) => scope.declare(name));
    const body = this.block(scope, node.body);
    return (frame) => {
      for (const item of iterable(over(frame), overSite)) {
        step(overSite);
        unpack(frame, slots, item, overSite);
        const ending = body(frame);
        if (ending === broken) break;
        if (ending === returned) return returned;
      }
      return onward;
    };
  }
}

function assignItem(object: Value, key: Value, value: Value): void {
  if (object instanceof Map) {
    if (typeof key !== 'string')
      throw new EvaluationError('language/type', `the key of a dict is a str, not ${typeOf(key)}`);
    checkChangeable(object);
    object.set(key, value);
    checkLength(object.size);
    allocate(dictItem);
  } else if (Array.isArray(object)) {
    checkChangeable(object);
    const at = position(object, key);
    if (at < 0 || at >= object.length) throw outOfRange(object, key);
    object[at] = value;
  } else throw new EvaluationError('language/type', `items of ${typeOf(object)} can't be assigned`);
}
