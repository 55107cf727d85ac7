import { nearest } from '../fault/index.ts';
import type { BinaryOperator, Code, Comprehension, Expression } from './ast.ts';
import { allocate, checkedText, checkLength, current, dictItem, listItem, located, type Site } from './execution.ts';
import { EvaluationError } from './fault.ts';
import { NativeFunction, typesOf } from './function.ts';
import {
  DefinedFunction,
  type FunctionTemplate,
  invokeWritten,
  tooManySteps,
  type WrittenArguments,
} from './invoke.ts';
import { dictMethods, stringMethods } from './methods.ts';
import { itemOf, operate, sliceOf } from './operate.ts';
import { type Frame, globalValue, type ModuleNames, namesIn, type Run, Scope } from './scope.ts';
import type { Source } from './source.ts';
import {
  type Dict,
  display,
  FunctionValue,
  isTruthy,
  type List,
  type Parameter,
  positionsOf,
  typeOf,
  type Value,
} from './value.ts';

/** Turns expressions into closures over their parts. */
export class ExpressionCompiler {
  readonly source: Source;
  constructor(source: Source) {
    this.source = source;
  }

  site(node: { readonly start: number; readonly end: number }): Site {
    return { source: this.source, start: node.start, end: node.end };
  }

  expression(scope: Scope, node: Expression): Run {
    switch (node.type) {
      case 'constant': {
        const { value } = node;
        return () => value;
      }
      case 'name':
        return this.name(scope, node.name, this.site(node));
      case 'fstring':
        return this.fstring(scope, node);
      case 'list': {
        const items = node.items.map((item) => this.expression(scope, item));
        const site = this.site(node);
        return (frame) => {
          const result: Value[] = new Array(items.length);
          for (let index = 0; index < items.length; index++) result[index] = items[index]!(frame);
          made(site, result.length, listItem);
          return result;
        };
      }
      case 'dict':
        return this.dict(scope, node);
      case 'listComprehension': {
        const site = this.site(node);
        const [loop, item] = this.comprehension(scope, node.of, site, () => this.expression(scope, node.item));
        return (frame) => {
          const result: List = [];
          loop(frame, () => {
            result.push(item(frame));
            if ((result.length & 1023) !== 0) return;
            guarded(site, () => checkLength(result.length));
            made(site, 1024, listItem);
          });
          made(site, result.length & 1023, listItem);
          return result;
        };
      }
      case 'dictComprehension': {
        const site = this.site(node);
        const keySite = this.site(node.key);
        const [loop, [key, value]] = this.comprehension(
          scope,
          node.of,
          site,
          () => [this.expression(scope, node.key), this.expression(scope, node.value)] as const,
        );
        return (frame) => {
          const result: Dict = new Map();
          loop(frame, () => {
            result.set(checkedKey(key(frame), keySite), value(frame));
            current.bytes += dictItem;
            if ((result.size & 1023) === 0) guarded(site, () => checkLength(result.size));
          });
          made(site, 0, dictItem);
          return result;
        };
      }
      case 'lambda': {
        const template = this.template(scope, 'lambda', node, [], (inner) => this.expression(inner, node.body));
        const site = this.site(node);
        return (frame) => {
          made(site, frame.length + closure, listItem);
          return new DefinedFunction(template, frame);
        };
      }
      case 'attribute':
        return this.attribute(scope, node);
      case 'call':
        return this.call(scope, node);
      case 'index': {
        const object = this.expression(scope, node.object);
        const key = this.expression(scope, node.key);
        const site = this.site(node);
        return (frame) => {
          const from = object(frame);
          const at = key(frame);
          try {
            return itemOf(from, at);
          } catch (error) {
            throw located(error, site);
          }
        };
      }
      case 'slice': {
        const object = this.expression(scope, node.object);
        const start = node.from && this.expression(scope, node.from);
        const end = node.to && this.expression(scope, node.to);
        const site = this.site(node);
        return (frame) => {
          const [value, from, to] = [object(frame), start?.(frame) ?? null, end?.(frame) ?? null];
          return guarded(site, () => sliceOf(value, from, to));
        };
      }
      case 'not': {
        const operand = this.expression(scope, node.operand);
        return (frame) => !isTruthy(operand(frame));
      }
      case 'negate': {
        const operand = this.expression(scope, node.operand);
        const site = this.site(node);
        return (frame) => {
          const value = operand(frame);
          if (typeof value === 'number') return 0 - value;
          throw located(new EvaluationError('language/type', `- is not defined for ${typeOf(value)}`), site);
        };
      }
      case 'chain':
        return this.chain(scope, node);
      case 'and':
      case 'or': {
        const operands = node.operands.map((operand) => this.expression(scope, operand));
        const last = operands.pop()!;
        const stopAt = node.type === 'or';
        return (frame) => {
          for (const operand of operands) {
            const value = operand(frame);
            if (isTruthy(value) === stopAt) return value;
          }
          return last(frame);
        };
      }
      case 'conditional': {
        const test = this.expression(scope, node.test);
        const then = this.expression(scope, node.then);
        const otherwise = this.expression(scope, node.otherwise);
        return (frame) => (isTruthy(test(frame)) ? then(frame) : otherwise(frame));
      }
    }
  }

  /**
   * A name is looked for in the function, in the functions and the file around it, among what the file imported and
   * among what every file knows. As in Please, a local name that was not assigned yet shows the outer one.
   */
  private name(scope: Scope, name: string, site: Site): Run {
    const candidates: { depth: number; slot: number }[] = [];
    let depth = 0;
    let moduleScope = scope;
    for (let each: Scope | undefined = scope; each !== undefined; each = each.parent) {
      const slot = each.slots.get(name);
      if (slot !== undefined) candidates.push({ depth, slot });
      moduleScope = each;
      if (each.parent !== undefined) depth++;
    }
    const moduleDepth = depth;
    const slow: Run = (frame) => {
      for (const candidate of candidates) {
        const value = ancestor(frame, candidate.depth)[candidate.slot];
        if (value !== undefined) return value as Value;
      }
      const names = ancestor(frame, moduleDepth)[0] as ModuleNames;
      const value = globalValue(names, name);
      if (value !== undefined) return value;
      const known = new Set([...names.globals.keys(), ...names.imported.keys(), ...names.dynamic.keys()]);
      for (let each: Scope | undefined = scope; each !== undefined; each = each.parent) {
        for (const key of each.slots.keys()) known.add(key);
      }
      known.delete(name);
      const near = nearest(name, known);
      const unassigned = moduleScope.slots.has(name);
      const error = new EvaluationError(
        'language/name',
        unassigned ? `${name} is used before it is assigned` : `nothing is named ${name}`,
        near === undefined ? undefined : `did you mean ${near}?`,
      );
      throw located(error, site);
    };
    const [first] = candidates;
    if (first === undefined) return slow;
    const { slot } = first;
    if (first.depth === 0) return (frame) => (frame[slot] as Value | undefined) ?? slow(frame);
    if (first.depth === 1) return (frame) => ((frame[0] as Frame)[slot] as Value | undefined) ?? slow(frame);
    return slow;
  }

  private fstring(scope: Scope, node: Extract<Expression, { type: 'fstring' }>): Run {
    const site = this.site(node);
    const parts = node.parts.map((part) => {
      if (typeof part === 'string') return part;
      const [name, ...attributes] = part;
      let run = this.name(scope, name!, site);
      for (const attribute of attributes) {
        const object = run;
        run = (frame) => attributeOf(object(frame), attribute, site);
      }
      return run;
    });
    return (frame) => {
      let text = '';
      for (const part of parts) text += typeof part === 'string' ? part : guardedDisplay(part(frame), site);
      return guarded(site, () => checkedText(text));
    };
  }

  private dict(scope: Scope, node: Extract<Expression, { type: 'dict' }>): Run {
    const site = this.site(node);
    const items = node.items.map(({ key, value }) => ({
      key: this.expression(scope, key),
      site: this.site(key),
      value: this.expression(scope, value),
    }));
    return (frame) => {
      const result: Dict = new Map();
      for (const item of items) {
        const key = checkedKey(item.key(frame), item.site);
        result.set(key, item.value(frame));
      }
      made(site, items.length, dictItem);
      return result;
    };
  }

  /**
   * The loops of a comprehension around what `inner` compiles, with the names of the loops known to it. The first list
   * is evaluated outside of these names: `[x for x in x]`.
   */
  private comprehension<T>(
    scope: Scope,
    of: Comprehension,
    site: Site,
    inner: () => T,
  ): [loop: (frame: Frame, body: () => void) => void, inner: T] {
    const build = (level: number): [(frame: Frame, body: () => void) => void, T] => {
      const loop = of.loops[level];
      if (loop === undefined) {
        const tests = of.tests.map((test) => this.expression(scope, test));
        const compiled = inner();
        const body = (frame: Frame, then: () => void) => {
          for (const test of tests) if (!isTruthy(test(frame))) return;
          then();
        };
        return [body, compiled];
      }
      const over = this.expression(scope, loop.over);
      const overSite = this.site(loop.over);
      return scope.withNames(
        loop.names.map(({ name }) => name),
        (slots) => {
          const [next, compiled] = build(level + 1);
          const run = (frame: Frame, then: () => void) => {
            for (const item of iterable(over(frame), overSite)) {
              step(site);
              unpack(frame, slots, item, overSite);
              next(frame, then);
            }
          };
          return [run, compiled] as [typeof run, T];
        },
      );
    };
    return build(0);
  }

  /** Compiles a function: parameters take the first slots of its frame. */
  template(
    scope: Scope,
    name: string,
    code: Code,
    returns: readonly string[],
    compileBody: (inner: Scope) => Run,
  ): FunctionTemplate {
    const inner = new Scope(scope);
    const definitions = code.parameters;
    const parameters: Parameter[] = definitions.map((definition) => ({
      name: definition.name,
      types: typesOf(definition.types),
      aliases: definition.aliases,
      optional: definition.fallback !== undefined,
    }));
    const fallbacks = definitions.map(({ fallback }) => fallback && this.expression(scope, fallback));
    for (const parameter of parameters) inner.declare(parameter.name);
    const body = compileBody(inner);
    const findUses = () => namesIn(code).map((each) => ({ name: each, read: this.name(scope, each, this.site(code)) }));
    // A lambda may stand in a comprehension, whose names are known only now; around a `def` there are none but those that stay.
    let uses = Array.isArray(code.body) ? undefined : findUses();
    return {
      name,
      parameters,
      positions: positionsOf(parameters),
      fallbacks,
      returns: typesOf(returns),
      size: inner.size,
      body,
      code,
      get uses() {
        uses ??= findUses();
        return uses;
      },
    };
  }

  private attribute(scope: Scope, node: Extract<Expression, { type: 'attribute' }>): Run {
    const object = this.expression(scope, node.object);
    const site = { source: this.source, start: node.nameStart, end: node.end };
    const { name } = node;
    return (frame) => attributeOf(object(frame), name, site);
  }

  private call(scope: Scope, node: Extract<Expression, { type: 'call' }>): Run {
    const args: WrittenArguments = {
      site: this.site(node),
      values: node.args.map((arg) => this.expression(scope, arg.value)),
      names: node.args.map((arg) => arg.name),
      sites: node.args.map((arg) => this.site(arg)),
    };
    const { callee } = node;
    if (callee.type === 'attribute') {
      const object = this.expression(scope, callee.object);
      const { name } = callee;
      const site = { source: this.source, start: callee.nameStart, end: callee.end };
      return (frame) => {
        const self = object(frame);
        if (typeof self === 'string') {
          const method = stringMethods.get(name);
          if (method !== undefined) return invokeWritten(method, args, frame, self);
        } else if (self instanceof Map && !self.has(name)) {
          const method = dictMethods.get(name);
          if (method !== undefined) return invokeWritten(method, args, frame, self);
        }
        return invokeWritten(checkedCallee(attributeOf(self, name, site), args.site), args, frame, undefined);
      };
    }
    const run = this.expression(scope, callee);
    return (frame) => invokeWritten(checkedCallee(run(frame), args.site), args, frame, undefined);
  }

  private chain(scope: Scope, node: Extract<Expression, { type: 'chain' }>): Run {
    const first = this.expression(scope, node.first);
    const rest = node.rest.map(({ operator, operand }) => ({
      operator,
      operand: this.expression(scope, operand),
      site: { source: this.source, start: node.start, end: operand.end },
    }));
    const [only] = rest;
    if (rest.length === 1 && only !== undefined) {
      return (frame) => applied(only.operator, first(frame), only.operand(frame), only.site);
    }
    return (frame) => {
      let value = first(frame);
      for (const { operator, operand, site } of rest) value = applied(operator, value, operand(frame), site);
      return value;
    };
  }
}

function ancestor(frame: Frame, depth: number): Frame {
  let at = frame;
  for (let level = 0; level < depth; level++) at = at[0] as Frame;
  return at;
}

/** Runs what may throw an error without a place. */
export function guarded<T>(site: Site, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw located(error, site);
  }
}

function guardedDisplay(value: Value, site: Site): string {
  return typeof value === 'string' ? value : guarded(site, () => display(value));
}

export function applied(operator: BinaryOperator, a: Value, b: Value, site: Site): Value {
  try {
    return operate(operator, a, b);
  } catch (error) {
    throw located(error, site);
  }
}

/** Slots that a function takes beside the frame that it keeps. */
export const closure = 8;

/** Counts a value that an expression makes. */
export function made(site: Site, elements: number, size: number): void {
  const execution = current;
  execution.bytes += 24 + elements * size;
  if (execution.bytes > execution.limits.memory) guarded(site, () => allocate(0));
}

/** Counts one turn of a loop. */
export function step(site: Site): void {
  if (++current.steps > current.limits.steps) throw located(tooManySteps(current.limits.steps), site);
}

export function iterable(value: Value, site: Site): List {
  if (Array.isArray(value)) return value;
  const next = value instanceof Map ? 'loop over x.keys(), x.values() or x.items()' : undefined;
  throw located(new EvaluationError('language/type', `${typeOf(value)} can't be looped over`, next), site);
}

/** Assigns a value to names: to one as it is, to several item by item. */
export function unpack(frame: Frame, slots: readonly number[], value: Value, site: Site): void {
  if (slots.length === 1) {
    frame[slots[0]!] = value;
    return;
  }
  if (!Array.isArray(value)) {
    throw located(
      new EvaluationError('language/type', `${typeOf(value)} can't be unpacked to ${slots.length} names`),
      site,
    );
  }
  if (value.length !== slots.length) {
    throw located(new EvaluationError('language/value', `${value.length} values for ${slots.length} names`), site);
  }
  for (let index = 0; index < slots.length; index++) frame[slots[index]!] = value[index];
}

function checkedKey(key: Value, site: Site): string {
  if (typeof key === 'string') return key;
  throw located(new EvaluationError('language/type', `the key of a dict is a str, not ${typeOf(key)}`), site);
}

function checkedCallee(value: Value, site: Site): FunctionValue {
  if (value instanceof FunctionValue) return value;
  throw located(new EvaluationError('language/type', `${typeOf(value)} can't be called`), site);
}

/** A method as a value of its own: `map(",".join, lists)`. */
function bound(method: NativeFunction, self: Value): FunctionValue {
  const [, ...parameters] = method.parameters;
  return new NativeFunction(
    method.name,
    parameters,
    method.fallbacks.slice(1),
    (args, call) => method.implementation([self, ...args], call),
    method,
  );
}

/** `x.name`: an item of a dict, as in Please, else a method. */
function attributeOf(object: Value, name: string, site: Site): Value {
  if (object instanceof Map) {
    const value = object.get(name);
    if (value !== undefined) return value;
  }
  const methods = object instanceof Map ? dictMethods : typeof object === 'string' ? stringMethods : undefined;
  const known = [...(methods?.keys() ?? []), ...(object instanceof Map ? object.keys() : [])];
  const method = methods?.get(name);
  if (method !== undefined) return bound(method, object);
  const near = nearest(name, known);
  const error = new EvaluationError(
    'language/name',
    `${typeOf(object)} has no attribute ${name}`,
    near !== undefined
      ? `did you mean ${near}?`
      : Array.isArray(object) && (name === 'append' || name === 'extend')
        ? 'write x += [...]'
        : undefined,
  );
  throw located(error, site);
}
