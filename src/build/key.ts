import { createHash } from 'node:crypto';
import type { Target } from '../graph/index.ts';
import { artifactIdentity } from './artifact.ts';
import { type ActionInputs, inputParts, type Resolved, type ResolvedInputs } from './inputs.ts';
import { allInputs, inputKey } from './target.ts';
import type { Tool } from './tool.ts';
import type { BuiltinAction } from './types.ts';
import { passed } from './variables.ts';

/** What an action's outputs depend on: names for a person, with contents. The key is the sum over all of it. */
export type KeyParts = readonly (readonly [name: string, content: string])[];

/** Goes up when the way in which actions are run changes what they make. */
export const keyFormat = 3;

export function keyOf(parts: KeyParts): string {
  return createHash('sha256')
    .update(JSON.stringify([keyFormat, parts]))
    .digest('hex');
}

/**
 * @param shell bash, for actions that are commands
 * @param stampFile what a stamped target is told of its dependencies
 */
export async function actionKeyParts(
  target: Target,
  inputs: ActionInputs,
  shell: Tool | undefined,
  builtin: BuiltinAction | undefined,
  stampFile?: string,
): Promise<KeyParts> {
  const parts: [string, string][] = [['definition', JSON.stringify(definition(target))]];
  if (stampFile !== undefined) parts.push(['stamp file', stampFile]);
  parts.push(...common(target, inputs, shell));
  if (builtin !== undefined) {
    parts.push(['version of the built-in action', builtin.version]);
    if (builtin.key !== undefined) parts.push(['facts of the built-in action', await builtin.key(target)]);
  }
  return parts;
}

function common(target: Target, inputs: ActionInputs, shell: Tool | undefined): [string, string][] {
  const parts: [string, string][] = [];
  parts.push(...ofInputs(inputs.srcs, 'source'), ...ofInputs(inputs.tools, 'tool'));
  for (const what of inputs.toolData) parts.push(...inputParts(what, 'tool'));
  for (const { label, artifacts, direct } of inputs.deps) {
    for (const artifact of artifacts) {
      parts.push([`output ${artifact.path} of ${label}`, `${artifactIdentity(artifact)}${direct ? '' : ' indirect'}`]);
    }
  }
  for (const [name, value] of Object.entries(passed(target)).sort()) parts.push([`variable ${name}`, value]);
  if (shell !== undefined) parts.push(['program bash', shell.identity]);
  return parts;
}

/** The same of a test. */
export const testArguments = [
  'package',
  'name',
  'test_cmd',
  'no_test_output',
  'outs',
  'outs',
  'env',
  'test_sandbox',
  'data',
  'test_tools',
];

/** What a test's outcome depends on. */
export function testKeyParts(
  target: Target,
  own: readonly Resolved[],
  data: ResolvedInputs,
  dataOfData: readonly Resolved[],
  tools: ResolvedInputs,
  toolData: readonly Resolved[],
  shell: Tool,
): KeyParts {
  const { test } = target;
  const parts: [string, string][] = [
    [
      'definition',
      JSON.stringify([
        target.package,
        target.name,
        test?.command,
        test?.noOutput,
        target.outs,
        target.namedOuts,
        Object.entries(target.env).sort(),
        test?.sandbox,
        names(target.data),
        test === undefined ? [] : names(test.tools),
        ...given({ outputs: test?.outputs, exitOnError: target.exitOnError }),
      ]),
    ],
  ];
  for (const what of own) parts.push(...inputParts(what, 'data'));
  parts.push(...ofInputs(data, 'data'), ...ofInputs(tools, 'tool'));
  for (const what of [...dataOfData, ...toolData]) parts.push(...inputParts(what, 'data'));
  for (const [name, value] of Object.entries(passed(target)).sort()) parts.push([`variable ${name}`, value]);
  parts.push(['program bash', shell.identity]);
  return parts;
}

function ofInputs(inputs: ResolvedInputs, role: 'source' | 'tool' | 'data'): [string, string][] {
  return inputs.all.flatMap(({ what }) => inputParts(what, role));
}

/** Names of what `definition` lists, as BUILD files have them. Behind them stands what few targets have, by its own names. */
export const actionArguments = ['package', 'name', 'cmd', 'outs', 'outs', 'binary', 'sandbox', 'env', 'srcs', 'tools'];

/** What of the rule itself has a part in the outputs. */
function definition(target: Target): unknown {
  return [
    target.package,
    target.name,
    target.action,
    target.outs,
    target.namedOuts,
    target.binary,
    target.sandbox,
    Object.entries(target.env).sort(),
    names(target.srcs),
    names(target.tools),
    process.platform,
    process.arch,
    ...given({
      outputDirs: target.outputDirs,
      optionalOuts: target.optionalOuts,
      secrets: target.secrets && [target.secrets.all, target.secrets.named],
      stamp: target.stamp,
      srcListFiles: target.srcListFiles,
      exitOnError: target.exitOnError,
      postBuild: target.postBuild?.definition,
    }),
  ];
}

/** What few targets have leaves no trace in the keys of others. */
function given(values: Readonly<Record<string, unknown>>): unknown[] {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return entries.length === 0 ? [] : [entries];
}

/** The order and grouping in which variables list inputs. */
function names(inputs: Target['srcs']): unknown {
  return [
    allInputs(inputs).map(inputKey),
    Object.entries(inputs.named).map(([name, group]) => [name, group.map(inputKey)]),
  ];
}
