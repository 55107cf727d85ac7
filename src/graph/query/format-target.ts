import type { Input, Inputs, Json, Target } from '../types.ts';

/**
 * A target as a call of `build_rule` that makes the same one: what is left when all rules have been evaluated. Arguments
 * that have their default are left out.
 */
export function formatTarget(target: Target): string {
  const { action, test } = target;
  const given: [name: string, value: Json | undefined][] = [
    ['name', target.name],
    ['building_description', target.description],
    ['srcs', inputs(target, withoutSystem(target.srcs))],
    ['outs', outputs(target)],
    ['cmd', action.kind === 'shell' && action.command !== '' ? action.command : undefined],
    ['action', action.kind === 'builtin' ? action.name : undefined],
    ['config', action.kind === 'builtin' && action.config !== null ? action.config : undefined],
    ['content', action.kind === 'text' ? action.content : undefined],
    ['_filegroup', action.kind === 'filegroup' || undefined],
    ['deps', list(target.deps.filter((each) => target.internalDeps?.includes(each) !== true))],
    ['internal_deps', list(target.internalDeps ?? [])],
    ['exported_deps', list(target.exportedDeps)],
    ['tools', inputs(target, target.tools)],
    ['data', inputs(target, target.data)],
    ['env', record(target.env)],
    ['pass_env', list(target.passEnv)],
    ['labels', list(target.labels)],
    ['visibility', list(target.visibility)],
    ['binary', target.binary || undefined],
    ['needs_transitive_deps', target.needsTransitiveDeps || undefined],
    ['output_is_complete', target.outputIsComplete || undefined],
    ['requires', list(target.requires)],
    ['provides', record(target.provides)],
    ['hashes', list(target.hashes)],
    ['sandbox', target.sandbox ? undefined : false],
    ['build_timeout', target.timeout],
    ['test', test !== undefined || undefined],
    ['test_only', (target.testOnly && test === undefined) || undefined],
    ['test_cmd', test === undefined || test.command === '' ? undefined : test.command],
    ['test_tools', test && inputs(target, test.tools)],
    ['test_timeout', test?.timeout],
    ['flaky', test && test.attempts > 1 ? test.attempts : undefined],
    ['no_test_output', test?.noOutput || undefined],
    ['test_sandbox', test?.sandbox === false ? false : undefined],
    ['system_srcs', list(target.srcs.all.flatMap((input) => (input.kind === 'system' ? [input.path] : [])))],
    ['output_dirs', list(target.outputDirs ?? [])],
    ['optional_outs', list(target.optionalOuts ?? [])],
    ['test_outputs', list(test?.outputs ?? [])],
    ['secrets', target.secrets && (record(target.secrets.named) ?? list(target.secrets.all))],
    ['stamp', target.stamp && true],
    ['src_list_files', target.srcListFiles],
    ['exit_on_error', target.exitOnError],
    ['local', target.local],
    ['progress', target.progress],
  ];
  const lines = given.flatMap(([name, value]) => (value === undefined ? [] : [`    ${name} = ${literal(value, 1)},`]));
  const { file, line } = target.place;
  const later = target.postBuild === undefined ? '' : '\n# Once it is built, its post_build function may change it.';
  return `# ${target.label}, made by ${target.rule} (${file}:${line ?? 1})${later}\nbuild_rule(\n${lines.join('\n')}\n)`;
}

function inputs(target: Target, { all, named }: Inputs): Json | undefined {
  const texts = (group: readonly Input[]) => group.map((input) => inputText(target, input));
  const groups = Object.entries(named);
  if (groups.length === 0) return list(texts(all));
  return Object.fromEntries(groups.map(([name, group]) => [name, texts(group)]));
}

/** Files of the system have an argument of their own among sources. */
function withoutSystem({ all, named }: Inputs): Inputs {
  return { all: all.filter(({ kind }) => kind !== 'system'), named };
}

function inputText(target: Target, input: Input): string {
  switch (input.kind) {
    case 'label':
      return input.named === undefined ? input.label : `${input.label}|${input.named}`;
    case 'program':
      return input.name;
    case 'system':
      return input.path;
    case 'file':
      return target.package === '' ? input.path : input.path.slice(target.package.length + 1);
  }
}

function outputs({ outs, namedOuts }: Target): Json | undefined {
  return Object.keys(namedOuts).length > 0 ? record(namedOuts) : list(outs);
}

function list(values: readonly string[]): Json | undefined {
  return values.length === 0 ? undefined : values;
}

function record(values: Readonly<Record<string, Json>>): Json | undefined {
  return Object.keys(values).length === 0 ? undefined : values;
}

function literal(value: Json, depth: number): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value !== 'object') return JSON.stringify(value);
  const inside = Array.isArray(value)
    ? value.map((item: Json) => literal(item, depth + 1))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${literal(item as Json, depth + 1)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  if (inside.length === 0) return `${open}${close}`;
  if (inside.length === 1 && !inside[0]!.includes('\n')) return `${open}${inside[0]}${close}`;
  const indent = '    '.repeat(depth + 1);
  return `${open}\n${inside.map((item) => `${indent}${item},\n`).join('')}${'    '.repeat(depth)}${close}`;
}
