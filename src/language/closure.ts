import { NativeFunction } from './function.ts';
import { DefinedFunction, type FunctionTemplate } from './invoke.ts';
import { FunctionValue, type Value } from './value.ts';

/** Everything that a call of a function can come to use beside its arguments. */
export interface Closure {
  /** The code of the function and of all that it can call, and the values that they see. Comments and places are not in it. */
  readonly text: string;
  /** Names of the functions outside of the language among these. */
  readonly natives: ReadonlySet<string>;
}

/** @param callee of an evaluation that is over: the values of its names are those at the end */
export function closureOf(callee: FunctionValue): Closure {
  const natives = new Set<string>();
  const numbers = new Map<DefinedFunction, number>();
  const told: string[] = [];
  const describe = (value: Value, around: readonly Value[]): unknown => {
    if (value instanceof NativeFunction) {
      natives.add(value.name);
      return ['native', value.name];
    }
    if (value instanceof DefinedFunction) {
      if (!numbers.has(value)) numbers.set(value, numbers.size);
      return ['function', numbers.get(value)];
    }
    if (value === null || typeof value !== 'object') return value;
    if (around.includes(value)) return ['circle', around.length - around.indexOf(value)];
    const inside = [...around, value];
    if (Array.isArray(value)) return ['list', ...value.map((each) => describe(each, inside))];
    if (value instanceof FunctionValue) return ['native', value.name];
    return ['dict', ...[...value].map(([key, each]) => [key, describe(each, inside)])];
  };
  describe(callee, []);
  // What is found on the way is looked at in turn.
  for (const each of numbers.keys()) {
    const uses = each.template.uses.map(({ name, read }) => {
      const value = valueOr(() => read(each.frame));
      return [name, value === undefined ? null : ['is', describe(value, [])]];
    });
    told.push(JSON.stringify([codeText(each.template), uses]));
  }
  return { text: told.join('\n'), natives };
}

/** Names that are the function's own are nothing outside of it. */
function valueOr(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const texts = new WeakMap<FunctionTemplate, string>();

function codeText(template: FunctionTemplate): string {
  let text = texts.get(template);
  if (text === undefined) {
    text = JSON.stringify(template.code, (key, value: unknown) => {
      if (places.has(key)) return undefined;
      return Array.isArray(value) ? value.filter((each) => !isRemark(each)) : value;
    });
    texts.set(template, text);
  }
  return text;
}

/** A text that stands alone says something to people. */
function isRemark(node: unknown): boolean {
  const { type, expression } = (node ?? {}) as { type?: unknown; expression?: { type?: unknown } };
  return type === 'expression' && expression?.type === 'constant';
}

const places: ReadonlySet<string> = new Set(['start', 'end', 'nameStart', 'at', 'documentation']);
