import type { Action, Json, Target } from './types.ts';

/**
 * All of a target's definition that determines its outputs, its runs and its tests, under the names by which BUILD files
 * give it. Order counts where a command can see it (sources, outputs), not among dependencies. Hashes are made of these, and
 * explanations compare them, so that neither knows of a difference that the other doesn't.
 */
export function attributesOf(target: Target): readonly (readonly [name: string, value: unknown])[] {
  const { test, secrets, stamp } = target;
  return [
    ['name', target.label],
    ...actionAttributes(target.action),
    ['srcs', target.srcs],
    ['tools', target.tools],
    ['data', target.data],
    ['deps', target.deps.toSorted()],
    ['exported_deps', target.exportedDeps.toSorted()],
    ['outs', [target.outs, target.namedOuts]],
    ['env', target.env],
    ['pass_env', target.passEnv.toSorted()],
    ['binary', target.binary],
    ['needs_transitive_deps', target.needsTransitiveDeps],
    ['output_is_complete', target.outputIsComplete],
    ['sandbox', target.sandbox],
    ['build_timeout', target.timeout ?? null],
    ['requires', target.requires.toSorted()],
    ['provides', target.provides],
    ['hashes', target.hashes.toSorted()],
    ['test', test !== undefined],
    ['test_cmd', test?.command ?? null],
    ['test_tools', test?.tools ?? null],
    ['test_timeout', test?.timeout ?? null],
    ['flaky', test?.attempts ?? null],
    ['no_test_output', test?.noOutput ?? null],
    ['test_sandbox', test?.sandbox ?? null],
    // What few targets have leaves no trace in the hashes of others.
    ...given('output_dirs', target.outputDirs),
    ...given('optional_outs', target.optionalOuts),
    ...given('test_outputs', test?.outputs),
    ...given('secrets', secrets && [secrets.all, secrets.named]),
    ...given('stamp', stamp && [stamp.revision, stamp.describe, stamp.date]),
    ...given('src_list_files', target.srcListFiles),
    ...given('exit_on_error', target.exitOnError),
    ...given('post_build', target.postBuild && [target.postBuild.definition, target.postBuild.open]),
  ];
}

function given(name: string, value: unknown): (readonly [name: string, value: unknown])[] {
  return value === undefined ? [] : [[name, value]];
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
