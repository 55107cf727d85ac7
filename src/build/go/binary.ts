import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configList, configValue, stampedTexts } from '../config.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';
import { compilerFolder } from './cgo.ts';
import type { Archives } from './compilation.ts';
import { compile, importConfig } from './compile.ts';
import { archivesOf, type GoDependency, goDependencies } from './dependency.ts';
import { inspectPackage } from './inspect.ts';
import { noFiles } from './library.ts';
import { goKey, nativeParts, stagePackage, targetToolchain } from './stage.ts';
import { cgoRuntime, type Toolchain } from './toolchain.ts';

/** Compiles `package main` and links it: static, without paths of this machine, without a build id. */
export const goBinary: BuiltinAction = {
  version: '2',
  key: goKey,
  toolsOnDemand: true,
  dependencyOutputs: 'archive',
  async run(request) {
    const { target, outputFolder } = request;
    const definitions = stampedTexts(request, 'definitions');
    const toolchain = await targetToolchain(request);
    request.update('compiling');
    const place = await stagePackage(request);
    const found = await inspectPackage(request, toolchain, place.folder, place);
    if (found.name !== 'main' && found.name !== '') {
      throw new BuildFault(
        'build/bad-config',
        `the files of ${target.label} are package ${found.name}, not package main`,
        {
          place: target.place,
          next: 'use go_library, or change the package clause',
        },
      );
    }
    const beyondGo = nativeParts(request, found, place);
    if (found.library.files.length === 0 && beyondGo.native === undefined) throw noFiles(request);
    const dependencies = await goDependencies(request);
    const main = join(request.temporaryFolder, 'main.a');
    await compile(request, toolchain, {
      importPath: 'main',
      folder: place.folder,
      shownAs: place.shownAs,
      group: found.library,
      imports: archivesOf(dependencies.filter(({ direct }) => direct)),
      output: main,
      ...beyondGo,
    });
    request.update('linking');
    await link(request, toolchain, {
      main,
      archives: archivesOf(dependencies),
      compiler: beyondGo.native?.compiler ?? compilerOf(dependencies),
      definitions,
      static: configValue(request, 'static') === true,
      linkerFlags: configList(request, 'linker_flags'),
      output: join(outputFolder, target.outs[0] ?? ''),
    });
  },
};

/** The C compiler that links a program with these packages in it; undefined where they are all in Go. */
export function compilerOf(dependencies: readonly GoDependency[]): string | undefined {
  return dependencies.find(({ compiler }) => compiler !== undefined)?.compiler;
}

export interface Linking {
  /** Archive of `package main`. */
  readonly main: string;
  readonly archives: Archives;
  /** The C compiler, where a part of the program is in C. */
  readonly compiler: string | undefined;
  readonly definitions: Readonly<Record<string, string>>;
  /** With the C library in it, where there is C. Programs in Go alone always are. */
  readonly static: boolean;
  /** For the C compiler. */
  readonly linkerFlags: readonly string[];
  readonly output: string;
}

export async function link(request: BuiltinRequest, toolchain: Toolchain, what: Linking): Promise<void> {
  const config = join(request.temporaryFolder, 'link.importcfg');
  const compiler = what.compiler === undefined ? undefined : await resolveTool(what.compiler);
  const archives = new Map(what.archives);
  if (compiler !== undefined) archives.set('runtime/cgo', await cgoRuntime(toolchain, compiler, request.signal));
  await writeFile(config, importConfig(toolchain, archives));
  const external = [...(what.static ? ['-static'] : []), ...what.linkerFlags, '-Wl,--build-id=none'];
  await request.run({
    program: toolchain.linker,
    args: [
      '-importcfg',
      config,
      '-buildmode=exe',
      '-buildid=',
      '-s',
      '-w',
      ...(compiler === undefined
        ? []
        : ['-linkmode=external', '-extld', compiler.path, `-extldflags=${external.join(' ')}`]),
      ...Object.entries(what.definitions).flatMap(([name, value]) => ['-X', `${name}=${value}`]),
      '-o',
      what.output,
      what.main,
    ],
    // The linker takes the root for file names of the standard library from here.
    env: { GOROOT: '', GOARCH: toolchain.architecture },
    readable: [toolchain.goroot, toolchain.folder, ...(compiler === undefined ? [] : compilerFolder(compiler))],
  });
}
