import type { BuiltinActions } from './types.ts';

/** `go_library`, `go_binary`, `go_test`, `java_library`, `java_binary`, `python_binary`, `python_test`, `maven_jar`, `zip`. */
export declare const languageActions: BuiltinActions;
