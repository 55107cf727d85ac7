import type { FileGroup, NativeFiles } from './inspect.ts';

/** Import paths with their archives. */
export type Archives = ReadonlyMap<string, string>;

export interface Compilation {
  readonly importPath: string;
  /** Absolute folder of the files, ending in the package's path so that errors and stack traces show that. */
  readonly folder: string;
  /** Path that errors and stack traces show for the folder. */
  readonly shownAs: string;
  readonly group: FileGroup;
  /** What the files may import beside the standard library. */
  readonly imports: Archives;
  /** Absolute path of the archive. */
  readonly output: string;
  /** Version of the language, such as `go1.20`; that of the compiler unless told. */
  readonly language?: string | undefined;
  /** Absolute path of a CPU profile to go by. */
  readonly profile?: string;
  /** Files for Go's assembler. */
  readonly assembly?: readonly string[];
  /** What is compiled with a C compiler. */
  readonly native?: NativeCompilation | undefined;
}

/** What of a package goes through cgo and a C compiler. */
export interface NativeCompilation {
  readonly files: NativeFiles;
  /** Further files for the C compiler, such as assembly, which is C's in such a package. */
  readonly assembly: readonly string[];
  /** Name of the C compiler. */
  readonly compiler: string;
  readonly compilerFlags: readonly string[];
  readonly linkerFlags: readonly string[];
  readonly pkgConfig: readonly string[];
  /** Name in the package clause. */
  readonly packageName: string;
}

/** The folder above the files from which on their paths are shown. */
export function prefixOf(what: Pick<Compilation, 'folder' | 'shownAs'>): string {
  return what.folder.slice(0, what.folder.length - what.shownAs.length).replace(/\/$/, '');
}
