import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import {
  BuildFault,
  formatGoLock,
  type GoLock,
  type KnownModule,
  lockGo,
  type WantedDownload,
  type WantedRepo,
} from '../../../build/index.ts';
import { cacheFolder, writeAtomically } from '../../../disk/index.ts';
import { type Label, loadUnchecked, type Target, type Workspace } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { count } from '../../views/count.ts';
import { graphOptions, here } from '../../workspace.ts';

const lockFile = 'go.lock.json';

export function define(command: Command, context: CommandContext): void {
  command
    .command('go')
    .description(`write ${lockFile} beside the BUILD files that have go_repo targets: sums, packages and their imports`)
    .action(async () => {
      const { workspace } = await here();
      await lockAll(workspace, context);
    });
}

async function lockAll(workspace: Workspace, context: CommandContext): Promise<void> {
  const { terminal, progress, signal } = context;
  // Unchecked: labels of packages that a lock does not have yet lead to nothing before it is written.
  const targets = await loadUnchecked(workspace, graphOptions());
  const repos = [...targets.values()]
    .map((target) => wantedRepo(target, targets, workspace))
    .filter((each) => each !== undefined);
  const downloads = [...targets.values()].map(wantedDownload).filter((each) => each !== undefined);
  if (repos.length + downloads.length === 0) {
    terminal.print('no go_repo or go_module is there to lock');
    return;
  }
  const modules = [...targets.values()].map(knownModule).filter((each) => each !== undefined);
  const goMod = modFile(targets, workspace);
  const { locks, missing } = await lockGo({
    repos,
    downloads,
    modules,
    replaced: goMod === undefined ? new Map() : replacements(await textOf(join(workspace.root, goMod))),
    sums: goMod === undefined ? new Map() : sumsOf(await textOf(join(workspace.root, goMod.replace(/mod$/, 'sum')))),
    cacheFolder: cacheFolder(),
    progress,
    signal,
  });
  for (const [packageName, lock] of [...locks].sort()) {
    const shown = packageName === '' ? lockFile : `${packageName}/${lockFile}`;
    const path = join(workspace.root, shown);
    const changed = changedVersions(await textOf(path), lock);
    await writeAtomically(path, formatGoLock(lock));
    const counted = count(Object.keys(lock.modules).length + Object.keys(lock.downloads ?? {}).length, 'module');
    terminal.print(
      `${terminal.paint.good('✓')} ${shown}: ${counted}, ${changed.length === 0 ? 'no new version' : `${changed.length} changed`}`,
    );
    for (const line of changed) terminal.print(`  ${line}`);
  }
  if (missing.size === 0) return;
  terminal.print(
    `${count(missing.size, 'package')} that no go_repo gives; what uses what imports them can't be built:`,
  );
  const lines = [...missing].sort().map(([path, user]) => `  ${path}, imported by ${user}`);
  for (const line of lines.slice(0, shownMissing)) terminal.print(line);
  if (lines.length > shownMissing) terminal.print(`  and ${lines.length - shownMissing} more`);
}

/** Most of these belong to parts of modules that nobody uses. */
const shownMissing = 10;

interface RepoConfig {
  readonly module: string;
  readonly version?: string;
  readonly strip?: readonly string[];
  readonly tags?: readonly string[];
}

function configOf(target: Target | undefined, action: string): RepoConfig | undefined {
  if (target?.action.kind !== 'builtin' || target.action.name !== action) return undefined;
  return target.action.config as unknown as RepoConfig;
}

function wantedRepo(target: Target, targets: ReadonlyMap<Label, Target>, workspace: Workspace): WantedRepo | undefined {
  const config = configOf(target, 'go_repo');
  if (config === undefined) return undefined;
  const { module, version = '', strip = [], tags = [] } = config;
  const { download = [], patch = [] } = target.srcs.named;
  const [input] = download;
  let source: WantedRepo['source'] = { module, version, strip: [] };
  const patched = [...patch];
  if (input !== undefined) {
    const fork = input.kind === 'label' ? targets.get(input.label) : undefined;
    const found = configOf(fork, 'go_mod_download');
    if (fork === undefined || found?.version === undefined) {
      throw new BuildFault('build/bad-config', `${target.label} has its files from what is no go_mod_download`, {
        place: target.place,
        next: 'name a go_mod_download as download',
      });
    }
    source = { module: found.module, version: found.version, strip: found.strip ?? [] };
    patched.push(...(fork.srcs.named.patch ?? []));
  }
  const patches = patched.map((each) => {
    if (each.kind === 'file') return join(workspace.root, each.path);
    throw new BuildFault(
      'build/bad-config',
      `${target.label} has a patch that is built, and locks are made before that`,
      {
        place: target.place,
        next: 'name files as patch',
      },
    );
  });
  return { label: target.label, package: target.package, module, source, strip, tags, patches };
}

function wantedDownload(target: Target): WantedDownload | undefined {
  const config = configOf(target, 'go_mod_download');
  if (config?.version === undefined) return undefined;
  return { label: target.label, package: target.package, module: config.module, version: config.version };
}

function knownModule(target: Target): KnownModule | undefined {
  const config = configOf(target, 'go_module') as (RepoConfig & { binary?: boolean }) | undefined;
  return config === undefined || config.binary === true ? undefined : { label: target.label, module: config.module };
}

/** The go.mod that the setting ModFile of Please's plugin names. */
function modFile(targets: ReadonlyMap<Label, Target>, workspace: Workspace): string | undefined {
  const go = {
    ...workspace.please?.plugins.go?.config,
    ...(workspace.config.go as Record<string, unknown> | undefined),
  };
  const named = go.mod_file ?? go.modfile;
  if (typeof named !== 'string' || named === '') return undefined;
  const target = targets.get(named as Label);
  const [input] = target?.srcs.all ?? [];
  return input?.kind === 'file' ? input.path : undefined;
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}

/** `replace old [version] => new version`, alone or in a block: which module stands in for which. */
function replacements(goMod: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of goMod.split('\n')) {
    const [, from, to] =
      /^\s*(?:replace\s+)?([^\s()]+)(?:\s+v\S+)?\s+=>\s+([^\s]+)/.exec(line.replace(/\/\/.*/, '')) ?? [];
    if (from !== undefined && to !== undefined && !/^\.{0,2}\//.test(to) && from !== to) found.set(from, to);
  }
  return found;
}

function sumsOf(goSum: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of goSum.split('\n')) {
    const [module, version, sum] = line.trim().split(/\s+/);
    if (sum !== undefined) found.set(`${module} ${version}`, sum);
  }
  return found;
}

function changedVersions(before: string, after: GoLock): string[] {
  let old: Partial<GoLock> = {};
  try {
    old = JSON.parse(before === '' ? '{}' : before) as Partial<GoLock>;
  } catch {
    // What is no lock is written anew.
  }
  const names = [...new Set([...Object.keys(old.modules ?? {}), ...Object.keys(after.modules)])].sort();
  return names.flatMap((name) => {
    const from = old.modules?.[name]?.version;
    const to = after.modules[name]?.version;
    return from === to ? [] : [`${name} ${from ?? '(new)'} -> ${to ?? '(gone)'}`];
  });
}
