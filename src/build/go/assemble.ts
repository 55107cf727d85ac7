import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuiltinRequest } from '../types.ts';
import { type Compilation, prefixOf } from './compilation.ts';
import type { Toolchain } from './toolchain.ts';

/** What assembly files of a package define, for the compiler; and the header that it writes for them. */
export interface AssemblyInterface {
  readonly symbols: string;
  readonly header: string;
  readonly folder: string;
}

/** Which functions are in assembly: has to be known before the Go files are compiled. */
export async function assemblyInterface(
  request: BuiltinRequest,
  toolchain: Toolchain,
  what: Compilation,
  files: readonly string[],
  stem: string,
): Promise<AssemblyInterface> {
  const folder = `${stem}.asm`;
  await mkdir(folder);
  const abi = { symbols: join(folder, 'symabis'), header: join(folder, 'go_asm.h'), folder };
  await writeFile(abi.header, '');
  await run(request, toolchain, what, folder, ['-gensymabis', '-o', abi.symbols, ...files.map((name) => `./${name}`)]);
  return abi;
}

/** @returns the object files */
export async function assemble(
  request: BuiltinRequest,
  toolchain: Toolchain,
  what: Compilation,
  files: readonly string[],
  abi: AssemblyInterface,
): Promise<string[]> {
  const objects: string[] = [];
  for (const name of files) {
    const object = join(abi.folder, `${name.replace(/\.[sS]$/, '').replaceAll('/', '_')}.o`);
    await run(request, toolchain, what, abi.folder, ['-o', object, `./${name}`]);
    objects.push(object);
  }
  return objects;
}

/** What an assembly file may ask for the level of the processor by. */
const levels: Readonly<Record<string, string>> = {
  amd64: 'GOAMD64_v1',
  ppc64le: 'GOPPC64_power8',
  riscv64: 'GORISCV64_rva20u64',
};

async function run(
  request: BuiltinRequest,
  toolchain: Toolchain,
  what: Compilation,
  folder: string,
  args: readonly string[],
): Promise<void> {
  const { architecture } = toolchain;
  await request.run({
    program: toolchain.assembler,
    args: [
      '-p',
      what.importPath,
      '-trimpath',
      prefixOf(what),
      '-I',
      folder,
      '-I',
      join(toolchain.goroot, 'pkg', 'include'),
      '-D',
      `GOOS_${process.platform}`,
      '-D',
      `GOARCH_${architecture}`,
      // The level of the processor that Go builds for where nobody says otherwise.
      ...(levels[architecture] === undefined ? [] : ['-D', levels[architecture]]),
      ...args,
    ],
    // Files that they include are looked for beside them.
    folder: what.folder,
    env: { GOARCH: architecture },
    readable: [toolchain.goroot, toolchain.folder],
  });
}
