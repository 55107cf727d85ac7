import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { configText } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';
import { compile } from './compile.ts';
import { archivesOf, goDependencies, sourcesFile } from './dependency.ts';
import { type FileGroup, inspectPackage } from './inspect.ts';
import { stageSources } from './stage.ts';
import { openToolchain, toolchainIdentity } from './toolchain.ts';

/**
 * Compiles a package. Outputs: `<name>.a`, `<name>.importcfg` with its import path, and the folder `<name>.gosrcs` with what it was
 * compiled from, for tests that are compiled into the package.
 */
export const goLibrary: BuiltinAction = {
  version: '1',
  key: toolchainIdentity,
  dependencyOutputs: 'archive',
  async run(request) {
    const { target, outputFolder } = request;
    const importPath = configText(request, 'import_path');
    const toolchain = await openToolchain(request.cacheFolder, request.progress, request.update, request.signal);
    request.update('compiling');
    const folder = join(request.temporaryFolder, 'src', target.package);
    await stageSources(request, folder);
    const found = await inspectPackage(request, toolchain, folder);
    if (found.library.files.length === 0) throw noFiles(request);
    const tests = [...found.internal.files, ...found.external.files];
    if (tests.length > 0) {
      throw new BuildFault('build/bad-config', `${target.label} has tests among its srcs: ${tests.join(', ')}`, {
        place: target.place,
        next: 'give them to a go_test; in a glob: exclude = ["*_test.go"]',
      });
    }
    if (found.name === 'main') {
      throw new BuildFault('build/bad-config', `the files of ${target.label} are package main`, {
        place: target.place,
        next: 'use go_binary',
      });
    }
    await compile(request, toolchain, {
      importPath,
      folder,
      shownAs: target.package,
      group: found.library,
      imports: archivesOf((await goDependencies(request)).filter(({ direct }) => direct)),
      output: join(outputFolder, `${target.name}.a`),
    });
    await writeFile(join(outputFolder, `${target.name}.importcfg`), `${importPath}\n`);
    await writeSources(join(outputFolder, `${target.name}.gosrcs`), folder, found.library, importPath, target.package);
  },
};

export function noFiles(request: BuiltinRequest): BuildFault {
  return new BuildFault('build/bad-config', `${request.target.label} has no Go file for ${process.platform}`, {
    place: request.target.place,
    next: 'look at its srcs, and at the //go:build lines in them',
  });
}

async function writeSources(
  to: string,
  from: string,
  group: FileGroup,
  importPath: string,
  packageName: string,
): Promise<void> {
  for (const name of [...group.files, ...Object.values(group.embeds).flat()]) {
    await mkdir(dirname(join(to, name)), { recursive: true });
    await copyFile(join(from, name), join(to, name));
  }
  const imports = group.imports.map(({ path }) => ({ path, at: [] }));
  const about = { importPath, package: packageName, group: { ...group, imports } };
  await writeFile(join(to, sourcesFile), JSON.stringify(about));
}
