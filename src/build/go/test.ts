import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { configText } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';
import { link } from './binary.ts';
import { compile } from './compile.ts';
import { archivesOf, type GoDependency, goDependencies, type PackageSources } from './dependency.ts';
import { type FileGroup, type GoPackage, inspectPackage } from './inspect.ts';
import { stageSources } from './stage.ts';
import { testMain } from './test-main.ts';
import { openToolchain, type Toolchain, toolchainIdentity } from './toolchain.ts';

/**
 * Builds the test program of a package. Tests of `package x` are compiled together with the package, as `go test` does, and
 * whatever depends on the package is compiled anew against it, for the tests of `package x_test` that use it.
 */
export const goTest: BuiltinAction = {
  version: '1',
  key: toolchainIdentity,
  async run(request) {
    const { target } = request;
    const importPath = configText(request, 'import_path');
    const toolchain = await openToolchain(request.cacheFolder, request.progress, request.update, request.signal);
    request.update('compiling tests');
    const dependencies = await goDependencies(request);
    const folder = join(request.temporaryFolder, 'src', target.package);
    await stageSources(request, folder);
    const found = await inspectPackage(request, toolchain, folder);
    const functions = [found.internalHave, found.externalHave];
    const count = functions.flatMap((each) => [...each.tests, ...each.examples, ...each.fuzzers]).length;
    if (count === 0 && !functions.some((each) => each.main)) {
      throw new BuildFault('build/bad-config', `${target.label} holds no test`, {
        place: target.place,
        next: 'give it files *_test.go with functions TestX(t *testing.T)',
      });
    }
    const archives = archivesOf(dependencies);
    const direct = new Set(dependencies.filter((each) => each.direct).map((each) => each.importPath));
    const under = dependencies.find((each) => each.importPath === importPath);
    if (found.internal.files.length + found.library.files.length > 0) {
      await compileUnderTest(request, toolchain, { importPath, folder, found, under, archives, direct });
      await compileDependants(request, toolchain, importPath, dependencies, archives);
      direct.add(importPath);
    }
    if (found.external.files.length > 0) {
      const output = join(request.temporaryFolder, 'external.a');
      const imports = only(archives, direct);
      const name = `${importPath}_test`;
      await compile(request, toolchain, {
        importPath: name,
        folder,
        shownAs: target.package,
        group: found.external,
        imports,
        output,
      });
      archives.set(name, output);
    }
    await linkTest(request, toolchain, importPath, found, archives);
  },
};

interface UnderTest {
  readonly importPath: string;
  readonly folder: string;
  readonly found: GoPackage;
  readonly under: GoDependency | undefined;
  readonly archives: Map<string, string>;
  readonly direct: ReadonlySet<string>;
}

/** Files of the library, if there is one, of this target's own, and the internal tests: one package. */
async function compileUnderTest(request: BuiltinRequest, toolchain: Toolchain, what: UnderTest): Promise<void> {
  const { importPath, folder, found, under, archives, direct } = what;
  const library = under?.sources;
  if (library !== undefined) await copySources(library, folder, request);
  const imports = only(archives, direct);
  imports.delete(importPath);
  // What the library imports is compiled already; the target need not name it again.
  for (const { path } of library?.group.imports ?? []) {
    const archive = archives.get(path);
    if (archive !== undefined) imports.set(path, archive);
  }
  const output = join(request.temporaryFolder, 'under-test.a');
  const group = joinGroups([...(library === undefined ? [] : [library.group]), found.library, found.internal]);
  await compile(request, toolchain, {
    importPath,
    folder,
    shownAs: request.target.package,
    group,
    imports,
    output,
  });
  archives.set(importPath, output);
}

async function copySources(library: PackageSources, folder: string, request: BuiltinRequest): Promise<void> {
  for (const name of new Set([...library.group.files, ...Object.values(library.group.embeds).flat()])) {
    const to = join(folder, name);
    await mkdir(dirname(to), { recursive: true });
    await copyFile(join(library.folder, name), to).catch((cause: unknown) => {
      throw new BuildFault('build/bad-config', `${name} is in the go_library and in ${request.target.label}`, {
        place: request.target.place,
        next: 'leave it out of the test',
        cause,
      });
    });
  }
}

/** Packages that import the one under test hold what they know of it: they have to know its tested form. */
async function compileDependants(
  request: BuiltinRequest,
  toolchain: Toolchain,
  importPath: string,
  dependencies: readonly GoDependency[],
  archives: Map<string, string>,
): Promise<void> {
  const stale = new Set([importPath]);
  for (const { importPath: path, sources } of dependencies) {
    if (sources === undefined || path === importPath) continue;
    if (!sources.group.imports.some((each) => stale.has(each.path))) continue;
    stale.add(path);
    const output = join(request.temporaryFolder, `again-${stale.size}.a`);
    const folder = join(request.temporaryFolder, 'again', sources.package);
    await copySources(sources, folder, request);
    await compile(request, toolchain, {
      importPath: path,
      folder,
      shownAs: sources.package,
      group: sources.group,
      imports: only(archives, new Set(sources.group.imports.map((each) => each.path))),
      output,
    });
    archives.set(path, output);
  }
}

async function linkTest(
  request: BuiltinRequest,
  toolchain: Toolchain,
  importPath: string,
  found: GoPackage,
  archives: Map<string, string>,
): Promise<void> {
  const folder = join(request.temporaryFolder, 'main');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'main.go'), testMain(importPath, found.internalHave, found.externalHave));
  const main = join(request.temporaryFolder, 'main.a');
  const group: FileGroup = { files: ['main.go'], imports: [], embeds: {} };
  await compile(request, toolchain, {
    importPath: 'main',
    folder,
    shownAs: 'main',
    group,
    imports: archives,
    output: main,
  });
  request.update('linking');
  await link(request, toolchain, main, archives, {}, join(request.outputFolder, request.target.outs[0] ?? ''));
}

function only(archives: ReadonlyMap<string, string>, paths: ReadonlySet<string>): Map<string, string> {
  return new Map([...archives].filter(([path]) => paths.has(path)));
}

function joinGroups(groups: readonly FileGroup[]): FileGroup {
  const imports = new Map<string, FileGroup['imports'][number]>();
  for (const each of groups.flatMap((group) => group.imports))
    if (!imports.has(each.path)) imports.set(each.path, each);
  return {
    files: groups.flatMap((group) => group.files),
    imports: [...imports.values()],
    embeds: Object.assign({}, ...groups.map((group) => group.embeds)) as FileGroup['embeds'],
  };
}
