import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { besideName, type Label, labelOf } from '../../../graph/index.ts';
import { ProcessFault, run } from '../../../process/index.ts';
import type { Progress } from '../../../progress/index.ts';
import { BuildFault } from '../../fault.ts';
import { openToolchain, type Toolchain } from '../toolchain.ts';
import { type FetchedModule, fetchModule } from './fetch.ts';
import { importPathOf, languageOf, listPackages, type ModulePackage } from './list.ts';

/** A go_repo of the workspace. */
export interface WantedRepo {
  readonly label: Label;
  /** Package of the workspace that declares it. */
  readonly package: string;
  readonly module: string;
  /** The module that its files are of, and the version: another one where a fork stands in. */
  readonly source: { readonly module: string; readonly version: string; readonly strip: readonly string[] };
  readonly strip: readonly string[];
  readonly tags: readonly string[];
  /** Absolute paths. */
  readonly patches: readonly string[];
}

/** A go_mod_download of the workspace: of it only the sums are locked. */
export interface WantedDownload {
  readonly label: Label;
  readonly package: string;
  readonly module: string;
  readonly version: string;
}

/** Another target that gives packages of a module: a go_module. */
export interface KnownModule {
  readonly label: Label;
  readonly module: string;
}

export interface LockedPackage {
  /** Of the package clause. */
  readonly name: string;
  /** Targets of the packages that it imports, as labels for the BUILD file beside the lock. */
  readonly deps?: readonly string[];
  readonly cgo?: boolean;
}

export interface LockedModule {
  readonly version: string;
  readonly sum: string;
  readonly mod_sum: string;
  /** Of the language: `go1.20`. */
  readonly language: string;
  readonly strip?: readonly string[];
  readonly tags?: readonly string[];
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** `go.lock.json`. */
export interface GoLock {
  /** `module@version` of go_mod_download targets. */
  readonly downloads?: Readonly<Record<string, { readonly sum: string; readonly mod_sum: string }>>;
  readonly modules: Readonly<Record<string, LockedModule>>;
}

export interface LockGoOptions {
  readonly repos: readonly WantedRepo[];
  readonly downloads: readonly WantedDownload[];
  readonly modules: readonly KnownModule[];
  /** Import paths of modules that another module stands in for: `replace` of a go.mod. */
  readonly replaced: ReadonlyMap<string, string>;
  /** Sums that are known: `module version` to `h1:...`, as in a go.sum. */
  readonly sums: ReadonlyMap<string, string>;
  readonly cacheFolder: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface GoLocked {
  /** By the package of the workspace that the lock belongs to. */
  readonly locks: ReadonlyMap<string, GoLock>;
  /** What packages import that no target gives, with a package that does: only those who use that package need it. */
  readonly missing: ReadonlyMap<string, string>;
}

/**
 * Fetches every module and writes down what its packages import, so that the graph knows it without a build.
 *
 * @throws BuildFault as `fetchModule`
 */
export async function lockGo(options: LockGoOptions): Promise<GoLocked> {
  const { repos, progress, signal, cacheFolder } = options;
  const task = progress.begin('modules of Go');
  const toolchain = await openToolchain({ cacheFolder, progress, update: (text) => task.update(text), signal });
  const listed: ListedRepo[] = [];
  for (const repo of [...repos].sort((a, b) => (a.module < b.module ? -1 : 1))) {
    task.update(`${repo.module}@${repo.source.version}`);
    listed.push(await listRepo(toolchain, repo, options));
  }
  const owners = ownersOf(listed, options);
  const missing = new Map<string, string>();
  const locks = new Map<string, Record<string, LockedModule>>();
  for (const { repo, entry, packages } of listed) {
    const locked: Record<string, LockedPackage> = {};
    for (const each of packages) {
      const own = importPathOf(repo.module, each.folder);
      const deps = new Set<string>();
      for (const path of each.imports) {
        const label = owners(path);
        if (label !== undefined) deps.add(relativeTo(repo.package, label));
        else if (!isStandard(toolchain, path) && !missing.has(path)) missing.set(path, own);
      }
      locked[each.folder] = {
        name: each.name,
        ...(deps.size > 0 && { deps: [...deps].sort() }),
        ...(each.cgo && { cgo: true }),
      };
    }
    const lock = locks.get(repo.package) ?? {};
    lock[repo.module] = { ...entry, packages: locked };
    locks.set(repo.package, lock);
  }
  const downloads = new Map<string, Record<string, { sum: string; mod_sum: string }>>();
  for (const each of options.downloads) {
    task.update(`${each.module}@${each.version}`);
    const { sum, modSum } = await fetchLocked(each, each.label, options);
    const of = downloads.get(each.package) ?? {};
    of[`${each.module}@${each.version}`] = { sum, mod_sum: modSum };
    downloads.set(each.package, of);
  }
  task.done();
  const names = [...new Set([...locks.keys(), ...downloads.keys()])].sort();
  const both = names.map((name): [string, GoLock] => {
    const sums = Object.entries(downloads.get(name) ?? {}).sort();
    return [name, { ...(sums.length > 0 && { downloads: Object.fromEntries(sums) }), modules: locks.get(name) ?? {} }];
  });
  return { locks: new Map(both), missing };
}

function fetchLocked(
  { module, version }: { readonly module: string; readonly version: string },
  wanted: Label,
  { sums, signal, cacheFolder }: LockGoOptions,
): Promise<FetchedModule> {
  const known = { sum: sums.get(`${module} ${version}`), modSum: sums.get(`${module} ${version}/go.mod`) };
  return fetchModule({ module, version, ...known }, { cacheFolder, signal, wanted });
}

interface ListedRepo {
  readonly repo: WantedRepo;
  readonly entry: Omit<LockedModule, 'packages'>;
  readonly packages: readonly ModulePackage[];
}

async function listRepo(toolchain: Toolchain, repo: WantedRepo, options: LockGoOptions): Promise<ListedRepo> {
  const { version } = repo.source;
  const fetched = await fetchLocked(repo.source, repo.label, options);
  const packages = await packagesOf(toolchain, repo, fetched.folder, options.signal);
  const entry = {
    version,
    sum: fetched.sum,
    mod_sum: fetched.modSum,
    language: languageOf(await readFile(fetched.goMod, 'utf8')),
    ...(repo.strip.length > 0 && { strip: [...repo.strip].sort() }),
    ...(repo.tags.length > 0 && { tags: repo.tags }),
  };
  return { repo, entry, packages };
}

export function formatGoLock(lock: GoLock): string {
  return `${JSON.stringify(lock, undefined, 2)}\n`;
}

/** Packages of a module, with its patches applied. */
async function packagesOf(
  toolchain: Toolchain,
  repo: WantedRepo,
  fetched: string,
  signal: AbortSignal,
): Promise<ModulePackage[]> {
  const work = await mkdtemp(join(tmpdir(), 'banksman-module-'));
  try {
    let folder = fetched;
    if (repo.strip.length + repo.source.strip.length + repo.patches.length > 0) {
      folder = join(work, 'module');
      await cp(fetched, folder, { recursive: true });
      for (const path of [...repo.source.strip, ...repo.strip])
        await rm(join(folder, path), { recursive: true, force: true });
      for (const patch of repo.patches) {
        const args = ['--batch', '--strip', '1', '--directory', folder, '--input', patch];
        await run('patch', args, { signal, timeout: 60_000 });
      }
    }
    const found = await listPackages(toolchain, folder, repo.tags, join(work, 'packages.json'), (program, args) =>
      run(program, args, { signal, timeout: 120_000, env: { GO111MODULE: 'off', GOROOT: toolchain.goroot } }),
    );
    return found.sort((a, b) => (a.folder < b.folder ? -1 : 1));
  } catch (error) {
    if (!(error instanceof ProcessFault)) throw error;
    throw new BuildFault('build/action-failed', `the packages of ${repo.module} can't be listed: ${error.message}`, {
      notes: error.notes,
      next: repo.patches.length > 0 ? 'see that its patches fit this version' : 'correct the go_repo',
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Who gives a package, by its import path: of several modules that the path begins with, the longest that has it, as Go has it.
 */
function ownersOf(
  listed: readonly ListedRepo[],
  { modules, replaced }: LockGoOptions,
): (importPath: string) => Label | undefined {
  const byModule = new Map<string, (folder: string) => Label | undefined>();
  for (const { module, label } of modules) byModule.set(module, () => label);
  for (const { repo, packages } of listed) {
    const folders = new Set(packages.map(({ folder }) => folder));
    const repository = repo.module.replaceAll('/', '_');
    byModule.set(repo.module, (folder) =>
      folders.has(folder === '' ? '.' : folder) ? labelOf(repo.package, besideName(repository, folder)) : undefined,
    );
  }
  return (importPath) => {
    for (let top = importPath; ; top = top.slice(0, top.lastIndexOf('/'))) {
      const folder = importPath.slice(top.length + 1);
      const label = byModule.get(top)?.(folder) ?? byModule.get(replaced.get(top) ?? '')?.(folder);
      if (label !== undefined || !top.includes('/')) return label;
    }
  };
}

function isStandard(toolchain: Toolchain, path: string): boolean {
  return path === 'unsafe' || toolchain.standard.has(path) || !(path.split('/')[0] ?? '').includes('.');
}

function relativeTo(packageName: string, label: Label): string {
  const own = `//${packageName}:`;
  return label.startsWith(own) ? label.slice(own.length - 1) : label;
}
