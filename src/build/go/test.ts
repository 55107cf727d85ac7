import { existsSync } from 'node:fs';
import { constants, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { configList, configText, configValue, stampedTexts } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';
import { compilerOf, link } from './binary.ts';
import { compile } from './compile.ts';
import { archivesOf, type GoDependency, goDependencies, type PackageSources, sourcesFile } from './dependency.ts';
import { type FileGroup, type GoPackage, inspectPackage, type NativeFiles } from './inspect.ts';
import { type BeyondGo, goKey, nativeParts, stagePackage } from './stage.ts';
import { testMain } from './test-main.ts';
import { openToolchain, type Toolchain } from './toolchain.ts';

/**
 * Builds the test program of a package. Tests of `package x` are compiled together with the package, as `go test` does, and
 * whatever depends on the package is compiled anew against it, for the tests of `package x_test` that use it.
 */
export const goTest: BuiltinAction = {
  version: '2',
  key: goKey,
  toolsOnDemand: true,
  async run(request) {
    const { target } = request;
    const importPath = configText(request, 'import_path');
    const toolchain = await openToolchain(request, request);
    request.update('compiling tests');
    const dependencies = await goDependencies(request);
    const place = await stagePackage(request);
    const { folder } = place;
    const found = await inspectPackage(request, toolchain, folder, place);
    const functions = [found.internalHave, found.externalHave];
    const benchmark = configValue(request, 'benchmark') === true;
    const count = functions.flatMap((each) =>
      benchmark ? each.benchmarks : [...each.tests, ...each.examples, ...each.fuzzers],
    ).length;
    if (count === 0 && !functions.some((each) => each.main)) {
      throw new BuildFault('build/bad-config', `${target.label} holds no ${benchmark ? 'benchmark' : 'test'}`, {
        place: target.place,
        next: `give it files *_test.go with functions ${benchmark ? 'BenchmarkX(b *testing.B)' : 'TestX(t *testing.T)'}`,
      });
    }
    const archives = archivesOf(dependencies);
    const direct = new Set(dependencies.filter((each) => each.direct).map((each) => each.importPath));
    const under = dependencies.find((each) => each.importPath === importPath);
    const beyondGo = nativeParts(request, found, place);
    const own = found.internal.files.length + found.library.files.length;
    if (own > 0 || beyondGo.native !== undefined) {
      await compileUnderTest(request, toolchain, { importPath, folder, found, under, archives, direct, beyondGo });
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
    const compiler = compilerOf(dependencies) ?? beyondGo.native?.compiler;
    await linkTest(request, toolchain, importPath, found, archives, compiler);
  },
};

interface UnderTest {
  readonly importPath: string;
  readonly folder: string;
  readonly found: GoPackage;
  readonly under: GoDependency | undefined;
  readonly archives: Map<string, string>;
  readonly direct: ReadonlySet<string>;
  readonly beyondGo: BeyondGo;
}

/** Files of the library, if there is one, of this target's own, and the internal tests: one package. */
async function compileUnderTest(request: BuiltinRequest, toolchain: Toolchain, what: UnderTest): Promise<void> {
  const { importPath, folder, found, under, archives, direct, beyondGo } = what;
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
    ...(library === undefined ? beyondGo : joinBeyondGo(library.beyondGo, beyondGo)),
  });
  archives.set(importPath, output);
}

async function copySources(library: PackageSources, folder: string, request: BuiltinRequest): Promise<void> {
  const names = await readdir(library.folder, { recursive: true, withFileTypes: true });
  for (const entry of names) {
    const name = relative(library.folder, join(entry.parentPath, entry.name));
    if (!entry.isFile() || name === sourcesFile) continue;
    const to = join(folder, name);
    if (!name.endsWith('.go') && existsSync(to)) continue;
    await mkdir(dirname(to), { recursive: true });
    await copyFile(join(library.folder, name), to, constants.COPYFILE_EXCL).catch((cause: unknown) => {
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
      ...sources.beyondGo,
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
  compiler: string | undefined,
): Promise<void> {
  const folder = join(request.temporaryFolder, 'main');
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, 'main.go'),
    testMain(importPath, found.internalHave, found.externalHave, configValue(request, 'benchmark') === true),
  );
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
  await link(request, toolchain, {
    main,
    archives,
    compiler,
    definitions: stampedTexts(request, 'definitions'),
    static: configValue(request, 'static') === true,
    linkerFlags: configList(request, 'linker_flags'),
    output: join(request.outputFolder, request.target.outs[0] ?? ''),
  });
}

/** Assembly and C of the package, and those that the test adds. */
function joinBeyondGo(library: BeyondGo, test: BeyondGo): BeyondGo {
  const native = library.native ?? test.native;
  const joined =
    library.native === undefined || test.native === undefined
      ? native
      : { ...library.native, files: joinLists(library.native.files, test.native.files) };
  return {
    ...library,
    assembly: native === undefined ? [...(library.assembly ?? []), ...(test.assembly ?? [])] : [],
    ...(joined !== undefined && { native: joined }),
  };
}

function joinLists(one: NativeFiles, other: NativeFiles): NativeFiles {
  const keys = Object.keys(one) as (keyof NativeFiles)[];
  return Object.fromEntries(
    keys.map((key) => [key, [...new Set([...one[key], ...other[key]])]]),
  ) as unknown as NativeFiles;
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
