import {
  defineFunction,
  FunctionValue,
  type NativeParameter,
  sortedKeys,
  toJson,
  typeOf,
  type Value,
} from '../language/index.ts';
import type { BuildCall, EvaluationContext } from './context.ts';
import { placedAt } from './define.ts';
import { GraphFault } from './fault.ts';
import { ArgumentFault, inputsOf, labelsOf, outputsOf, stringsOf } from './inputs.ts';
import { checkTargetName, formatPattern, type LabelScope, labelOf, parsePattern } from './label.ts';
import type { Action, Input, Json, Target, Test } from './types.ts';

/** Seconds that a test may run unless told, as in Please. */
const defaultTestTimeout = 600;
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
  // Words about a target that nothing here reads: they change neither its outputs nor how it is built.
  optional('debug_cmd', 'str'),
  optional('debug_data', 'list|dict'),
  optional('debug_tools', 'str|list|dict'),
  { name: 'no_test_coverage', type: 'bool', fallback: false },
  optional('size', 'str'),
  { name: 'local', type: 'bool', fallback: false },
  { name: 'progress', type: 'bool', fallback: false },
  fromConfig('exit_on_error', 'bool', 'EXIT_ON_ERROR'),
  // Arguments of Please that would change what is built. A rule that uses them is told so.
  ...unsupportedParameters(),
] as const satisfies readonly Parameter[];

function unsupportedParameters(): Parameter[] {
  return [
    optional('secrets', 'list|dict'),
    optional('post_build', 'function'),
    optional('output_dirs', 'list'),
    optional('optional_outs', 'list'),
    optional('test_outputs', 'list'),
    optional('system_srcs', 'list'),
    { name: 'stamp', type: 'bool', fallback: false },
    { name: 'src_list_files', type: 'bool', fallback: false },
  ];
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
  const entryPoints = entryPointsOf(given.entry_points!, out.length > 0 ? out : outs.all);
  const licences = stringsOf('licences', given.licences!);
  const data = inputsOf('data', given.data!, context, 'file');
  const runtime = labelsOf('runtime_deps', given.runtime_deps!, context).map(
    (label): Input => ({ kind: 'label', label }),
  );
  const isTest = given.test === true;
  const description = given.building_description;
  const target: Target = {
    label: labelOf(packageName, name),
    package: packageName,
    name,
    rule,
    place,
    ...(typeof description === 'string' && { description }),
    srcs: inputsOf('srcs', given.srcs!, context, 'file'),
    tools: inputsOf('tools', given.tools!, context, 'program'),
    data:
      runtime.length === 0 ? data : Object.freeze({ all: Object.freeze([...data.all, ...runtime]), named: data.named }),
    deps: withMore(labelsOf('deps', given.deps!, context), labelsOf('internal_deps', given.internal_deps!, context)),
    exportedDeps: labelsOf('exported_deps', given.exported_deps!, context),
    outs: out.length > 0 ? out : outs.all,
    namedOuts: withEntryPoints(outs.named, entryPoints),
    action: actionOf(given, context),
    env: environmentOf(given.env!, context.env),
    passEnv: Object.freeze([...new Set([...context.passEnv, ...stringsOf('pass_env', given.pass_env!)])]),
    labels: Object.freeze([...new Set([...stringsOf('labels', given.labels!), ...requires])]),
    visibility: visibilityOf(given.visibility!, context),
    testOnly: given.test_only === true || isTest,
    binary: given.binary === true,
    needsTransitiveDeps: given.needs_transitive_deps === true,
    outputIsComplete: given.output_is_complete === true,
    requires: Object.freeze([...requires]),
    provides: providesOf(given.provides!, context),
    hashes: Object.freeze(stringsOf('hashes', given.hashes!).map(checkedSum)),
    sandbox: given.sandbox !== false,
    timeout: secondsOf('build_timeout', given.build_timeout!),
    test: isTest ? testOf(given, context) : undefined,
    ...(licences.length > 0 && { licences: Object.freeze([...licences]) }),
    ...(entryPoints !== undefined && { entryPoints }),
    ...(given.cmd instanceof Map && { commands: commandsOf(given.cmd) }),
  };
  if (!isTest && given.test_cmd !== null) {
    throw new GraphFault('graph/bad-target', 'test_cmd is given, but this is no test', { next: 'add test = True' });
  }
  context.targets.set(name, Object.freeze(target));
  if (given.pre_build instanceof FunctionValue) context.preBuild.set(target.label, given.pre_build);
  return target;
}

/** Names for single outputs that are programs: `//a:b|name` is one of them. */
function entryPointsOf(value: Value, outs: readonly string[]): Target['entryPoints'] {
  if (!(value instanceof Map) || value.size === 0) return undefined;
  const points = sortedKeys(value).map((name): [string, string] => {
    const { all } = outputsOf(`entry_points[${JSON.stringify(name)}]`, value.get(name)!);
    const [out] = all;
    if (out === undefined || all.length > 1 || !isMade(out, outs)) {
      throw new GraphFault('graph/bad-target', `the entry point ${name} must be one of the outputs`, {
        next: outs.length === 0 ? 'add it to outs' : `name one of ${outs.join(', ')}, or a file inside of one`,
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
    const value = given[name];
    const empty =
      value === null ||
      value === false ||
      value === '' ||
      (Array.isArray(value) && value.length === 0) ||
      (value instanceof Map && value.size === 0);
    if (!empty)
      throw new GraphFault('graph/bad-target', `the argument ${name} of build_rule is not supported`, {
        next: `leave ${name} out`,
      });
  }
}

function actionOf(given: Given, context: EvaluationContext): Action {
  const kinds = [
    given.cmd !== null && given.cmd !== '' ? 'cmd' : undefined,
    given.action !== null ? 'action' : undefined,
    given.content !== null ? 'content' : undefined,
    given._filegroup === true ? '_filegroup' : undefined,
  ].filter((kind) => kind !== undefined);
  if (kinds.length > 1)
    throw new GraphFault('graph/bad-target', `${kinds.join(' and ')} are given together`, { next: 'give one of them' });
  if (given.action === null && given.config !== null) {
    throw new GraphFault('graph/bad-target', 'config is given without action', {
      next: 'name the action that reads it',
    });
  }
  switch (kinds[0]) {
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

function testOf(given: Given, context: EvaluationContext): Test {
  const { flaky } = given;
  const attempts = flaky === true ? defaultAttempts : flaky === false ? 1 : Math.max(1, flaky as number);
  return Object.freeze({
    command: commandOf('test_cmd', given.test_cmd!, context),
    timeout: secondsOf('test_timeout', given.test_timeout!) ?? defaultTestTimeout,
    attempts,
    tools: inputsOf('test_tools', given.test_tools!, context, 'program'),
    noOutput: given.no_test_output === true,
    sandbox: given.test_sandbox !== false,
  });
}

/** Seconds, or a text such as `90s`, `5m`, `1h30m`; 0 is the default. */
function secondsOf(argument: string, value: Value): number | undefined {
  if (value === null || value === 0 || value === '') return undefined;
  if (typeof value === 'number' && value > 0) return value;
  const match = typeof value === 'string' ? /^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/.exec(value) : null;
  if (match === null) {
    throw new GraphFault('graph/bad-target', `${argument} is ${JSON.stringify(value)}, which is no length of time`, {
      next: 'give seconds, or a text such as "90s" or "5m"',
    });
  }
  const [hours, minutes, seconds] = [match[1], match[2], match[3]].map((part) => Number(part ?? 0));
  return hours! * 3600 + minutes! * 60 + seconds!;
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

function checkedSum(text: string): string {
  const sum = text.replace(/^sha256: ?/, '').toLowerCase();
  if (/^[0-9a-f]{64}$/.test(sum)) return sum;
  throw new ArgumentFault(
    new GraphFault('graph/bad-target', `hashes has ${JSON.stringify(text)}, which is no SHA-256 sum`, {
      next: 'write its 64 hexadecimal digits',
    }),
    text,
  );
}
