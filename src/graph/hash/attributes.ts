import type { Action, Inputs, Json, Target } from '../types.ts';

/**
 * All of a target's definition that determines its outputs, its runs and its tests, under the names by which BUILD files
 * give it. Order counts where a command can see it (sources, outputs), not among dependencies. Hashes are made of these, and
 * explanations compare them, so that neither knows of a difference that the other doesn't.
 */
export function attributesOf(target: Target): readonly Attribute[] {
  const { test, secrets, stamp, postBuild } = target;
  const found: Attribute[] = [['name', target.label], ...actionAttributes(target.action)];
  // What a target leaves as it usually is leaves no trace: most leave nearly everything so, and a new attribute changes no
  // hashes but those of its users.
  const add = (name: string, value: unknown) => {
    if (value !== undefined && value !== false && !isEmpty(value)) found.push([name, value]);
  };
  add('srcs', inputsOrNone(target.srcs));
  add('tools', inputsOrNone(target.tools));
  add('data', inputsOrNone(target.data));
  add('deps', sorted(target.deps));
  add('exported_deps', sorted(target.exportedDeps));
  if (target.outs.length > 0 || !isEmpty(target.namedOuts)) add('outs', [target.outs, target.namedOuts]);
  add('env', target.env);
  add('pass_env', sorted(target.passEnv));
  add('binary', target.binary);
  add('needs_transitive_deps', target.needsTransitiveDeps);
  add('output_is_complete', target.outputIsComplete);
  if (!target.sandbox) found.push(['sandbox', false]);
  add('build_timeout', target.timeout);
  add('requires', sorted(target.requires));
  add('provides', target.provides);
  add('hashes', sorted(target.hashes));
  if (test !== undefined) {
    found.push(
      ['test', true],
      ['test_cmd', test.command],
      ['test_tools', test.tools],
      ['test_timeout', test.timeout],
      ['flaky', test.attempts],
      ['no_test_output', test.noOutput],
      ['test_sandbox', test.sandbox ?? null],
    );
  }
  add('output_dirs', target.outputDirs);
  add('optional_outs', target.optionalOuts);
  add('test_outputs', test?.outputs);
  add('secrets', secrets && [secrets.all, secrets.named]);
  add('stamp', stamp && [stamp.revision, stamp.describe, stamp.date]);
  add('src_list_files', target.srcListFiles);
  if (target.exitOnError !== undefined) found.push(['exit_on_error', target.exitOnError]);
  add('internal_deps', sorted(target.internalDeps ?? []));
  add('post_build', postBuild && [postBuild.definition, postBuild.open]);
  return found;
}

export type Attribute = readonly [name: string, value: unknown];

function inputsOrNone(inputs: Inputs): Inputs | undefined {
  return inputs.all.length === 0 && isEmpty(inputs.named) ? undefined : inputs;
}

function sorted(list: readonly string[]): readonly string[] {
  return list.length > 1 ? list.toSorted() : list;
}

function isEmpty(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  for (const _ in value) return false;
  return true;
}

function actionAttributes(action: Action): (readonly [name: string, value: Json])[] {
  switch (action.kind) {
    case 'shell':
      return [['cmd', action.command]];
    case 'builtin':
      return [
        ['action', action.name],
        ['config', action.config],
      ];
    case 'text':
      return [['content', action.content]];
    case 'filegroup':
      return [['_filegroup', true]];
  }
}
