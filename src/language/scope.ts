import type { Code, Statement } from './ast.ts';
import { current } from './execution.ts';
import type { Value } from './value.ts';

/**
 * Values of one call or one file: the frame of the enclosing function first, then the slots. The frame of a file has its
 * `ModuleNames` in the first place.
 */
export type Frame = unknown[];

/** An expression, ready to run. */
export type Run = (frame: Frame) => Value;

/** Names that a file sees beyond its own: what it imported, what was preloaded, what the context gives. */
export interface ModuleNames {
  readonly imported: Map<string, Value | PendingFunction>;
  readonly globals: ReadonlyMap<string, Value | PendingFunction>;
  /** Names whose value depends on the evaluation under way, such as CONFIG. */
  readonly dynamic: ReadonlyMap<string, (context: unknown) => Value>;
}

/** A function that is read when its name is first looked up. */
export class PendingFunction {
  readonly read: () => Value;
  constructor(read: () => Value) {
    this.read = read;
  }
}

export function globalValue(names: ModuleNames, name: string): Value | undefined {
  // Not `??`: None is a value, and it is null.
  const imported = names.imported.get(name);
  if (imported !== undefined) return imported instanceof PendingFunction ? imported.read() : imported;
  const known = names.globals.get(name);
  if (known !== undefined) return known instanceof PendingFunction ? known.read() : known;
  return names.dynamic.get(name)?.(current.context);
}

/** The names of one function or file while it is compiled, each with its slot in the frame. */
export class Scope {
  readonly parent: Scope | undefined;
  readonly slots = new Map<string, number>();
  /** Slots of the frame, the first one included. */
  size = 1;

  constructor(parent: Scope | undefined) {
    this.parent = parent;
  }

  declare(name: string): number {
    const known = this.slots.get(name);
    if (known !== undefined) return known;
    const slot = this.size++;
    this.slots.set(name, slot);
    return slot;
  }

  /** Runs `body` with names that only it sees: those of a comprehension. */
  withNames<T>(names: readonly string[], body: (slots: number[]) => T): T {
    const before = names.map((name) => this.slots.get(name));
    const slots = names.map((name) => {
      const slot = this.size++;
      this.slots.set(name, slot);
      return slot;
    });
    const result = body(slots);
    names.forEach((name, index) => {
      const old = before[index];
      if (old === undefined) this.slots.delete(name);
      else this.slots.set(name, old);
    });
    return result;
  }
}

/** Gives a slot to every name that the statements assign, functions inside them left out. */
export function declareAssigned(scope: Scope, statements: readonly Statement[]): void {
  for (const statement of statements) {
    switch (statement.type) {
      case 'assign':
        if (statement.target.type === 'names') for (const { name } of statement.target.names) scope.declare(name);
        break;
      case 'def':
        scope.declare(statement.name);
        break;
      case 'for':
        for (const { name } of statement.names) scope.declare(name);
        declareAssigned(scope, statement.body);
        break;
      case 'if':
        for (const branch of statement.branches) declareAssigned(scope, branch.body);
        declareAssigned(scope, statement.otherwise);
        break;
    }
  }
}

/** All names that a function's code has, in the order in which they come, each once. */
export function namesIn(code: Code): string[] {
  const found = new Set<string>();
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) {
      for (const each of node) walk(each);
      return;
    }
    if (typeof node !== 'object' || node === null) return;
    const { type, name, parts } = node as { type?: unknown; name?: unknown; parts?: unknown };
    if (type === 'name' && typeof name === 'string') found.add(name);
    // Parts of an f-string: texts, and names with attributes.
    if (type === 'fstring')
      for (const part of parts as (string | string[])[]) if (Array.isArray(part)) found.add(part[0]!);
    for (const value of Object.values(node)) walk(value);
  };
  walk(code);
  return [...found];
}
