import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuiltinRequest } from '../../types.ts';
import type { Toolchain } from '../toolchain.ts';

/** A package of a module, as `inspect -module` lists it. */
export interface ModulePackage {
  /** Below the module's folder; `.` for that itself. */
  readonly folder: string;
  /** Of the package clause. */
  readonly name: string;
  /** On any platform that is built for, with cgo and without. */
  readonly imports: readonly string[];
  readonly cgo: boolean;
  /** Files that it embeds, relative to its folder. */
  readonly embeds: readonly string[];
}

/** Runs `inspect` in whatever way the caller runs programs. */
export async function listPackages(
  toolchain: Toolchain,
  folder: string,
  tags: readonly string[],
  result: string,
  run: (program: string, args: readonly string[]) => Promise<unknown>,
): Promise<ModulePackage[]> {
  await run(toolchain.inspect, ['-module', ...(tags.length > 0 ? ['-tags', tags.join(',')] : []), folder, result]);
  // Written by our own program, whose form `inspect/main.go` fixes.
  return JSON.parse(await readFile(result, 'utf8')) as ModulePackage[];
}

/** The same in an action's sandbox. */
export function listIn(
  request: BuiltinRequest,
  toolchain: Toolchain,
  folder: string,
  tags: readonly string[],
): Promise<ModulePackage[]> {
  const result = join(request.temporaryFolder, 'packages.json');
  return listPackages(toolchain, folder, tags, result, (program, args) =>
    request.run({
      program,
      args,
      env: { GO111MODULE: 'off', GOROOT: toolchain.goroot },
      readable: [toolchain.folder, toolchain.goroot],
    }),
  );
}

export function importPathOf(module: string, folder: string): string {
  return folder === '.' ? module : `${module}/${folder}`;
}

/** `go 1.20` of a go.mod as the compiler has it: `go1.20`. A module without that line is of the time before 1.17. */
export function languageOf(goMod: string): string {
  const found = /^\s*go\s+(\d+\.\d+)/m.exec(goMod)?.[1];
  return `go${found ?? '1.16'}`;
}
