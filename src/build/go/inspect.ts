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
}

interface Inspected extends GoPackage {
  readonly foreign: readonly string[] | null;
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
): Promise<GoPackage> {
  const result = join(request.temporaryFolder, 'inspected.json');
  await request.run({
    program: toolchain.inspect,
    args: [folder, result],
    env: { GO111MODULE: 'off', GOROOT: toolchain.goroot },
    readable: [toolchain.folder, toolchain.goroot],
  });
  // Written by our own program, whose form `inspect/main.go` fixes; Go writes empty lists as null.
  const found = JSON.parse(await readFile(result, 'utf8'), (_key, value: unknown) => value ?? []) as Inspected;
  const { target } = request;
  const [first, ...more] = found.problems ?? [];
  if (first !== undefined) {
    throw new BuildFault('build/action-failed', `${target.label} can't be built: ${first.message}`, {
      place: first.at === undefined ? target.place : await placeOf(folder, target.package, first.at),
      notes: more.map(({ message, at }) => (at === undefined ? message : `${at.file}:${at.line}: ${message}`)),
      next: 'correct it there',
    });
  }
  if ((found.foreign ?? []).length > 0) {
    throw new BuildFault(
      'build/action-failed',
      `${target.label} has files that are not in Go alone: ${found.foreign?.join(', ')}`,
      { place: target.place, next: 'leave them out: cgo, C and assembly are not supported' },
    );
  }
  return found;
}

export async function placeOf(folder: string, packageName: string, at: Position): Promise<Place> {
  const source = await readFile(join(folder, at.file), 'utf8').catch(() => undefined);
  const file = packageName === '' ? at.file : `${packageName}/${at.file}`;
  return { file, line: at.line, column: at.column, ...(source !== undefined && { source }) };
}
