import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { writeAtomically } from '../../../disk/index.ts';
import type { Place } from '../../../fault/index.ts';
import {
  type Label,
  loadUnchecked,
  parsePattern,
  splitLabel,
  type Target,
  type Workspace,
} from '../../../graph/index.ts';
import {
  type DebianLock,
  type DebianSource,
  debianArchitecture,
  formatDebianLock,
  ImageFault,
  isArchitecture,
  lockDebian,
  parseDebianLock,
  refreshGone,
} from '../../../image/index.ts';
import type { CommandContext } from '../../context.ts';
import { UsageFault } from '../../usage.ts';
import { count } from '../../views/count.ts';
import { graphOptions, here } from '../../workspace.ts';

export function define(command: Command, context: CommandContext): void {
  command
    .command('debian')
    .description('write the lock files of debian_packages targets: versions and sums of the whole closure')
    .argument('[patterns...]', 'which targets; all unless told')
    .option('--if-gone', 'lock anew only where a locked version is neither in the cache nor offered any more')
    .action(async (patterns: string[], options: { ifGone?: boolean }) => {
      const { workspace, currentPackage } = await here();
      const wanted = (await lockTargets(workspace)).filter(
        ({ label }) => patterns.length === 0 || patterns.some((pattern) => matches(pattern, label, currentPackage)),
      );
      if (wanted.length === 0 && patterns.length > 0) {
        throw new UsageFault('cli/unknown-label', `no debian_packages target matches ${patterns.join(' ')}`, {
          next: "see 'banksman query targets //...'",
        });
      }
      for (const target of wanted) {
        const locks = Object.entries(target.locks ?? {});
        if (locks.length === 0) await lockOne(target, workspace, options.ifGone === true, context);
        for (const [architecture, lock] of locks) {
          await lockOne({ ...target, lock }, workspace, options.ifGone === true, context, debianName(architecture));
        }
      }
    });
}

/** What a debian_packages target asks for; see src/rules/debian.build_defs. */
interface LockTarget {
  readonly label: Label;
  readonly place: Place;
  readonly suite: string;
  readonly packages: readonly string[];
  readonly exclude: readonly string[];
  /** Relative to the workspace root. */
  readonly lock: string;
  /** The same by architecture, where the rule names some; this machine's then is not asked. */
  readonly locks?: Readonly<Record<string, string>>;
}

function lockTarget(target: Target): LockTarget | undefined {
  if (target.action.kind !== 'builtin' || target.action.name !== 'debian_packages') return undefined;
  const config = target.action.config as unknown as Omit<LockTarget, 'label' | 'place'>;
  return { label: target.label, place: target.place, ...config };
}

/** Unchecked: a lock without a package that is depended on already is what this command mends. */
async function lockTargets(workspace: Workspace): Promise<LockTarget[]> {
  const targets = await loadUnchecked(workspace, graphOptions());
  return [...targets.values()].map(lockTarget).filter((target) => target !== undefined);
}

function matches(text: string, label: Label, currentPackage: string): boolean {
  const pattern = parsePattern(text, currentPackage);
  if (pattern.kind === 'target') return pattern.label === label;
  const { package: name } = splitLabel(label);
  if (pattern.kind === 'package') return name === pattern.package;
  return pattern.package === '' || name === pattern.package || name.startsWith(`${pattern.package}/`);
}

async function lockOne(
  target: LockTarget,
  workspace: Workspace,
  ifGone: boolean,
  context: CommandContext,
  architecture?: string,
): Promise<void> {
  const { progress, signal, terminal } = context;
  const { mirror } = workspace.debian;
  const source: DebianSource = { suite: target.suite, architecture, ...(mirror !== undefined && { mirror }) };
  const path = join(workspace.root, target.lock);
  const before = await readLock(path, target.lock);
  if (ifGone && before !== undefined) {
    const { lock, changed } = await refreshGone({ source, lock: before, progress, signal });
    if (changed.length === 0) return;
    await writeAtomically(path, formatDebianLock(lock));
    progress.say(
      `${target.lock}: ${count(changed.length, 'package')} locked anew, since the old version is gone; commit the file`,
    );
    for (const { name, from, to } of changed) progress.say(`  ${name} ${from ?? '(new)'} -> ${to ?? '(left out)'}`);
    return;
  }
  const lock = await lockDebian({ source, packages: target.packages, exclude: target.exclude, progress, signal }).catch(
    (error: unknown) => {
      if (!(error instanceof ImageFault) || error.place !== undefined) throw error;
      const { code, message, notes, next } = error;
      throw new ImageFault(code, message, { place: target.place, notes, next, cause: error });
    },
  );
  await writeAtomically(path, formatDebianLock(lock));
  const changed = changedVersions(before, lock);
  terminal.print(
    `${terminal.paint.good('✓')} ${target.lock}: ${count(Object.keys(lock.packages).length, 'package')}, ${changed.length === 0 ? 'nothing new' : `${changed.length} changed`}`,
  );
  for (const line of changed) terminal.print(`  ${line}`);
}

function debianName(architecture: string): string {
  if (isArchitecture(architecture)) return debianArchitecture(architecture);
  throw new UsageFault('cli/wrong-use', `${architecture} is no architecture that images are made for`, {
    next: 'name amd64, arm64, ppc64le, riscv64 or s390x',
  });
}

async function readLock(path: string, shown: string): Promise<DebianLock | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : parseDebianLock(text, shown);
}

function changedVersions(before: DebianLock | undefined, after: DebianLock): string[] {
  const names = [...new Set([...Object.keys(before?.packages ?? {}), ...Object.keys(after.packages)])].sort();
  return names.flatMap((name) => {
    const from = before?.packages[name]?.version;
    const to = after.packages[name]?.version;
    return from === to ? [] : [`${name} ${from ?? '(new)'} -> ${to ?? '(gone)'}`];
  });
}
