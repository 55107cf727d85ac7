import { hash } from 'node:crypto';
import { nearest } from '../../fault/index.ts';
import {
  type Dict,
  defineFunction,
  display,
  EvaluationError,
  type NativeFunction,
  type Value,
} from '../../language/index.ts';
import { ArgumentFault, GraphFault } from '../fault.ts';
import { jsonFile, readText } from '../files/data-file.ts';
import { globFiles } from '../files/glob.ts';
import type { SourceTree } from '../files/tree.ts';
import { labelOf, looksLikeLabel, parseLabel, splitLabel } from '../names/label.ts';
import { childPath, lastPart, parentPath, resolvePath } from '../paths.ts';
import { buildRule, taggedName } from './build-rule.ts';
import { overlaidConfig } from './config.ts';
import type { EvaluationContext } from './context.ts';
import { define } from './define.ts';
import { gitFunctions } from './git-functions.ts';
import { stringsOf } from './inputs.ts';
import { select } from './select.ts';
import { subrepo } from './subrepo.ts';
import { targetFunctions } from './target-functions.ts';

const label = { name: 'label', type: 'str', fallback: null } as const;
/** Whether a file of build_defs asks for itself; files are included per package here, so that both are the same. */
const subincludeContext = { name: 'subinclude_context', type: 'bool', fallback: null } as const;

/** The functions that BUILD files have beyond those of the language. */
export const buildFunctions: readonly NativeFunction[] = [
  buildRule,
  define({
    name: 'glob',
    documentation:
      'Files of this package that fit patterns with *, **, ? and [a-z], in the order of the patterns and then of names. A pattern of exclude without / fits names at any depth, and a folder all that is in it. Files whose names begin with a dot are left out unless hidden is set, folders that are packages of their own always.',
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
    documentation:
      'Changes CONFIG for the rest of this BUILD file: package(default_visibility = ["PUBLIC"]). Comes before all targets.',
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
    define({
      name,
      documentation: 'Path of this package, or of that of a label, in its repository.',
      parameters: [label, subincludeContext],
      implementation: ([of], { context }) => packageOfLabel(of!, context),
    }),
  ),
  define({
    name: 'subrepo_name',
    documentation:
      'Name of the subrepo that this package, or that of a label, belongs to; empty in the workspace itself.',
    parameters: [label, subincludeContext],
    implementation: ([of], { context }) => context.repositoryOf(fullPackageOf(of!, context)).name,
  }),
  define({
    name: 'workspace_label',
    documentation:
      "A label's full form in the workspace, whichever repository it is written in: what built-in actions take.",
    parameters: [{ name: 'label', type: 'str' }],
    implementation: ([text], { context }) => guarded(text as string, () => parseLabel(text as string, context)),
  }),
  define({
    name: 'canonicalise',
    documentation: 'The full form of a label: //package:name.',
    parameters: [{ name: 'label', type: 'str' }, subincludeContext],
    implementation: ([text], { context }) => canonical(text as string, context),
  }),
  define({
    name: 'decompose',
    documentation: 'The package and the name of a label.',
    parameters: [{ name: 'label', type: 'str' }],
    implementation: ([text], { context }) => {
      const full = guarded(text as string, () => parseLabel(text as string, context));
      const { package: packageName, name } = splitLabel(full);
      return [insideRepository(packageName, context), name];
    },
  }),
  define({
    name: 'looks_like_build_label',
    documentation: 'Whether a text is written as a label.',
    parameters: [{ name: 'label', type: 'str' }],
    implementation: ([text]) => looksLikeLabel(text as string),
  }),
  define({
    name: 'tag',
    documentation: 'Name of an internal target of a rule: _name#tag.',
    parameters: [
      { name: 'name', type: 'str' },
      { name: 'tag', type: 'str' },
    ],
    implementation: ([name, tag]) => taggedName(name as string, tag as string),
  }),
  define({
    name: 'subinclude',
    documentation: 'Makes the names of files of build_defs known: a filegroup of them, or a file itself.',
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
    documentation: 'Makes some names of a file of build_defs known.',
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
    documentation: 'The value in a JSON file of this package.',
    parameters: [{ name: 'path', type: 'str' }],
    implementation: ([path], { context }) => readJson(path as string, context),
  }),
  define({
    name: 'file_sha256',
    documentation: 'The SHA-256 sum of a file of this package, in hex: known before anything is built.',
    parameters: [{ name: 'path', type: 'str' }],
    implementation: ([path], { context }) => {
      const full = packageFile(path as string, context);
      const bytes = context.tree.read(full);
      if (bytes === undefined) throw noFile(full, path as string);
      return hash('sha256', bytes, 'hex');
    },
  }),
  define({
    name: 'join_path',
    documentation: 'Parts of a path joined, with . and .. resolved.',
    parameters: [],
    rest: true,
    implementation: (parts) => joinPath(parts.flatMap((part) => stringsOf('paths', part))),
  }),
  define({
    name: 'basename',
    documentation: 'The last part of a path.',
    parameters: [{ name: 'p', type: 'str' }],
    implementation: ([path]) => lastPart(path as string),
  }),
  define({
    name: 'dirname',
    documentation: 'A path without its last part.',
    parameters: [{ name: 'p', type: 'str' }],
    implementation: ([path]) => parentPath(path as string),
  }),
  define({
    name: 'split_path',
    documentation: 'A path without its last part, and that part.',
    parameters: [{ name: 'p', type: 'str' }],
    implementation: ([path]) => [parentPath(path as string), lastPart(path as string)],
  }),
  define({
    name: 'splitext',
    documentation: 'A path without its ending, and the ending with its dot.',
    parameters: [{ name: 'p', type: 'str' }],
    implementation: ([path]) => {
      const dot = (path as string).lastIndexOf('.');
      // As in Please, a dot at the start falls away.
      return dot <= 0
        ? [(path as string).slice(dot + 1), '']
        : [(path as string).slice(0, dot), (path as string).slice(dot)];
    },
  }),
  define({
    name: 'breakpoint',
    documentation: 'Stops nothing: it is let stand for the debugger of Please, and a warning says so.',
    parameters: [],
    implementation: (_, call) => {
      const { file, line } = call.place();
      call.context.say(`warning: breakpoint() is skipped (${file}:${line})`);
      return null;
    },
  }),
  select,
  subrepo,
  ...targetFunctions,
  ...gitFunctions,
];

/** `log.warning("...")`: what is worth a person's attention is said, the rest is not. */
export function logFunctions(): Dict {
  const silent = ['debug', 'info'];
  const entries = ['debug', 'info', 'notice', 'warning', 'error', 'fatal'].map((level): [string, NativeFunction] => [
    level,
    defineFunction<EvaluationContext>({
      name: `log.${level}`,
      parameters: [{ name: 'message' }],
      rest: true,
      implementation: ([message, ...values], call) => {
        const rest = [...values];
        const filled = display(message!).replace(/%(?:%|[-+# 0]*\d*(?:\.\d+)?[A-Za-z])/g, (verb) =>
          verb === '%%' && values.length > 0 ? '%' : rest.length === 0 ? verb : display(rest.shift()!),
        );
        const text = [filled, ...rest.map(display)].join(' ');
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

/** As it is written from anywhere in the same repository; `///name//...` for another one. */
function canonical(text: string, context: EvaluationContext): string {
  const { package: packageName, name } = splitLabel(guarded(text, () => parseLabel(text, context)));
  const { name: subrepoName, folder } = context.repositoryOf(packageName);
  const inside = labelOf(packageName.slice(folder === '' ? 0 : folder.length + 1), name);
  if (folder === context.root && context.root === '') return inside;
  return subrepoName === '' ? `@${inside}` : `///${subrepoName}${inside}`;
}

function fullPackageOf(of: Value, context: EvaluationContext): string {
  return typeof of === 'string' ? splitLabel(parseLabel(of, context)).package : context.package;
}

function packageOfLabel(of: Value, context: EvaluationContext): string {
  return insideRepository(fullPackageOf(of, context), context);
}

function insideRepository(packageName: string, context: EvaluationContext): string {
  const { folder } = context.repositoryOf(packageName);
  return packageName.slice(folder === '' ? 0 : folder.length + 1);
}

function readJson(path: string, context: EvaluationContext): Value {
  const full = packageFile(path, context);
  const text = readText(context.tree, full);
  if (text === undefined) throw noFile(full, path);
  // A lock is read by each rule that it holds something for. The value is frozen.
  let values = parsed.get(context.tree);
  if (values === undefined) {
    values = new Map();
    parsed.set(context.tree, values);
  }
  const known = values.get(full);
  if (known?.text === text) return known.value;
  const value = jsonFile(full, text);
  values.set(full, { text, value });
  return value;
}

const parsed = new WeakMap<SourceTree, Map<string, { readonly text: string; readonly value: Value }>>();

/** Path of a file of the package from the workspace's root. */
function packageFile(path: string, context: EvaluationContext): string {
  const resolved = path.startsWith('/') ? undefined : resolvePath('', path);
  if (resolved !== undefined) return childPath(context.package, resolved);
  throw new ArgumentFault(
    new GraphFault('graph/bad-target', `${JSON.stringify(path)} leads out of the package`, {
      next: 'read a file of this package',
    }),
    path,
  );
}

function noFile(full: string, path: string): ArgumentFault {
  return new ArgumentFault(
    new GraphFault('graph/missing-source', `there is no file ${full}`, { next: 'create it, or correct the path' }),
    path,
  );
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
