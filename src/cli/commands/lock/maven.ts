import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { checkId, fetchArtifact } from '../../../build/index.ts';
import { cacheFolder, writeAtomically } from '../../../disk/index.ts';
import { loadUnchecked, type Target, type Workspace } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { count } from '../../views/count.ts';
import { graphOptions, here } from '../../workspace.ts';

const lockFile = 'maven.lock.json';

export function define(command: Command, context: CommandContext): void {
  command
    .command('maven')
    .description(`write ${lockFile} beside the BUILD files that have maven_jar targets without a sum of their own`)
    .action(async () => {
      const { workspace } = await here();
      await lockAll(workspace, context);
    });
}

async function lockAll(workspace: Workspace, { terminal, progress, signal }: CommandContext): Promise<void> {
  const targets = await loadUnchecked(workspace, graphOptions());
  const wanted = [...targets.values()].filter((target) => configOf(target)?.lock === true);
  if (wanted.length === 0) {
    terminal.print('every maven_jar has its sum in the BUILD file');
    return;
  }
  const task = progress.begin('libraries of Java');
  const temporaryFolder = await mkdtemp(join(tmpdir(), 'banksman-maven-'));
  const packages = new Map<string, Map<string, string>>();
  try {
    for (const target of wanted) {
      const id = configOf(target)?.id ?? '';
      checkId(id, target.label, target.place);
      const options = {
        cacheFolder: cacheFolder(),
        temporaryFolder,
        signal,
        wanted: target.label,
        place: target.place,
      };
      const jars = packages.get(target.package) ?? new Map<string, string>();
      // What is kept has its sum as its name.
      const kept = await fetchArtifact(id, [], { ...options, update: (text) => task.update(text) });
      jars.set(id, basename(kept, '.jar'));
      packages.set(target.package, jars);
    }
  } finally {
    await rm(temporaryFolder, { recursive: true, force: true });
  }
  task.done();
  for (const [packageName, jars] of [...packages].sort()) {
    const shown = packageName === '' ? lockFile : `${packageName}/${lockFile}`;
    const path = join(workspace.root, shown);
    const before = await readFile(path, 'utf8').catch(() => '');
    const text = `${JSON.stringify({ jars: Object.fromEntries([...jars].sort()) }, undefined, 2)}\n`;
    await writeAtomically(path, text);
    terminal.print(
      `${terminal.paint.good('✓')} ${shown}: ${count(jars.size, 'jar')}, ${before === text ? 'nothing new' : 'changed'}`,
    );
  }
}

function configOf(target: Target): { readonly id?: string; readonly lock?: boolean } | undefined {
  if (target.action.kind !== 'builtin' || target.action.name !== 'maven_jar') return undefined;
  return target.action.config as { id?: string; lock?: boolean };
}
