import { goBinary } from './go/binary.ts';
import { goLibrary } from './go/library.ts';
import { goModDownload, goModule, goRepo } from './go/module/actions.ts';
import { goTest } from './go/test.ts';
import { javaBinary, javaLibrary, javaRuntimeImage, javaTest } from './java/actions.ts';
import { javaRuntime } from './java/runtime.ts';
import { mavenJar } from './maven/action.ts';
import { npmModules } from './npm/action.ts';
import { pythonBinary, pythonTest } from './python/actions.ts';
import { pythonWheel } from './python/wheel.ts';
import type { BuiltinActions } from './types.ts';

/** What the rules of `go`, `java`, `maven`, `npm` and `python` name as their actions. */
export const languageActions: BuiltinActions = {
  go_library: goLibrary,
  go_binary: goBinary,
  go_test: goTest,
  go_mod_download: goModDownload,
  go_module: goModule,
  go_repo: goRepo,
  java_library: javaLibrary,
  java_runtime: javaRuntime,
  java_binary: javaBinary,
  java_test: javaTest,
  java_runtime_image: javaRuntimeImage,
  maven_jar: mavenJar,
  npm_modules: npmModules,
  python_binary: pythonBinary,
  python_test: pythonTest,
  python_wheel: pythonWheel,
};
