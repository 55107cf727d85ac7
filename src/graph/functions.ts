import { nearest } from '../fault/index.ts';
import {
  type Dict,
  defineFunction,
  display,
  EvaluationError,
  type NativeFunction,
  type Value,
} from '../language/index.ts';
import { buildRule, placedAt, taggedName } from './build-rule.ts';
import { overlaidConfig } from './config.ts';
import type { BuildCall, EvaluationContext } from './context.ts';
import { jsonFile, readText } from './data-file.ts';
import { GraphFault } from './fault.ts';
import { globFiles } from './glob.ts';
import { ArgumentFault, stringsOf } from './inputs.ts';
import { looksLikeLabel, parseLabel, splitLabel } from './label.ts';
import { childPath, lastPart, parentPath, resolvePath } from './paths.ts';
import type { Target } from './types.ts';

type Definition = Parameters<typeof defineFunction<EvaluationContext>>[0];

/** Defines a function whose faults get the place of the call. */
function define(definition: Definition): NativeFunction {
  return defineFunction<EvaluationContext>({
    ...definition,
    implementation: (args, call) => {
      try {
        return definition.implementation(args, call);
      } catch (error) {
        throw placedAt(error, call);
      }
    },
  });
}

const label = { name: 'label', type: 'str', fallback: null } as const;

/** The functions that BUILD files have beyond those of the language. */
export const buildFunctions: readonly NativeFunction[] = [
  buildRule,
  define({
    name: 'glob',
    parameters: [
      { name: 'include', type: 'list|str' },
      { name: 'exclude', type: 'list|str', aliases: ['excludes'], fallback: null },
      { name: 'hidden', type: 'bool', fallback: false },
      { name: 'include_symlinks', type: 'bool', fallback: false },
      { name: 'allow_empty', type: 'bool', fallback: false },
    ],
    implementation: ([include, exclude, hidden, includeSymlinks, allowEmpty], { context }) => {
      const patterns = stringsOf('include', include!).map(checkedPattern);
      const found = globFiles(context.tree, context.package, context.buildFiles, {
        include: patterns,
        exclude: stringsOf('exclude', exclude!).map(checkedPattern),
        hidden: hidden === true,
        includeSymlinks: includeSymlinks === true,
      });
      if (found.length === 0 && allowEmpty !== true) {
        throw new GraphFault('graph/missing-source', `no file of the package fits ${patterns.join(', ')}`, {
          next: 'correct the pattern, or add allow_empty = True',
        });
      }
      return found;
    },
  }),
  define({
    name: 'package',
    parameters: [],
    extra: true,
    implementation: ([changes], { context }) => {
      if (context.targets === undefined) {
        throw new EvaluationError(
          'language/value',
          'package() stands in a file that is only included',
          'call it in the BUILD file',
        );
      }
      if (context.targets.size > 0) {
        throw new EvaluationError('language/value', 'package() comes after a target', 'move it to the top of the file');
      }
      for (const name of (changes as Dict).keys()) {
        if (context.config.has(name.toUpperCase())) continue;
        const near = nearest(
          name,
          [...context.config.keys()].map((key) => key.toLowerCase()),
        );
        throw new EvaluationError(
          'language/argument',
          `package has no argument ${name}`,
          near && `did you mean ${near}?`,
        );
      }
      context.config = overlaidConfig(context.config, changes as Dict);
      return null;
    },
  }),
  ...['package_name', 'get_base_path'].map((name) =>
    define({ name, parameters: [label], implementation: ([of], { context }) => packageOfLabel(of!, context) }),
  ),
  define({ name: 'subrepo_name', parameters: [label], implementation: () => '' }),
  define({
    name: 'canonicalise',
    parameters: [{ name: 'label', type: 'str' }],
    implementation: ([text], { context }) => canonical(text as string, context),
  }),
  define({
    name: 'looks_like_build_label',
    parameters: [{ name: 'label', type: 'str' }],
    implementation: ([text]) => looksLikeLabel(text as string),
  }),
  define({
    name: 'tag',
    parameters: [
      { name: 'name', type: 'str' },
      { name: 'tag', type: 'str' },
    ],
    implementation: ([name, tag]) => taggedName(name as string, tag as string),
  }),
  define({
    name: 'subinclude',
    parameters: [{ name: 'target', type: 'str|list' }],
    rest: true,
    implementation: (args, call) => {
      for (const each of args.flatMap((arg) => stringsOf('target', arg))) {
        call.importNames(guarded(each, () => call.context.subinclude(each, call)));
      }
      return null;
    },
  }),
  define({
    name: 'load',
    parameters: [{ name: 'target', type: 'str' }],
    rest: true,
    implementation: ([target, ...names], call) => {
      const all = guarded(target as string, () => call.context.subinclude(target as string, call));
      const wanted = names.flatMap((name) => stringsOf('names', name));
      const chosen = wanted.map((name): [string, Value] => {
        const value = all.get(name);
        if (value !== undefined) return [name, value];
        const near = nearest(name, all.keys());
        throw new EvaluationError(
          'language/name',
          `${target} has nothing named ${name}`,
          near && `did you mean ${near}?`,
        );
      });
      call.importNames(new Map(chosen));
      return null;
    },
  }),
  define({
    name: 'read_json',
    parameters: [{ name: 'path', type: 'str' }],
    implementation: ([path], { context }) => readJson(path as string, context),
  }),
  define({
    name: 'get_labels',
    parameters: [
      { name: 'name', type: 'str' },
      { name: 'prefix', type: 'str' },
      { name: 'all', type: 'bool', fallback: false },
      { name: 'transitive', type: 'bool', fallback: null },
    ],
    implementation: ([name, prefix], call) => labelsWithPrefix(name as string, prefix as string, call),
  }),
  define({
    name: 'has_label',
    parameters: [
      { name: 'name', type: 'str' },
      { name: 'prefix', type: 'str' },
      { name: 'all', type: 'bool', fallback: false },
    ],
    implementation: ([name, prefix], call) => labelsWithPrefix(name as string, prefix as string, call).length > 0,
  }),
  define({
    name: 'join_path',
    parameters: [],
    rest: true,
    implementation: (parts) => joinPath(parts.flatMap((part) => stringsOf('paths', part))),
  }),
  define({
    name: 'basename',
    parameters: [{ name: 'p', type: 'str' }],
    implementation: ([path]) => lastPart(path as string),
  }),
  define({
    name: 'dirname',
    parameters: [{ name: 'p', type: 'str' }],
    implementation: ([path]) => parentPath(path as string),
  }),
  define({
    name: 'split_path',
    parameters: [{ name: 'p', type: 'str' }],
    implementation: ([path]) => [parentPath(path as string), lastPart(path as string)],
  }),
  define({
    name: 'splitext',
    parameters: [{ name: 'p', type: 'str' }],
    implementation: ([path]) => {
      const dot = (path as string).lastIndexOf('.');
      return dot <= 0 ? [path!, ''] : [(path as string).slice(0, dot), (path as string).slice(dot)];
    },
  }),
];

/** `log.warning("...")`: what is worth a person's attention is said, the rest is not. */
export function logFunctions(): Dict {
  const silent = ['debug', 'info'];
  const entries = ['debug', 'info', 'notice', 'warning', 'error', 'fatal'].map((level): [string, NativeFunction] => [
    level,
    defineFunction<EvaluationContext>({
      name: `log.${level}`,
      parameters: [{ name: 'message', type: 'str' }],
      rest: true,
      implementation: ([message, ...values], call) => {
        const text = values.reduce<string>(
          (so, value) => so.replace(/%[sdvqr]/, () => display(value)),
          message as string,
        );
        if (level === 'fatal') throw new EvaluationError('language/fail', text);
        if (silent.includes(level)) return null;
        const { file, line } = call.place();
        call.context.say(`${level}: ${text} (${file}:${line})`);
        return null;
      },
    }),
  ]);
  return new Map(entries);
}

function checkedPattern(pattern: string): string {
  if (pattern.startsWith('/') || pattern.split('/').includes('..')) {
    throw new ArgumentFault(
      new GraphFault('graph/bad-target', `the pattern ${JSON.stringify(pattern)} leads out of the package`, {
        next: 'name files of this package; those of others come as targets',
      }),
      pattern,
    );
  }
  return pattern;
}

function guarded<T>(literal: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw error instanceof GraphFault && error.place === undefined ? new ArgumentFault(error, literal) : error;
  }
}

function canonical(text: string, context: EvaluationContext): string {
  return guarded(text, () => parseLabel(text, context.package));
}

function packageOfLabel(of: Value, context: EvaluationContext): string {
  return typeof of === 'string' ? splitLabel(parseLabel(of, context.package)).package : context.package;
}

function readJson(path: string, context: EvaluationContext): Value {
  const resolved = path.startsWith('/') ? undefined : resolvePath('', path);
  if (resolved === undefined) {
    throw new ArgumentFault(
      new GraphFault('graph/bad-target', `${JSON.stringify(path)} leads out of the package`, {
        next: 'read a file of this package',
      }),
      path,
    );
  }
  const full = childPath(context.package, resolved);
  const text = readText(context.tree, full);
  if (text === undefined) {
    throw new ArgumentFault(
      new GraphFault('graph/missing-source', `there is no file ${full}`, { next: 'create it, or correct the path' }),
      path,
    );
  }
  return jsonFile(full, text);
}

function labelsWithPrefix(name: string, prefix: string, { context }: BuildCall): string[] {
  const target: Target | undefined = context.targets?.get(name.replace(/^:/, ''));
  if (target === undefined) {
    throw new EvaluationError(
      'language/value',
      `this package has no target ${name} so far`,
      'ask for labels below the rule that gives them',
    );
  }
  return target.labels.filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length));
}

/** As Go's path.Join: empty parts fall away, `.` and `..` are resolved. */
function joinPath(parts: readonly string[]): string {
  const joined = parts.filter((part) => part !== '').join('/');
  if (joined === '') return '';
  const absolute = joined.startsWith('/');
  const result: string[] = [];
  for (const part of joined.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && result.length > 0 && result.at(-1) !== '..') result.pop();
    else if (part !== '..' || !absolute) result.push(part);
  }
  return (absolute ? '/' : '') + (result.join('/') || (absolute ? '' : '.'));
}
