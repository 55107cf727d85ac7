import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { configText, configValue } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';
import { compile } from './compile.ts';
import { aboutArchive, archivesOf, goDependencies, sourcesFile } from './dependency.ts';
import { type FileGroup, inspectPackage } from './inspect.ts';
import { type BeyondGo, goKey, nativeParts, type PackagePlace, stagePackage, targetToolchain } from './stage.ts';

/**
 * Compiles a package. Outputs: `<name>.a`, `<name>.importcfg` with its import path, and for packages of the workspace the folder
 * `<name>.gosrcs` with what it was compiled from, for tests that are compiled into the package.
 */
export const goLibrary: BuiltinAction = {
  version: '2',
  key: goKey,
  toolsOnDemand: true,
  dependencyOutputs: 'archive',
  async run(request) {
    const { target, outputFolder } = request;
    const importPath = configText(request, 'import_path');
    const out = (ending: string) => join(outputFolder, target.outs.find((name) => name.endsWith(ending)) ?? '');
    const toolchain = await targetToolchain(request);
    request.update('compiling');
    const place = await stagePackage(request);
    const found = await inspectPackage(request, toolchain, place.folder, place);
    const tests = [...found.internal.files, ...found.external.files];
    if (tests.length > 0) {
      throw new BuildFault('build/bad-config', `${target.label} has tests among its srcs: ${tests.join(', ')}`, {
        place: target.place,
        next: 'give them to a go_test; in a glob: exclude = ["*_test.go"]',
      });
    }
    // What a test of a program is compiled with is that program's package.
    if (found.name === 'main' && configValue(request, 'program') !== true) {
      throw new BuildFault('build/bad-config', `the files of ${target.label} are package main`, {
        place: target.place,
        next: 'use go_binary',
      });
    }
    const beyondGo = nativeParts(request, found, place);
    if (found.library.files.length === 0 && beyondGo.native === undefined) throw noFiles(request);
    await compile(request, toolchain, {
      importPath,
      folder: place.folder,
      shownAs: place.shownAs,
      group: found.library,
      imports: archivesOf((await goDependencies(request)).filter(({ direct }) => direct)),
      output: out('.a'),
      ...beyondGo,
    });
    const compiler = beyondGo.native?.compiler;
    await writeFile(out('.importcfg'), await aboutArchive(importPath, compiler));
    if (target.namedOuts.sources === undefined) return;
    await writeSources(out('.gosrcs'), place, found.library, importPath, beyondGo);
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
  place: PackagePlace,
  group: FileGroup,
  importPath: string,
  beyondGo: BeyondGo,
): Promise<void> {
  const native = beyondGo.native;
  const more = [
    ...(beyondGo.assembly ?? []),
    ...(native === undefined ? [] : [...native.assembly, ...native.files.go, ...native.files.c, ...native.files.cxx]),
    // Headers may lie anywhere, and no compiler tells us here which it read.
    ...(await headersIn(place.folder)),
  ];
  for (const name of new Set([...group.files, ...Object.values(group.embeds).flat(), ...more])) {
    await mkdir(dirname(join(to, name)), { recursive: true });
    await copyFile(join(place.folder, name), join(to, name));
  }
  const imports = group.imports.map(({ path }) => ({ path, at: [] }));
  // A profile is no part of what the package is.
  const { profile: _, ...rest } = beyondGo;
  const about = { importPath, package: place.shownAs, group: { ...group, imports }, beyondGo: rest };
  await writeFile(join(to, sourcesFile), JSON.stringify(about));
}

async function headersIn(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => /\.(h|hh|hpp|hxx|inc)$/.test(name)).sort();
}
