import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configTexts } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';
import { type Archives, compile, importConfig } from './compile.ts';
import { archivesOf, goDependencies } from './dependency.ts';
import { inspectPackage } from './inspect.ts';
import { noFiles } from './library.ts';
import { stageSources } from './stage.ts';
import { openToolchain, type Toolchain, toolchainIdentity } from './toolchain.ts';

/** Compiles `package main` and links it: static, without paths of this machine, without a build id. */
export const goBinary: BuiltinAction = {
  version: '1',
  key: toolchainIdentity,
  dependencyOutputs: 'archive',
  async run(request) {
    const { target, outputFolder } = request;
    const definitions = configTexts(request, 'definitions');
    const toolchain = await openToolchain(request.cacheFolder, request.progress, request.update, request.signal);
    request.update('compiling');
    const folder = join(request.temporaryFolder, 'src', target.package);
    await stageSources(request, folder);
    const found = await inspectPackage(request, toolchain, folder);
    if (found.library.files.length === 0) throw noFiles(request);
    if (found.name !== 'main') {
      throw new BuildFault(
        'build/bad-config',
        `the files of ${target.label} are package ${found.name}, not package main`,
        {
          place: target.place,
          next: 'use go_library, or change the package clause',
        },
      );
    }
    const dependencies = await goDependencies(request);
    const main = join(request.temporaryFolder, 'main.a');
    await compile(request, toolchain, {
      importPath: 'main',
      folder,
      shownAs: target.package,
      group: found.library,
      imports: archivesOf(dependencies.filter(({ direct }) => direct)),
      output: main,
    });
    request.update('linking');
    await link(
      request,
      toolchain,
      main,
      archivesOf(dependencies),
      definitions,
      join(outputFolder, target.outs[0] ?? ''),
    );
  },
};

export async function link(
  request: BuiltinRequest,
  toolchain: Toolchain,
  main: string,
  archives: Archives,
  definitions: Readonly<Record<string, string>>,
  output: string,
): Promise<void> {
  const config = join(request.temporaryFolder, 'link.importcfg');
  await writeFile(config, importConfig(toolchain, archives));
  await request.run({
    program: toolchain.linker,
    args: [
      '-importcfg',
      config,
      '-buildmode=exe',
      '-buildid=',
      '-s',
      '-w',
      ...Object.entries(definitions).flatMap(([name, value]) => ['-X', `${name}=${value}`]),
      '-o',
      output,
      main,
    ],
    // The linker takes the root for file names of the standard library from here.
    env: { GOROOT: '' },
    readable: [toolchain.goroot, toolchain.folder],
  });
}
