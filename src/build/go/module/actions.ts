import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { configList, configText, configTexts, configValue, refuseUnlocked } from '../../config.ts';
import { BuildFault } from '../../fault.ts';
import type { BuiltinAction, BuiltinRequest } from '../../types.ts';
import { compilerOf, link } from '../binary.ts';
import { compilerIdentity } from '../cgo.ts';
import type { Archives } from '../compilation.ts';
import { compile } from '../compile.ts';
import { archivesOf, goDependencies } from '../dependency.ts';
import { inspectPackage } from '../inspect.ts';
import { goKey, nativeParts } from '../stage.ts';
import { openToolchain, type Toolchain } from '../toolchain.ts';
import { archivePath, writeModuleList } from './archives.ts';
import { importPathOf, languageOf, listIn, type ModulePackage } from './list.ts';
import { placeModule } from './source.ts';

/** The files of a module, as a folder. */
export const goModDownload: BuiltinAction = {
  version: '1',
  toolsOnDemand: true,
  async run(request) {
    await placeModule(request, join(request.outputFolder, request.target.outs[0] ?? ''));
  },
};

/**
 * The files of each package of a module, apart from one another: what compiles one of them depends on its own files only. Config:
 * `packages`, the folder of each package with the output that it is put into, as the lock lists them.
 */
export const goRepo: BuiltinAction = {
  version: '1',
  key: goKey,
  toolsOnDemand: true,
  async run(request) {
    const { target } = request;
    refuseUnlocked(request, 'run banksman lock go, and commit the lock file');
    const tags = configList(request, 'tags');
    const toolchain = await openToolchain(request, request);
    const module = join(request.temporaryFolder, 'module');
    await placeModule(request, module);
    const found = new Map((await listIn(request, toolchain, module, tags)).map((each) => [each.folder, each]));
    const files = await filesBelow(module);
    for (const [folder, out] of Object.entries(configTexts(request, 'packages'))) {
      const one = found.get(folder);
      if (one === undefined) {
        throw new BuildFault(
          'build/unlocked',
          `the lock of ${target.label} has a package ${folder}, which the module has not`,
          {
            place: target.place,
            next: 'run banksman lock go, and commit the lock file',
          },
        );
      }
      const to = join(request.outputFolder, out);
      await mkdir(to, { recursive: true });
      for (const name of filesOf(one, files)) {
        await mkdir(dirname(join(to, name)), { recursive: true });
        await copyFile(join(module, name), join(to, name));
      }
    }
  },
};

/** All packages of a module that are asked for and what they need of it, compiled: or the program that one of them is. */
export const goModule: BuiltinAction = {
  version: '1',
  key: goKey,
  toolsOnDemand: true,
  async run(request) {
    const { target, outputFolder } = request;
    const module = configText(request, 'module');
    const version = configValue(request, 'version');
    const tags = configList(request, 'tags');
    const toolchain = await openToolchain(request, request);
    const shownAs = typeof version === 'string' && version !== '' ? `${module}@${version}` : module;
    const root = join(request.temporaryFolder, 'src', shownAs);
    await mkdir(dirname(root), { recursive: true });
    await placeModule(request, root);
    const language = languageOf(await readFile(join(root, 'go.mod'), 'utf8').catch(() => ''));
    const packages = await listIn(request, toolchain, root, tags);
    const dependencies = await goDependencies(request);
    const binary = configValue(request, 'binary') === true;
    const output = join(outputFolder, target.outs[0] ?? '');
    const into = binary ? join(request.temporaryFolder, 'compiled') : output;
    const made = new Map<string, string>();
    const about: Record<string, { compiler: string; identity: string } | null> = {};
    const given = archivesOf(dependencies);
    const order = inOrder(request, module, packages);
    let main: string | undefined;
    for (const each of order) {
      const importPath = importPathOf(module, each.folder);
      request.update(`compiling ${importPath}`);
      const archive = archivePath(into, importPath);
      await mkdir(dirname(archive), { recursive: true });
      const imports: Archives = new Map([...given, ...made]);
      const place = join(root, each.folder);
      const compiler = await compilePackage(request, toolchain, {
        importPath: each.name === 'main' ? 'main' : importPath,
        folder: place,
        shownAs: join(shownAs, each.folder),
        language,
        imports,
        output: archive,
        tags,
      });
      if (each.name === 'main') {
        main = archive;
        if (!binary) {
          throw new BuildFault('build/bad-config', `${target.label} installs ${importPath}, which is a program`, {
            place: target.place,
            next: 'set binary = True, or leave it out of install',
          });
        }
      } else made.set(importPath, archive);
      about[importPath] = compiler === undefined ? null : { compiler, identity: await compilerIdentity(compiler) };
    }
    if (!binary) return writeModuleList(output, about);
    if (main === undefined) {
      throw new BuildFault('build/bad-config', `${target.label} is to be a program, and installs none`, {
        place: target.place,
        next: 'install the package of the program: install = ["cmd/x"]',
      });
    }
    request.update('linking');
    await link(request, toolchain, {
      main,
      archives: new Map([...given, ...made]),
      compiler: compilerOf(dependencies) ?? Object.values(about).find((each) => each !== null)?.compiler,
      definitions: {},
      static: false,
      linkerFlags: configList(request, 'linker_flags'),
      output,
    });
  },
};

interface PackageCompilation {
  readonly importPath: string;
  readonly folder: string;
  readonly shownAs: string;
  readonly language: string;
  readonly imports: Archives;
  readonly output: string;
  readonly tags: readonly string[];
}

/** @returns the C compiler that it was compiled with, if any */
async function compilePackage(
  request: BuiltinRequest,
  toolchain: Toolchain,
  what: PackageCompilation,
): Promise<string | undefined> {
  const cgo = String(configValue(request, 'cgo') ?? '') !== '';
  const place = { folder: what.folder, shownAs: what.shownAs, cgo, tags: what.tags, fromModule: true };
  const found = await inspectPackage(request, toolchain, what.folder, place);
  const beyondGo = nativeParts(request, found, place);
  await compile(request, toolchain, { ...what, group: found.library, ...beyondGo, language: what.language });
  return beyondGo.native?.compiler;
}

/** The packages to compile, each after those that it imports. */
function inOrder(request: BuiltinRequest, module: string, packages: readonly ModulePackage[]): ModulePackage[] {
  const byFolder = new Map(packages.map((each) => [each.folder, each]));
  const byPath = new Map(packages.map((each) => [importPathOf(module, each.folder), each]));
  const wanted: ModulePackage[] = [];
  for (const text of configList(request, 'install')) {
    const [, folder = ''] = /^(.*?)\/?(?:\.\.\.)?$/.exec(text) ?? [];
    const top = folder === '' ? '.' : folder;
    if (text.endsWith('...')) {
      const all = packages.filter(
        ({ folder: at, name }) => name !== 'main' && (top === '.' || at === top || at.startsWith(`${top}/`)),
      );
      wanted.push(...all);
      continue;
    }
    const one = byFolder.get(top);
    if (one === undefined) {
      const { target } = request;
      throw new BuildFault('build/bad-config', `${target.label} installs ${text}, which ${module} has no package for`, {
        place: target.place,
        notes: [
          `it has ${packages
            .slice(0, 12)
            .map((each) => each.folder)
            .join(', ')}${packages.length > 12 ? ', ...' : ''}`,
        ],
        next: 'correct install',
      });
    }
    wanted.push(one);
  }
  const done = new Set<ModulePackage>();
  const visit = (each: ModulePackage, above: readonly ModulePackage[]): void => {
    // The compiler tells of a circle; here it must only come to an end.
    if (done.has(each) || above.includes(each)) return;
    for (const path of each.imports) {
      const next = byPath.get(path);
      if (next !== undefined) visit(next, [...above, each]);
    }
    done.add(each);
  };
  for (const each of wanted) visit(each, []);
  return [...done];
}

/** What compilers read, beside what is embedded. */
const compiled = /\.(go|s|S|c|cc|cpp|cxx|h|hh|hpp|hxx|inc|a|syso|m|f|F|f90|swig|swigcxx)$/;
const nativeFile = /\.(s|S|c|cc|cpp|cxx|h|hh|hpp|hxx|inc|a)$/;

/** The files of one package, by their paths in the module. Where there is C or assembly, such files of the whole module. */
function filesOf({ folder, embeds, cgo }: ModulePackage, all: readonly string[]): string[] {
  const own = all.filter((path) => {
    const at = dirname(path);
    return at === folder && compiled.test(path) && !path.endsWith('_test.go');
  });
  const beyondGo = cgo || own.some((path) => nativeFile.test(path));
  const more = beyondGo ? all.filter((path) => nativeFile.test(path)) : [];
  return [...new Set([...own, ...more, ...embeds.map((name) => join(folder, name))])].sort();
}

async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}
