import { EvaluationError, type NativeFunction, type Value } from '../../language/index.ts';
import { GraphFault } from '../fault.ts';
import { labelOf, looksLikeLabel, parseLabel } from '../names/label.ts';
import type { Input, Inputs, Label, Target } from '../types.ts';
import { commandOf, withEntryPoints } from './build-rule.ts';
import type { EvaluationContext } from './context.ts';
import { define } from './define.ts';
import { dependenciesOf } from './dependency.ts';
import { inputsOf, labelsOf, outputsOf } from './inputs.ts';
import { nameIn, outputNamesOf } from './output-names.ts';

const target = { name: 'target', type: 'str' } as const;

/** Functions that read and change targets which a package has made already. */
export const targetFunctions: readonly NativeFunction[] = [
  define({
    name: 'get_labels',
    documentation:
      'Labels of a target that begin with a prefix, without it, sorted. In a pre_build function those of all that it depends on count too, up to targets that are complete in themselves unless all is set.',
    parameters: [
      { name: 'name', type: 'str', aliases: ['target'] },
      { name: 'prefix', type: 'str', fallback: '' },
      { name: 'all', type: 'bool', fallback: false },
      { name: 'transitive', type: 'bool', fallback: null },
      { name: 'maxdepth', type: 'int', fallback: -1 },
    ],
    implementation: ([name, prefix, all, transitive, depth], { context }) =>
      labelsWithPrefix(name as string, prefix as string, context, {
        all: all === true,
        depth: (transitive ?? context.complete) === true ? (depth as number) : 0,
      }),
  }),
  define({
    name: 'has_label',
    documentation: 'Whether get_labels would give any.',
    parameters: [
      { name: 'name', type: 'str', aliases: ['target'] },
      { name: 'prefix', type: 'str', fallback: '' },
      { name: 'all', type: 'bool', fallback: false },
    ],
    implementation: ([name, prefix, all], { context }) =>
      labelsWithPrefix(name as string, prefix as string, context, {
        all: all === true,
        depth: context.complete ? -1 : 0,
      }).length > 0,
  }),
  define({
    name: 'add_label',
    documentation: 'Gives a target of this package a further label.',
    parameters: [
      { name: 'name', type: 'str', aliases: ['target'] },
      { name: 'label', type: 'str' },
    ],
    implementation: ([name, label], { context }) =>
      change(name!, context, (before) => ({ labels: joined(before.labels, [label as string]) })),
  }),
  define({
    name: 'add_dep',
    documentation: 'Makes a target of this package depend on another one.',
    parameters: [
      target,
      { name: 'dep', type: 'str' },
      { name: 'exported', type: 'bool', fallback: false },
      { name: 'runtime', type: 'bool', fallback: false },
    ],
    implementation: ([name, dependency, exported, runtime], { context }) =>
      addDependency(
        name!,
        dependency!,
        exported === true ? 'exported' : runtime === true ? 'runtime' : 'plain',
        context,
      ),
  }),
  define({
    name: 'add_exported_dep',
    documentation: 'Gives a target of this package a dependency that its dependants see as their own.',
    parameters: [target, { name: 'dep', type: 'str' }],
    implementation: ([name, dependency], { context }) => addDependency(name!, dependency!, 'exported', context),
  }),
  define({
    name: 'add_runtime_dep',
    documentation: 'Gives a target of this package a dependency that is needed when it is run.',
    parameters: [target, { name: 'dep', type: 'str' }],
    implementation: ([name, dependency], { context }) => addDependency(name!, dependency!, 'runtime', context),
  }),
  define({
    name: 'add_data',
    documentation: 'Gives a target of this package further files and targets that it needs when it is run.',
    parameters: [target, { name: 'datum', type: 'str|list|dict', aliases: ['data'] }],
    implementation: ([name, data], { context }) =>
      change(name!, context, (before) => ({
        data: joinedInputs(before.data, inputsOf('datum', data!, context, 'file')),
      })),
  }),
  define({
    name: 'add_out',
    documentation: 'Gives a target of this package a further output; with three arguments one of a named group.',
    parameters: [target, { name: 'name', type: 'str' }, { name: 'out', type: 'str', fallback: '' }],
    implementation: ([name, group, out], { context }) =>
      change(name!, context, (before) => {
        const added = outputsOf('out', out === '' ? group! : out!).all;
        const outs = joined(before.outs, added);
        if (out === '') return { outs };
        const key = group as string;
        const named = joined(before.namedOuts[key] ?? [], added);
        return { outs, namedOuts: Object.freeze({ ...before.namedOuts, [key]: named }) };
      }),
  }),
  define({
    name: 'add_entry_point',
    documentation: 'Gives an output of a target of this package a name as a program.',
    parameters: [target, { name: 'name', type: 'str' }, { name: 'out', type: 'str' }],
    implementation: ([name, point, out], { context }) =>
      change(name!, context, (before) => {
        const [path] = outputsOf('out', out!).all;
        const entryPoints = Object.freeze({ ...before.entryPoints, [point as string]: path! });
        return {
          outs: joined(before.outs, [path!]),
          entryPoints,
          namedOuts: withEntryPoints(before.namedOuts, entryPoints),
        };
      }),
  }),
  define({
    name: 'get_outs',
    documentation: "A target's outputs, relative to its package.",
    parameters: [target],
    implementation: ([name], { context }) => [
      ...(outputNamesOf((label) => context.find(label), known(name as string, context)) ?? []),
    ],
  }),
  define({
    name: 'get_named_outs',
    documentation: "A target's named outputs, each a list. A filegroup's are its named sources, as they are written.",
    parameters: [target],
    implementation: ([name], { context }) => {
      const of = known(name as string, context);
      const groups = of.action.kind === 'filegroup' ? of.srcs.named : of.namedOuts;
      return new Map(
        Object.entries(groups).map(([key, group]): [string, Value] => [
          key,
          typeof group[0] === 'string'
            ? (group as string[]).toSorted()
            : (group as Input[]).map((each) => written(each, of)),
        ]),
      );
    },
  }),
  define({
    name: 'get_entry_points',
    documentation: "A target's entry points: names with the output of each.",
    parameters: [target],
    implementation: ([name], { context }) =>
      new Map<string, Value>(Object.entries(known(name as string, context).entryPoints ?? {})),
  }),
  define({
    name: 'add_licence',
    documentation: 'Gives a target of this package a further licence that it can be used under.',
    parameters: [target, { name: 'licence', type: 'str' }],
    implementation: ([name, licence], { context }) =>
      change(name!, context, (before) => ({ licences: joined(before.licences ?? [], [licence as string]) })),
  }),
  define({
    name: 'get_licences',
    documentation: 'Licences that a target can be used under, in the order in which they were given.',
    parameters: [target],
    implementation: ([name], { context }) => [...(known(name as string, context).licences ?? [])],
  }),
  define({
    name: 'get_command',
    documentation: "A target's command, for a build configuration where it has several.",
    parameters: [target, { name: 'config', type: 'str', fallback: '' }],
    implementation: ([name, configuration], { context }) => {
      const { action, commands } = known(name as string, context);
      if (commands !== undefined && configuration !== '') {
        return commandOf('cmd', new Map(Object.entries(commands)), context, configuration as string);
      }
      return action.kind === 'shell' ? action.command : '';
    },
  }),
  define({
    name: 'set_command',
    documentation:
      'Gives a target of this package another command; with three arguments the one for a build configuration.',
    parameters: [target, { name: 'config', type: 'str' }, { name: 'command', type: 'str', fallback: '' }],
    implementation: ([name, first, second], { context }) =>
      change(name!, context, ({ action, commands, label }) => {
        if (action.kind !== 'shell') {
          throw new GraphFault('graph/bad-target', `${label} has no command that could be changed`);
        }
        if (second === '') return { action: Object.freeze({ kind: 'shell', command: first as string }) };
        const all = Object.freeze({
          ...(commands ?? { opt: action.command }),
          [first as string]: second as string,
        });
        const command = commandOf('cmd', new Map(Object.entries(all)), context);
        return { commands: all, action: Object.freeze({ kind: 'shell', command }) };
      }),
  }),
];

function written(input: Input, { package: packageName }: Target): string {
  if (input.kind === 'file') return nameIn(packageName, input.path);
  if (input.kind === 'label') return input.named === undefined ? input.label : `${input.label}|${input.named}`;
  return input.kind === 'system' ? input.path : input.name;
}

/** A target by its name in this package or its label. */
function known(text: string, context: EvaluationContext): Target {
  const label = looksLikeLabel(text) ? parseLabel(text, context) : labelOf(context.package, text);
  const found = context.find(label);
  if (found !== undefined) return found;
  throw new EvaluationError(
    'language/value',
    looksLikeLabel(text) && !text.startsWith(':')
      ? `there is no target ${label}`
      : `this package has no target ${text} so far`,
    'ask for it below the rule that makes it',
  );
}

function change(name: Value, context: EvaluationContext, changes: (before: Target) => Partial<Target>): null {
  const before = known(name as string, context);
  const { targets } = context;
  if (targets?.get(before.name) !== before) {
    throw new GraphFault(
      'graph/bad-target',
      `${before.label} belongs to another package, and can only be changed there`,
      {
        related: [{ message: 'the target', place: before.place }],
      },
    );
  }
  targets.set(before.name, Object.freeze({ ...before, ...changes(before) }));
  return null;
}

function addDependency(
  name: Value,
  dependency: Value,
  kind: 'plain' | 'exported' | 'runtime',
  context: EvaluationContext,
): null {
  const labels = labelsOf('dep', dependency, context);
  return change(name, context, (before) => {
    if (kind === 'runtime') {
      const all = Object.freeze(labels.map((label): Input => Object.freeze({ kind: 'label', label })));
      return { data: joinedInputs(before.data, { all, named: {} }) };
    }
    return kind === 'exported'
      ? { exportedDeps: joined(before.exportedDeps, labels) }
      : { deps: joined(before.deps, labels) };
  });
}

function joined<T>(list: readonly T[], more: readonly T[]): readonly T[] {
  return Object.freeze([...new Set([...list, ...more])]);
}

function joinedInputs(before: Inputs, more: Inputs): Inputs {
  const named: Record<string, Inputs['all']> = { ...before.named };
  for (const [name, inputs] of Object.entries(more.named))
    named[name] = Object.freeze([...(named[name] ?? []), ...inputs]);
  return Object.freeze({ all: Object.freeze([...before.all, ...more.all]), named: Object.freeze(named) });
}

/** `depth` counts steps along dependencies, without end where it is negative. */
function labelsWithPrefix(
  name: string,
  prefix: string,
  context: EvaluationContext,
  { all, depth }: { readonly all: boolean; readonly depth: number },
): string[] {
  const start = known(name, context);
  const found = new Set<string>();
  const seen = new Set<Label>([start.label]);
  let level = [start];
  for (let at = 0; level.length > 0; at++) {
    for (const each of level) {
      for (const label of each.labels) if (label.startsWith(prefix)) found.add(label.slice(prefix.length).trim());
    }
    if (at === depth) break;
    const next: Target[] = [];
    for (const each of level) {
      if (each.outputIsComplete && !all && each !== start) continue;
      for (const { label, role } of dependenciesOf(each)) {
        if (seen.has(label) || role === 'tools' || role === 'test_tools' || role === 'data') continue;
        seen.add(label);
        const dependency = context.find(label);
        if (dependency !== undefined) next.push(dependency);
      }
    }
    level = next;
  }
  return [...found].sort();
}
