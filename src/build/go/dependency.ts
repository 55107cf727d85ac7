import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFault } from '../fault.ts';
import type { BuiltinRequest, LaidDependency } from '../types.ts';
import type { FileGroup } from './inspect.ts';

/** A compiled Go package among an action's dependencies. */
export interface GoDependency {
  readonly importPath: string;
  /** Absolute path of the archive. */
  readonly archive: string;
  readonly direct: boolean;
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
}

export const sourcesFile = 'package.json';

/** Go packages among the dependencies; what depends on others comes after them. Other dependencies are left out. */
export async function goDependencies(request: BuiltinRequest): Promise<GoDependency[]> {
  const found: GoDependency[] = [];
  for (const dependency of request.deps) {
    const config = dependency.files.find(({ path }) => path.endsWith('.importcfg'));
    const archive = dependency.files.find(({ path }) => path.endsWith('.a'));
    if (config === undefined || archive === undefined) continue;
    const importPath = (await readFile(config.absolute, 'utf8')).trim();
    const twice = found.find((each) => each.importPath === importPath);
    if (twice !== undefined) {
      throw new BuildFault(
        'build/bad-config',
        `${request.target.label} depends on two packages with the import path ${importPath}`,
        { place: request.target.place, next: 'give one of them another import_path, or join them' },
      );
    }
    found.push({
      importPath,
      archive: archive.absolute,
      direct: dependency.direct,
      sources: await sourcesOf(dependency),
    });
  }
  return found;
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
