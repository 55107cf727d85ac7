import { sortedKeys, typeOf, type Value } from '../../language/index.ts';
import { ArgumentFault, GraphFault } from '../fault.ts';
import { type LabelScope, looksLikeLabel, parseLabel } from '../names/label.ts';
import { childPath, resolvePath } from '../paths.ts';
import type { Input, Inputs, Label } from '../types.ts';
import { noInputs } from './no-inputs.ts';

/** What strings among a rule's arguments may be, beside labels. */
export type StringMeaning = 'file' | 'program';

/**
 * A list of strings, or a dict of names to lists, as inputs.
 *
 * @param argument name of the rule's argument, for faults
 */
export function inputsOf(argument: string, value: Value, scope: LabelScope, meaning: StringMeaning): Inputs {
  if (value === null) return noInputs;
  if (!(value instanceof Map)) {
    const all = stringsOf(argument, value).map((text) => inputOf(argument, text, scope, meaning));
    return all.length === 0 ? noInputs : Object.freeze({ all: Object.freeze(all), named: noInputs.named });
  }
  const named = namedLists(argument, value).map(
    ([name, texts]) => [name, Object.freeze(texts.map((text) => inputOf(argument, text, scope, meaning)))] as const,
  );
  return Object.freeze({
    all: Object.freeze(named.flatMap(([, inputs]) => inputs)),
    named: Object.freeze(Object.fromEntries(named)),
  });
}

export function labelsOf(argument: string, value: Value, scope: LabelScope): readonly Label[] {
  return Object.freeze(stringsOf(argument, value).map((text) => labelArgument(argument, text, scope)));
}

function labelArgument(argument: string, text: string, scope: LabelScope): Label {
  if (!looksLikeLabel(text)) {
    const fault = new GraphFault(
      'graph/bad-label',
      `${argument} takes labels of targets, not ${JSON.stringify(text)}`,
      {
        next: argument === 'deps' ? 'name a target (//package:name or :name), or put a file into srcs' : undefined,
      },
    );
    throw new ArgumentFault(fault, text);
  }
  return guarded(text, () => parseLabel(text, scope));
}

function inputOf(argument: string, text: string, scope: LabelScope, meaning: StringMeaning): Input {
  if (looksLikeLabel(text)) {
    const bar = text.indexOf('|');
    if (bar === -1) return Object.freeze({ kind: 'label', label: guarded(text, () => parseLabel(text, scope)) });
    const label = guarded(text, () => parseLabel(text.slice(0, bar), scope));
    return Object.freeze({ kind: 'label', label, named: text.slice(bar + 1) });
  }
  if (meaning === 'program') {
    if (text.startsWith('/') || text.startsWith('~')) {
      return Object.freeze({ kind: 'system', path: systemPath(argument, text) });
    }
    if (!/^[A-Za-z0-9_.+-]+$/.test(text)) {
      const fault = new GraphFault(
        'graph/bad-target',
        `${argument} takes labels and names of programs, not ${JSON.stringify(text)}`,
        {
          next: 'make a target of the file, or name a program that is on the PATH, or its absolute path',
        },
      );
      throw new ArgumentFault(fault, text);
    }
    return Object.freeze({ kind: 'program', name: text });
  }
  return Object.freeze({ kind: 'file', path: filePath(argument, text, scope.package) });
}

/** An absolute path, or one below the home folder. */
export function systemPath(argument: string, text: string): string {
  const path = text.replace(/(?<=.)\/+$/, '');
  const parts = path.split('/');
  if (/^(~\/|\/)./.test(path) && !path.startsWith('//') && !parts.includes('..') && !/[\0\n]/.test(path)) return path;
  throw new ArgumentFault(
    new GraphFault('graph/bad-target', `${argument} has ${JSON.stringify(text)}, which is no absolute path`, {
      next: 'begin it with / or ~/',
    }),
    text,
  );
}

/** A file of the package. */
function filePath(argument: string, text: string, packageName: string): string {
  const path = text.includes('\0') ? undefined : resolvePath('', text);
  if (path === undefined || path === '' || text.startsWith('/')) {
    const fault = new GraphFault(
      'graph/bad-target',
      `${argument} has ${JSON.stringify(text)}, which is no path inside the package`,
      {
        next: 'name a file of this package, or a target of another one',
      },
    );
    throw new ArgumentFault(fault, text);
  }
  return childPath(packageName, path);
}

/** Outputs of a rule: paths below the package's folder. */
export function outputsOf(
  argument: string,
  value: Value,
): { all: readonly string[]; named: Readonly<Record<string, readonly string[]>> } {
  if (!(value instanceof Map)) {
    return {
      all: Object.freeze(stringsOf(argument, value).map((text) => filePath(argument, text, ''))),
      named: noInputs.named as never,
    };
  }
  const named = namedLists(argument, value).map(
    ([name, texts]) => [name, Object.freeze(texts.map((text) => filePath(argument, text, '')))] as const,
  );
  return { all: Object.freeze(named.flatMap(([, texts]) => texts)), named: Object.freeze(Object.fromEntries(named)) };
}

export function namedLists(
  argument: string,
  value: ReadonlyMap<string, Value>,
): [name: string, texts: readonly string[]][] {
  return sortedKeys(value as Map<string, Value>).map((name) => {
    // Names end up in variables: $SRCS_MAIN.
    if (!/^[A-Za-z0-9_-]+$/.test(name)) {
      const fault = new GraphFault(
        'graph/bad-target',
        `${argument} has the name ${JSON.stringify(name)}, which can't be part of a variable`,
        {
          next: 'use letters, digits and _',
        },
      );
      throw new ArgumentFault(fault, name);
    }
    return [name, stringsOf(`${argument}[${JSON.stringify(name)}]`, value.get(name)!)];
  });
}

/** A list of strings, or a single one. None is an empty list; so is None among the elements left out. */
export function stringsOf(argument: string, value: Value): readonly string[] {
  if (value === null) return [];
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value))
    throw new GraphFault('graph/bad-target', `${argument} must be a list of strings, not ${typeOf(value)}`);
  const strings: string[] = [];
  for (const item of value) {
    if (typeof item === 'string') strings.push(item);
    else if (item !== null) {
      throw new GraphFault(
        'graph/bad-target',
        `${argument} must be a list of strings, but one element is ${typeOf(item)}`,
      );
    }
  }
  return strings;
}

function guarded<T>(literal: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw error instanceof GraphFault ? new ArgumentFault(error, literal) : error;
  }
}
