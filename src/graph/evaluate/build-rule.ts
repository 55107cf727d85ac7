import {
  defineFunction,
  FunctionValue,
  type NativeParameter,
  sortedKeys,
  toJson,
  typeOf,
  type Value,
} from '../../language/index.ts';
import { ArgumentFault, GraphFault } from '../fault.ts';
import {
  checkTargetName,
  formatPattern,
  type LabelScope,
  labelOf,
  parsePattern,
  patternMatches,
} from '../names/label.ts';
import { defaultTimeouts, secondsOfText } from '../timeouts.ts';
import type { Action, Input, Inputs, Json, Secrets, Stamp, Target, Test } from '../types.ts';
import { checkedSum } from '../workspace/sums.ts';
import type { BuildCall, EvaluationContext } from './context.ts';
import { placedAt } from './define.ts';
import { inputsOf, labelsOf, namedLists, outputsOf, stringsOf, systemPath } from './inputs.ts';

/** Runs of a test that is just called flaky, as in Please. */
const defaultAttempts = 3;

type Parameter = NativeParameter<EvaluationContext>;

function optional(name: string, type: string, ...aliases: string[]): Parameter {
  return { name, type, aliases, fallback: null };
}

function fromConfig(name: string, type: string, key: string): Parameter {
  return { name, type, fallback: (context) => context.config.get(key) ?? null };
}

/** Please's arguments by their names there, and this product's own: `action`, `config`, `content`, `_filegroup`. */
const parameters = [
  { name: 'name', type: 'str' },
  optional('cmd', 'str|dict'),
  optional('test_cmd', 'str|dict'),
  optional('srcs', 'list|dict'),
  optional('data', 'list|dict'),
  optional('outs', 'list|dict'),
  optional('out', 'str'),
  optional('deps', 'list'),
  optional('exported_deps', 'list'),
  optional('runtime_deps', 'list'),
  optional('internal_deps', 'list'),
  optional('tools', 'str|list|dict'),
  optional('test_tools', 'str|list|dict'),
  optional('labels', 'list', 'features', 'tags'),
  fromConfig('visibility', 'list', 'DEFAULT_VISIBILITY'),
  optional('hashes', 'list'),
  { name: 'binary', type: 'bool', fallback: false },
  { name: 'test', type: 'bool', fallback: false },
  { ...fromConfig('test_only', 'bool', 'DEFAULT_TESTONLY'), aliases: ['testonly'] },
  optional('building_description', 'str'),
  { name: 'needs_transitive_deps', type: 'bool', fallback: false },
  { name: 'output_is_complete', type: 'bool', fallback: false },
  fromConfig('sandbox', 'bool', 'BUILD_SANDBOX'),
  fromConfig('test_sandbox', 'bool', 'TEST_SANDBOX'),
  { name: 'no_test_output', type: 'bool', fallback: false },
  { name: 'flaky', type: 'bool|int', fallback: 0 },
  optional('build_timeout', 'int|str', 'timeout'),
  optional('test_timeout', 'int|str'),
  optional('requires', 'list'),
  optional('provides', 'dict'),
  optional('pass_env', 'list'),
  optional('env', 'dict'),
  { name: 'tag', type: 'str', fallback: '' },
  optional('action', 'str'),
  optional('config', 'dict'),
  optional('content', 'str', '_file_content'),
  { name: '_filegroup', type: 'bool', fallback: false },
  fromConfig('licences', 'list', 'DEFAULT_LICENCES'),
  optional('entry_points', 'dict'),
  optional('pre_build', 'function'),
  optional('post_build', 'function'),
  optional('size', 'str'),
  { name: 'local', type: 'bool', fallback: false },
  { name: 'progress', type: 'bool', fallback: false },
  optional('exit_on_error', 'bool'),
  optional('secrets', 'list|dict'),
  optional('output_dirs', 'list'),
  optional('optional_outs', 'list'),
  optional('test_outputs', 'list'),
  optional('system_srcs', 'list'),
  { name: 'stamp', type: 'bool', fallback: false },
  { name: 'src_list_files', type: 'bool', fallback: false },
  { name: 'runtime_deps_from_srcs', type: 'bool', fallback: false },
  { name: 'runtime_deps_from_deps', type: 'bool', fallback: false },
  optional('test_cmd_args_placeholder', 'str'),
  // Words about a target that nothing here reads: they change neither its outputs nor how it is built.
  optional('debug_cmd', 'str'),
  optional('debug_data', 'list|dict'),
  optional('debug_tools', 'str|list|dict'),
  { name: 'no_test_coverage', type: 'bool', fallback: false },
  { name: '_subrepo', type: 'bool', fallback: false },
  // Arguments of Please that would change what is built. A rule that uses them is told so.
  ...unsupportedParameters(),
] as const satisfies readonly Parameter[];

function unsupportedParameters(): Parameter[] {
  return [optional('_urls', 'list')];
}

const unsupported = new Set(unsupportedParameters().map(({ name }) => name));

/** `build_rule`: the one function that makes targets; every rule ends here. Returns `:name`. */
export const buildRule = defineFunction<EvaluationContext>({
  name: 'build_rule',
  documentation:
    'Makes a target, and gives its label `:name`. Every rule ends here; `genrule` says what most of the arguments mean.',
  parameters,
  implementation: (args, call) => {
    try {
      const target = createTarget(new Arguments(args) as unknown as Given, call);
      return `:${target.name}`;
    } catch (error) {
      throw placedAt(error, call);
    }
  },
});

type Given = Readonly<Record<string, Value>>;

/** Arguments by their names: a view, since an object with fifty keys made for each target would cost more than all else. */
class Arguments {
  readonly values: readonly Value[];
  constructor(values: readonly Value[]) {
    this.values = values;
  }
}
parameters.forEach(({ name }, index) => {
  Object.defineProperty(Arguments.prototype, name, {
    get(this: Arguments) {
      return this.values[index]!;
    },
  });
});

function createTarget(given: Given, call: BuildCall): Target {
  const { context } = call;
  const name = taggedName(given.name as string, given.tag as string);
  checkTargetName(name);
  if (context.targets === undefined) {
    throw new GraphFault('graph/bad-target', `${name} would be made by a file that is only included`, {
      next: 'make targets in BUILD files, or put the call into a function that these call',
    });
  }
  refuseUnsupported(given);
  const before = context.targets.get(name);
  if (before !== undefined) {
    throw new GraphFault('graph/duplicate-target', `two targets of this package are named ${name}`, {
      related: [{ message: 'the first one', place: before.place }],
      next: 'give one of them another name',
    });
  }
  const packageName = context.package;
  const { name: rule, place } = call.outermost();
  const outs = outputsOf('outs', given.outs!);
  const out = given.out === null ? [] : outputsOf('out', given.out!).all;
  if (out.length > 0 && outs.all.length > 0) {
    throw new GraphFault('graph/bad-target', 'both out and outs are given', { next: 'put all of them into outs' });
  }
  const requires = stringsOf('requires', given.requires!);
  // What a group of files groups can be made elsewhere, and what is behind `output_dirs` shows once it is built.
  const open = given._filegroup === true || !isEmpty(given.output_dirs!);
  const made = open ? undefined : out.length > 0 ? out : outs.all;
  const entryPoints = entryPointsOf(given.entry_points!, made);
  const licences = stringsOf('licences', given.licences!);
  const data = inputsOf('data', given.data!, context, 'file');
  const srcs = inputsOf('srcs', given.srcs!, context, 'file');
  const deps = labelsOf('deps', given.deps!, context);
  const runtime = [
    ...labelsOf('runtime_deps', given.runtime_deps!, context),
    ...(given.runtime_deps_from_srcs === true
      ? srcs.all.flatMap((src) => (src.kind === 'label' ? [src.label] : []))
      : []),
    ...(given.runtime_deps_from_deps === true ? deps : []),
  ].map((label): Input => ({ kind: 'label', label }));
  const isTest = given.test === true;
  const description = given.building_description;
  const target: Target = {
    label: labelOf(packageName, name),
    package: packageName,
    name,
    rule,
    place,
    ...(typeof description === 'string' && { description }),
    srcs: withSystemFiles(inputsOf('srcs', given.srcs!, context, 'file'), given),
    tools: inputsOf('tools', given.tools!, context, 'program'),
    data:
      runtime.length === 0 ? data : Object.freeze({ all: Object.freeze([...data.all, ...runtime]), named: data.named }),
    deps: withMore(deps, labelsOf('internal_deps', given.internal_deps!, context)),
    exportedDeps: labelsOf('exported_deps', given.exported_deps!, context),
    outs: out.length > 0 ? out : outs.all,
    namedOuts: withEntryPoints(outs.named, entryPoints),
    action: actionOf(given, context),
    env: environmentOf(given.env!, configurationNamed(given, context)),
    passEnv: Object.freeze([...new Set([...context.passEnv, ...stringsOf('pass_env', given.pass_env!)])]),
    labels: Object.freeze([
      ...new Set([
        ...stringsOf('labels', given.labels!),
        ...requires,
        ...(given.size === '' ? [] : stringsOf('size', given.size!)),
        // As in Please, these can be asked for: --include flaky.
        ...(given.binary === true ? ['bin'] : []),
        ...(isTest && attemptsOf(given.flaky!) > 1 ? ['flaky'] : []),
      ]),
    ]),
    visibility: visibilityOf(given.visibility!, context),
    testOnly: given.test_only === true || isTest,
    binary: given.binary === true,
    needsTransitiveDeps: given.needs_transitive_deps === true,
    outputIsComplete: given.output_is_complete === true,
    requires: Object.freeze([...requires]),
    provides: providesOf(given.provides!, context),
    hashes: Object.freeze(stringsOf('hashes', given.hashes!).map((sum) => checkedSum(sum, context.sums))),
    sandbox: given.sandbox !== false,
    timeout: timeoutOf('build_timeout', given, context),
    test: isTest ? testOf(given, context) : undefined,
    ...(licences.length > 0 && { licences: Object.freeze([...licences]) }),
    ...(entryPoints !== undefined && { entryPoints }),
    ...(given.cmd instanceof Map && { commands: commandsOf(given.cmd) }),
    ...rarelyGiven(given, context),
  };
  checkTestOutputs(target, context.targets);
  checkSandbox(target, context);
  context.targets.set(name, Object.freeze(target));
  if (given.pre_build instanceof FunctionValue) context.preBuild.set(target.label, given.pre_build);
  if (given.post_build instanceof FunctionValue)
    context.postBuild.set(target.label, postBuildOf(given.post_build, given));
  return target;
}

function postBuildOf(callee: FunctionValue, given: Given): FunctionValue {
  if (given._filegroup === true) {
    throw new GraphFault('graph/bad-target', 'a group of files runs nothing that a post_build function could follow', {
      next: 'leave post_build out',
    });
  }
  const needed = callee.parameters.filter(({ optional }) => !optional).length;
  if (callee.parameters.length > 0 && needed <= 2) return callee;
  throw new GraphFault('graph/bad-target', `the function post_build takes ${needed} arguments`, {
    next: "let it take two: the target's name, and the lines that its command printed",
  });
}

/** Names for single outputs that are programs: `//a:b|name` is one of them. */
function entryPointsOf(value: Value, outs: readonly string[] | undefined): Target['entryPoints'] {
  if (!(value instanceof Map) || value.size === 0) return undefined;
  const points = sortedKeys(value).map((name): [string, string] => {
    const { all } = outputsOf(`entry_points[${JSON.stringify(name)}]`, value.get(name)!);
    const [out] = all;
    if (out === undefined || all.length > 1 || (outs !== undefined && !isMade(out, outs))) {
      throw new GraphFault('graph/bad-target', `the entry point ${name} must be one of the outputs`, {
        next: !outs?.length ? 'name one file that is' : `name one of ${outs.join(', ')}, or a file inside of one`,
      });
    }
    return [name, out];
  });
  return Object.freeze(Object.fromEntries(points));
}

/** Whether a path is an output, or lies in one that is a folder. */
function isMade(path: string, outs: readonly string[]): boolean {
  return outs.some((out) => path === out || path.startsWith(`${out}/`));
}

/** An entry point is taken as outputs of its name are. */
export function withEntryPoints(named: Target['namedOuts'], points: Target['entryPoints']): Target['namedOuts'] {
  if (points === undefined) return named;
  const more = Object.entries(points).map(([name, out]) => [name, Object.freeze([out])]);
  return Object.freeze({ ...Object.fromEntries(more), ...named });
}

function commandsOf(value: ReadonlyMap<string, Value>): Readonly<Record<string, string>> {
  return Object.freeze(
    Object.fromEntries([...value].filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
  );
}

function withMore<T>(list: readonly T[], more: readonly T[]): readonly T[] {
  return more.length === 0 ? list : Object.freeze([...list, ...more]);
}

/** Internal parts of a rule: `_name#tag`. */
export function taggedName(name: string, tag: string): string {
  if (tag === '') return name;
  if (name.startsWith('_') && name.includes('#')) return `${name}_${tag}`;
  return `_${name}#${tag}`;
}

function refuseUnsupported(given: Given): void {
  for (const name of unsupported) {
    if (isEmpty(given[name]!)) continue;
    throw new GraphFault('graph/bad-target', `the argument ${name} of build_rule is not supported`, {
      next: `leave ${name} out`,
    });
  }
}

/** What a rule gives that wants nothing. */
function isEmpty(value: Value): boolean {
  return (
    value === null ||
    value === false ||
    value === '' ||
    (Array.isArray(value) && value.length === 0) ||
    (value instanceof Map && value.size === 0)
  );
}

/** Arguments that mean something to commands alone. */
const forCommands = ['secrets', 'stamp', 'src_list_files', 'output_dirs', 'optional_outs'];

function actionOf(given: Given, context: EvaluationContext): Action {
  const kinds = [
    given.cmd !== null && given.cmd !== '' ? 'cmd' : undefined,
    given.action !== null ? 'action' : undefined,
    given.content !== null ? 'content' : undefined,
    given._filegroup === true ? '_filegroup' : undefined,
  ].filter((kind) => kind !== undefined);
  if (kinds.length > 1)
    throw new GraphFault('graph/bad-target', `${kinds.join(' and ')} are given together`, { next: 'give one of them' });
  const [kind] = kinds;
  for (const argument of kind === undefined || kind === 'cmd' ? [] : forCommands) {
    // Functions of this program are told of the commit as commands are.
    if (isEmpty(given[argument]!) || (argument === 'stamp' && kind === 'action')) continue;
    throw new GraphFault('graph/bad-target', `${argument} is given, but ${kind} in place of a command`, {
      next: `leave ${argument} out`,
    });
  }
  if (given.action === null && given.config !== null) {
    throw new GraphFault('graph/bad-target', 'config is given without action', {
      next: 'name the action that reads it',
    });
  }
  switch (kind) {
    case 'action':
      return Object.freeze({
        kind: 'builtin',
        name: given.action as string,
        config: frozenJson(toJson(given.config ?? null)),
      });
    case 'content':
      return Object.freeze({ kind: 'text', content: given.content as string });
    case '_filegroup':
      return Object.freeze({ kind: 'filegroup' });
    default:
      return Object.freeze({ kind: 'shell', command: commandOf('cmd', given.cmd!, context) });
  }
}

function frozenJson(json: Json): Json {
  if (json !== null && typeof json === 'object') {
    for (const value of Object.values(json)) frozenJson(value as Json);
    Object.freeze(json);
  }
  return json;
}

/**
 * The configuration that commands are chosen by where a rule has several: CONFIG.BUILD_CONFIG, and `opt` where it gives none
 * for that.
 */
export function commandOf(argument: string, value: Value, { config }: EvaluationContext, wanted = ''): string {
  if (value === null) return '';
  if (!(value instanceof Map)) return value as string;
  const configuration = wanted || String(config.get('BUILD_CONFIG') ?? 'opt');
  const command = value.get(configuration) ?? value.get('opt');
  if (typeof command !== 'string') {
    throw new GraphFault('graph/bad-target', `${argument} has no command for the configuration ${configuration}`, {
      next: `add the key ${JSON.stringify(configuration)}`,
    });
  }
  return command;
}

function attemptsOf(flaky: Value): number {
  return flaky === true ? defaultAttempts : flaky === false ? 1 : Math.max(1, flaky as number);
}

function testOf(given: Given, context: EvaluationContext): Test {
  return Object.freeze({
    // Tests are run without arguments of a person's.
    command: given.test_cmd_args_placeholder
      ? commandOf('test_cmd', given.test_cmd!, context).replaceAll(given.test_cmd_args_placeholder as string, '')
      : commandOf('test_cmd', given.test_cmd!, context),
    timeout: timeoutOf('test_timeout', given, context) ?? defaultTimeouts.test,
    attempts: attemptsOf(given.flaky!),
    tools: inputsOf('test_tools', given.test_tools!, context, 'program'),
    noOutput: given.no_test_output === true,
    sandbox: given.test_sandbox !== false,
    ...(!isEmpty(given.test_outputs!) && { outputs: outputsOf('test_outputs', given.test_outputs!).all }),
  });
}

/**
 * Seconds, the name of a size, or a text such as `90s`, `5m`, `1h30m`; where the argument gives none (0 is none too), what
 * `size` says, and else the workspace.
 */
function timeoutOf(
  argument: 'build_timeout' | 'test_timeout',
  given: Given,
  { timeouts }: EvaluationContext,
): number | undefined {
  const sizeNamed = (name: string) => (Object.hasOwn(timeouts.sizes, name) ? timeouts.sizes[name] : undefined);
  const { size, [argument]: value } = given;
  if (typeof size === 'string' && size !== '' && sizeNamed(size) === undefined) {
    throw new GraphFault('graph/bad-target', `there is no size ${JSON.stringify(size)}`, {
      next: `name one of ${Object.keys(timeouts.sizes).join(', ')}`,
    });
  }
  if (value === null || value === 0 || value === '') {
    if (typeof size === 'string' && size !== '') return sizeNamed(size);
    const kind = argument === 'build_timeout' ? 'build' : 'test';
    return timeouts[kind] === defaultTimeouts[kind] ? undefined : timeouts[kind];
  }
  const seconds = typeof value === 'string' ? (sizeNamed(value) ?? secondsOfText(value)) : value;
  if (typeof seconds === 'number' && seconds > 0) return seconds;
  throw new GraphFault('graph/bad-target', `${argument} is ${JSON.stringify(value)}, which is no length of time`, {
    next: 'give seconds, or a text such as "90s" or "5m"',
  });
}

/** Files of the system come behind the other sources. */
function withSystemFiles(srcs: Inputs, given: Given): Inputs {
  const files = stringsOf('system_srcs', given.system_srcs!).map((text): Input => {
    const path = systemPath('system_srcs', text);
    return Object.freeze({ kind: 'system', path });
  });
  if (files.length === 0) return srcs;
  if (given._filegroup === true) {
    throw new GraphFault('graph/bad-target', 'a group of files takes no files of the system', {
      next: 'copy them with a command',
    });
  }
  return Object.freeze({ all: Object.freeze([...srcs.all, ...files]), named: srcs.named });
}

function secretsOf(value: Value): Secrets {
  const paths = (texts: readonly string[]) => Object.freeze(texts.map((text) => systemPath('secrets', text)));
  if (!(value instanceof Map)) return Object.freeze({ all: paths(stringsOf('secrets', value)), named: noNames });
  const named = namedLists('secrets', value).map(([name, texts]) => [name, paths(texts)] as const);
  return Object.freeze({
    all: Object.freeze(named.flatMap(([, all]) => all)),
    named: Object.freeze(Object.fromEntries(named)),
  });
}

const noNames = Object.freeze({});

/** What few targets have, and others have no field for. */
function rarelyGiven(given: Given, context: EvaluationContext): Partial<Target> {
  const isTest = given.test === true;
  // `package()` may have changed what .plzconfig says.
  const usual = context.config.get('EXIT_ON_ERROR') === false ? false : context.exitOnError === true || null;
  const exitOnError = given.exit_on_error ?? usual;
  const internalDeps = labelsOf('internal_deps', given.internal_deps!, context);
  return {
    ...(internalDeps.length > 0 && { internalDeps }),
    ...(!isEmpty(given.output_dirs!) && { outputDirs: outputDirsOf(given.output_dirs!) }),
    ...(!isEmpty(given.optional_outs!) && {
      optionalOuts: outputsOf('optional_outs', given.optional_outs!).all,
    }),
    ...(!isEmpty(given.secrets!) && { secrets: secretsOf(given.secrets!) }),
    ...(given.stamp === true && { stamp: stampOf(context) }),
    ...(given.src_list_files === true && { srcListFiles: true }),
    // Actions end at an error anyway; that tests do has to be said.
    ...(typeof exitOnError === 'boolean' && (isTest || !exitOnError) && { exitOnError }),
    ...(given.local === true && { local: true }),
    ...(given.progress === true && { progress: true }),
  };
}

/** Folders, relative to where the action runs; `/**` behind one stays. */
function outputDirsOf(value: Value): readonly string[] {
  return Object.freeze(
    stringsOf('output_dirs', value).map((text) => {
      const [folder = ''] = outputsOf('output_dirs', text.replace(/\/\*\*$/, '')).all;
      if (folder.includes('*')) {
        throw new ArgumentFault(
          new GraphFault('graph/bad-target', `output_dirs has ${JSON.stringify(text)}, which is no folder`, {
            next: 'name the folder; behind it /** makes each file in it an output, however deep',
          }),
          text,
        );
      }
      return text.endsWith('/**') ? `${folder}/**` : folder;
    }),
  );
}

/** A workspace can say which targets may do without the sandbox. */
function checkSandbox(target: Target, { unconfinedTargets }: EvaluationContext): void {
  if (unconfinedTargets.length === 0 || target.action.kind === 'filegroup') return;
  if (target.sandbox && target.test?.sandbox !== false) return;
  if (unconfinedTargets.some((pattern) => patternMatches(pattern, target.label))) return;
  throw new GraphFault('graph/bad-target', `${target.label} may not do without the sandbox`, {
    next: `leave sandbox = False out, or let excludeabletargets of .plzconfig have it; it has ${unconfinedTargets.map(formatPattern).join(', ')}`,
  });
}

/** Tests of a package leave their files in one folder. */
function checkTestOutputs({ label, name, test }: Target, others: ReadonlyMap<string, Target>): void {
  for (const out of test?.outputs ?? []) {
    if (out === `${name}.xml`) {
      throw new ArgumentFault(
        new GraphFault('graph/output-clash', `test_outputs of ${label} has ${out}, which is the name of its results`, {
          next: 'give the file another name',
        }),
        out,
      );
    }
    for (const other of others.values()) {
      if (other.test?.outputs?.includes(out) !== true) continue;
      throw new ArgumentFault(
        new GraphFault('graph/output-clash', `${other.label} and ${label} both leave ${out} behind`, {
          related: [{ message: `${other.label} does it here`, place: other.place }],
          next: 'give one of the files another name',
        }),
        out,
      );
    }
  }
}

/** The target becomes another one with each commit. */
function stampOf(context: EvaluationContext): Stamp {
  const { revision, describe, date } = context.history().stamp();
  return Object.freeze({ revision, describe, date });
}

/**
 * Variables for all actions, with the name of the build configuration where a command asks for it: for every target, it would be
 * another one with each configuration.
 */
function configurationNamed(given: Given, { env, config }: EvaluationContext): Readonly<Record<string, string>> {
  const commands = [given.cmd!, given.test_cmd!].flatMap((each) => (each instanceof Map ? [...each.values()] : [each]));
  const asks = commands.some((each) => typeof each === 'string' && /\$\{?(?:BUILD_)?CONFIG\b/.test(each));
  const name = config.get('BUILD_CONFIG');
  return asks && typeof name === 'string' ? { BUILD_CONFIG: name, CONFIG: name, ...env } : env;
}

function environmentOf(value: Value, shared: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (!(value instanceof Map) || value.size === 0) return shared;
  return Object.freeze({
    ...shared,
    ...Object.fromEntries(
      sortedKeys(value).map((name) => {
        const text = value.get(name)!;
        if (typeof text !== 'string') {
          throw new GraphFault('graph/bad-target', `env has ${typeOf(text)} for ${name}, which must be a string`);
        }
        if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
          throw new GraphFault(
            'graph/bad-target',
            `env has ${JSON.stringify(name)}, which can't be the name of a variable`,
          );
        }
        return [name, text];
      }),
    ),
  });
}

function visibilityOf(value: Value, scope: LabelScope): readonly string[] {
  return Object.freeze(
    stringsOf('visibility', value).map((text) => {
      if (text === 'PUBLIC' || text === '//visibility:public') return 'PUBLIC';
      try {
        return formatPattern(parsePattern(text, scope));
      } catch (error) {
        if (!(error instanceof GraphFault)) throw error;
        throw new ArgumentFault(
          new GraphFault('graph/bad-target', `visibility has ${JSON.stringify(text)}, which is no pattern of labels`, {
            next: 'write "PUBLIC", "//package/..." or "//package:all"',
          }),
          text,
        );
      }
    }),
  );
}

function providesOf(value: Value, scope: LabelScope): Target['provides'] {
  if (!(value instanceof Map) || value.size === 0) return noProvides;
  return Object.freeze(
    Object.fromEntries(
      sortedKeys(value).map((kind) => [kind, labelsOf(`provides[${JSON.stringify(kind)}]`, value.get(kind)!, scope)]),
    ),
  );
}

const noProvides: Target['provides'] = Object.freeze({});
