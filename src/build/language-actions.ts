import { goBinary } from './go/binary.ts';
import { goLibrary } from './go/library.ts';
import { goTest } from './go/test.ts';
import type { BuiltinActions } from './types.ts';

/** What the rules of `go`, `java`, `python` and `maven` name as their actions. */
export const languageActions: BuiltinActions = {
  go_library: goLibrary,
  go_binary: goBinary,
  go_test: goTest,
};
