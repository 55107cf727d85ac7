import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFault } from '../fault.ts';
import type { BuiltinRequest, LaidDependency } from '../types.ts';
import { compilerIdentity } from './cgo.ts';
import type { FileGroup } from './inspect.ts';
import { readModuleArchives } from './module/archives.ts';
import type { BeyondGo } from './stage.ts';

/** A compiled Go package among an action's dependencies. */
export interface GoDependency {
  readonly importPath: string;
  /** Absolute path of the archive. */
  readonly archive: string;
  readonly direct: boolean;
  /** The C compiler that a part of it was compiled with: the program is then linked by it. */
  readonly compiler: string | undefined;
  /** What it was compiled from; undefined where the action sees only archives. */
  readonly sources: PackageSources | undefined;
}

/** The `sources` output of a go_library: a folder with its files, and this beside them as `package.json`. */
export interface PackageSources {
  readonly folder: string;
  readonly importPath: string;
  /** Path of the package in the workspace. */
  readonly package: string;
  readonly group: FileGroup;
  readonly beyondGo: BeyondGo;
}

export const sourcesFile = 'package.json';

/** Go packages among the dependencies; what depends on others comes after them. Other dependencies are left out. */
export async function goDependencies(request: BuiltinRequest): Promise<GoDependency[]> {
  const found = new Map<string, GoDependency>();
  const add = (each: GoDependency) => {
    if (found.has(each.importPath)) {
      throw new BuildFault(
        'build/bad-config',
        `${request.target.label} depends on two packages with the import path ${each.importPath}`,
        { place: request.target.place, next: 'give one of them another import_path, or join them' },
      );
    }
    found.set(each.importPath, each);
  };
  for (const dependency of request.deps) {
    const { direct } = dependency;
    const module = dependency.files.find(({ path }) => path.endsWith('.gomodule'));
    if (module !== undefined) {
      for (const each of await readModuleArchives(module.absolute)) add({ ...each, direct, sources: undefined });
      continue;
    }
    const config = dependency.files.find(({ path }) => path.endsWith('.importcfg'));
    const archive = dependency.files.find(({ path }) => path.endsWith('.a'));
    if (config === undefined || archive === undefined) continue;
    const [importPath = '', compiler = ''] = (await readFile(config.absolute, 'utf8')).split('\n');
    add({
      importPath,
      archive: archive.absolute,
      direct,
      compiler: compiler === '' ? undefined : compiler.replace(/ .*/, ''),
      sources: await sourcesOf(dependency),
    });
  }
  return [...found.values()];
}

/**
 * What goes with an archive: its import path, and the C compiler that it was compiled with. What links it depends on the
 * compiler's version too, and knows of it only by this.
 */
export async function aboutArchive(importPath: string, compiler: string | undefined): Promise<string> {
  const second = compiler === undefined ? '' : `${compiler} ${await compilerIdentity(compiler)}\n`;
  return `${importPath}\n${second}`;
}

async function sourcesOf(dependency: LaidDependency): Promise<PackageSources | undefined> {
  const folder = dependency.files.find(({ path }) => path.endsWith('.gosrcs'))?.absolute;
  if (folder === undefined) return undefined;
  // Written by the action go_library, whose version is part of the key.
  const about = JSON.parse(await readFile(join(folder, sourcesFile), 'utf8')) as Omit<PackageSources, 'folder'>;
  return { folder, ...about };
}

export function archivesOf(dependencies: readonly GoDependency[]): Map<string, string> {
  return new Map(dependencies.map(({ importPath, archive }) => [importPath, archive]));
}
