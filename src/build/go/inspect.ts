import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Place } from '../../fault/index.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinRequest } from '../types.ts';
import type { Toolchain } from './toolchain.ts';

export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Files that are compiled together; their names are relative to the package's folder. */
export interface FileGroup {
  readonly files: readonly string[];
  readonly imports: readonly { readonly path: string; readonly at: readonly Position[] }[];
  /** Pattern of a `go:embed` line, and the files that it stands for. */
  readonly embeds: Readonly<Record<string, readonly string[]>>;
}

/** What of a package is not Go alone. Names are relative to the package's folder. */
export interface NativeFiles {
  /** Go files that import C. Without cgo they are left out of the package. */
  readonly go: readonly string[];
  readonly c: readonly string[];
  readonly cxx: readonly string[];
  readonly headers: readonly string[];
  readonly cFlags: readonly string[];
  readonly cppFlags: readonly string[];
  readonly cxxFlags: readonly string[];
  readonly ldFlags: readonly string[];
  readonly pkgConfig: readonly string[];
  readonly other: readonly string[];
}

export interface TestFunction {
  readonly name: string;
  readonly output?: string;
  readonly unordered?: boolean;
}

export interface TestFunctions {
  readonly tests: readonly TestFunction[];
  readonly benchmarks: readonly TestFunction[];
  readonly fuzzers: readonly TestFunction[];
  readonly examples: readonly TestFunction[];
  /** There is a TestMain. */
  readonly main: boolean;
}

export interface GoPackage {
  /** Of the package clause. */
  readonly name: string;
  readonly library: FileGroup;
  readonly internal: FileGroup;
  readonly external: FileGroup;
  readonly internalHave: TestFunctions;
  readonly externalHave: TestFunctions;
  /** Files for Go's own assembler, or for a C compiler where there is cgo. */
  readonly assembly: readonly string[];
  readonly native: NativeFiles;
}

export interface InspectOptions {
  /** Path that errors show for the folder; the target's package unless told. */
  readonly shownAs?: string;
  readonly cgo?: boolean;
  readonly tags?: readonly string[];
  /** Files for other systems, too. */
  readonly allFiles?: boolean;
}

interface Inspected extends GoPackage {
  readonly problems: readonly { readonly message: string; readonly at?: Position }[] | null;
}

/**
 * Reads the Go files of a folder with the toolchain's own parsers.
 *
 * @param folder absolute, below the scratch folder
 * @throws BuildFault build/action-failed with the place of what is wrong
 */
export async function inspectPackage(
  request: BuiltinRequest,
  toolchain: Toolchain,
  folder: string,
  { shownAs = request.target.package, cgo = false, tags = [], allFiles = false }: InspectOptions = {},
): Promise<GoPackage> {
  const result = join(request.temporaryFolder, 'inspected.json');
  await request.run({
    program: toolchain.inspect,
    args: [
      ...(cgo ? ['-cgo'] : []),
      ...(allFiles ? ['-all'] : []),
      ...(tags.length > 0 ? ['-tags', tags.join(',')] : []),
      folder,
      result,
    ],
    env: { GO111MODULE: 'off', GOROOT: toolchain.goroot, GOARCH: toolchain.architecture },
    readable: [toolchain.folder, toolchain.goroot],
  });
  // Written by our own program, whose form `inspect/main.go` fixes; Go writes empty lists as null.
  const found = JSON.parse(await readFile(result, 'utf8'), (_key, value: unknown) => value ?? []) as Inspected;
  const { target } = request;
  const [first, ...more] = found.problems ?? [];
  if (first !== undefined) {
    throw new BuildFault('build/action-failed', `${target.label} can't be built: ${first.message}`, {
      place: first.at === undefined ? target.place : await placeOf(folder, shownAs, first.at),
      notes: more.map(({ message, at }) => (at === undefined ? message : `${at.file}:${at.line}: ${message}`)),
      next: 'correct it there',
    });
  }
  return found;
}

export async function placeOf(folder: string, packageName: string, at: Position): Promise<Place> {
  const source = await readFile(join(folder, at.file), 'utf8').catch(() => undefined);
  const file = packageName === '' ? at.file : `${packageName}/${at.file}`;
  return { file, line: at.line, column: at.column, ...(source !== undefined && { source }) };
}

/** @throws BuildFault build/bad-config where files of a package need what its rule does not do */
export function refuseNative(request: BuiltinRequest, { native, assembly }: GoPackage): void {
  const names = [...native.go, ...native.c, ...native.cxx, ...native.other, ...assembly];
  if (names.length === 0) return;
  throw new BuildFault(
    'build/bad-config',
    `${request.target.label} has files that are not in Go alone: ${names.join(', ')}`,
    { place: request.target.place, next: 'use cgo_library for files that import C; give assembly as asm_srcs' },
  );
}
