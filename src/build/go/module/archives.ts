import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A compiled package of a module that is one target: `<name>.gomodule` is a folder with all of them. */
export interface ModuleArchive {
  readonly importPath: string;
  /** Absolute. */
  readonly archive: string;
  readonly compiler: string | undefined;
}

const listFile = 'packages.json';

/** Path of a package's archive in the folder. */
export function archivePath(folder: string, importPath: string): string {
  return join(folder, 'pkg', `${importPath}.a`);
}

/** @param packages import paths with the C compiler and its identity, where they have C in them */
export async function writeModuleList(
  folder: string,
  packages: Readonly<Record<string, { readonly compiler: string; readonly identity: string } | null>>,
): Promise<void> {
  await mkdir(dirname(join(folder, listFile)), { recursive: true });
  await writeFile(join(folder, listFile), JSON.stringify(packages));
}

export async function readModuleArchives(folder: string): Promise<ModuleArchive[]> {
  // Written by the action go_module, whose version is part of the key.
  const packages = JSON.parse(await readFile(join(folder, listFile), 'utf8')) as Record<
    string,
    { readonly compiler: string } | null
  >;
  return Object.entries(packages).map(([importPath, native]) => ({
    importPath,
    archive: archivePath(folder, importPath),
    compiler: native?.compiler,
  }));
}
