import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

/** A git repository found on the disk without asking git, which would cost a process. */
export interface Repository {
  /** Absolute path of the top of the work tree. */
  readonly top: string;
  /** Path of the workspace below the top, `/` between parts; '' where they are the same. */
  readonly prefix: string;
  /** Absolute path of this work tree's own git folder: HEAD, index. */
  readonly folder: string;
  /** Absolute path of the folder that all work trees share: objects, config. */
  readonly common: string;
  readonly objectFormat: 'sha1' | 'sha256';
}

/** The repository that a folder lies in; undefined where there is none. */
export function findRepository(root: string): Repository | undefined {
  for (let top = resolve(root); ; top = dirname(top)) {
    const folder = gitFolder(top);
    if (folder !== undefined) {
      const common = commonFolder(folder);
      const prefix = relative(top, resolve(root)).split(sep).join('/');
      return { top, prefix, folder, common, objectFormat: objectFormat(common) };
    }
    if (dirname(top) === top) return undefined;
  }
}

/** `.git` is a folder, or in work trees and submodules a file that names one. See gitrepository-layout(5). */
export function gitFolder(top: string): string | undefined {
  const path = join(top, '.git');
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const folder = stat.isFile() ? /^gitdir: (.+?)\n?$/.exec(readFileSync(path, 'utf8'))?.[1] : '.git';
  if (folder === undefined) return undefined;
  const absolute = resolve(top, folder);
  return existsSync(join(absolute, 'HEAD')) ? absolute : undefined;
}

export function commonFolder(folder: string): string {
  const path = join(folder, 'commondir');
  return existsSync(path) ? resolve(folder, readFileSync(path, 'utf8').trim()) : folder;
}

function objectFormat(common: string): Repository['objectFormat'] {
  const path = join(common, 'config');
  const config = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return /^\s*objectformat\s*=\s*sha256\s*$/im.test(config) ? 'sha256' : 'sha1';
}

/** Whether history was cut off when the repository was cloned. */
export function isShallow(repository: Repository): boolean {
  return existsSync(join(repository.common, 'shallow'));
}
