import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { findWheel, normalName } from '../../../build/index.ts';
import { cacheFolder, writeAtomically } from '../../../disk/index.ts';
import { type Label, loadUnchecked, splitLabel, type Target, type Workspace } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { count } from '../../views/count.ts';
import { graphOptions, here } from '../../workspace.ts';

const lockFile = 'python.lock.json';

export function define(command: Command, context: CommandContext): void {
  command
    .command('python')
    .description(
      `write ${lockFile} beside the BUILD files that have pip_library targets: sums of the wheels that pip takes here`,
    )
    .action(async () => {
      const { workspace } = await here();
      await lockAll(workspace, context);
    });
}

/** A library that pip brings. */
interface WantedLibrary {
  readonly target: Target;
  readonly name: string;
  readonly version: string;
  readonly flags: readonly string[];
}

/** `python.lock.json`: sums by the file names of wheels, which say what machines they are for. */
interface PythonLock {
  readonly libraries: Readonly<Record<string, LockedLibrary>>;
}

interface LockedLibrary {
  readonly version: string;
  readonly wheels: Readonly<Record<string, string>>;
}

async function lockAll(workspace: Workspace, { terminal, progress, signal }: CommandContext): Promise<void> {
  const targets = await loadUnchecked(workspace, graphOptions());
  const wanted = [...targets.values()].map(wantedLibrary).filter((each) => each !== undefined);
  if (wanted.length === 0) {
    terminal.print('no pip_library is there to lock');
    return;
  }
  const packages = new Map<string, Record<string, LockedLibrary>>();
  const before = new Map<string, PythonLock>();
  const missing: string[] = [];
  const task = progress.begin('libraries of Python');
  for (const { target, name, version, flags } of wanted) {
    task.update(`${name} ${version}`);
    if (!before.has(target.package)) before.set(target.package, await readLock(workspace, target.package));
    const wheel = await findWheel(
      { name, version, flags },
      { cacheFolder: cacheFolder(), signal, wanted: target.label, place: target.place },
    );
    const known = before.get(target.package)?.libraries[name];
    const wheels = { ...(known?.version === version ? known.wheels : {}), [wheel.file]: wheel.sha256 };
    const lock = packages.get(target.package) ?? {};
    lock[name] = { version, wheels: Object.fromEntries(Object.entries(wheels).sort()) };
    packages.set(target.package, lock);
    const named = namesBehind(target, targets);
    for (const need of wheel.needs) if (!named.has(need)) missing.push(`${target.label} may need ${need}`);
  }
  task.done();
  for (const [packageName, libraries] of [...packages].sort()) {
    const shown = packageName === '' ? lockFile : `${packageName}/${lockFile}`;
    const sorted = Object.fromEntries(Object.entries(libraries).sort());
    const old = before.get(packageName)?.libraries ?? {};
    await writeAtomically(join(workspace.root, shown), `${JSON.stringify({ libraries: sorted }, undefined, 2)}\n`);
    const changed = [...new Set([...Object.keys(old), ...Object.keys(sorted)])]
      .filter((name) => old[name]?.version !== sorted[name]?.version)
      .sort()
      .map((name) => `  ${name} ${old[name]?.version ?? '(new)'} -> ${sorted[name]?.version ?? '(gone)'}`);
    const all = Object.keys(sorted).length;
    terminal.print(
      `${terminal.paint.good('✓')} ${shown}: ${all} ${all === 1 ? 'library' : 'libraries'}, ${changed.length === 0 ? 'no new version' : `${changed.length} changed`}`,
    );
    for (const line of changed) terminal.print(line);
  }
  if (missing.length === 0) return;
  terminal.print(
    `${count(missing.length, 'need')} that no pip_library among the deps has; some are for other versions of Python:`,
  );
  for (const line of missing.sort()) terminal.print(`  ${line}`);
}

function wantedLibrary(target: Target): WantedLibrary | undefined {
  if (target.action.kind !== 'builtin' || target.action.name !== 'python_wheel') return undefined;
  const { name, version, flags = [] } = target.action.config as unknown as Partial<WantedLibrary>;
  return name === undefined || version === undefined ? undefined : { target, name, version, flags };
}

/** Names of the libraries that a target has among its dependencies, however far. */
function namesBehind(target: Target, targets: ReadonlyMap<Label, Target>): Set<string> {
  const names = new Set<string>();
  const seen = new Set<Label>([target.label]);
  const pending = [...target.deps];
  for (let label = pending.pop(); label !== undefined; label = pending.pop()) {
    if (seen.has(label)) continue;
    seen.add(label);
    const each = targets.get(label);
    if (each === undefined) continue;
    names.add(normalName(wantedLibrary(each)?.name ?? splitLabel(label).name));
    pending.push(...each.deps, ...each.exportedDeps);
  }
  return names;
}

async function readLock(workspace: Workspace, packageName: string): Promise<PythonLock> {
  try {
    const text = await readFile(join(workspace.root, packageName, lockFile), 'utf8');
    const value = JSON.parse(text) as Partial<PythonLock>;
    return { libraries: value.libraries ?? {} };
  } catch {
    // What is no lock is written anew.
    return { libraries: {} };
  }
}
