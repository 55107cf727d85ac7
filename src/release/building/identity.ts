import { type BuiltinActions, languageActions, resolveTool, systemIdentity } from '../../build/index.ts';
import { cacheFolder } from '../../disk/index.ts';
import { isFault } from '../../fault/index.ts';
import type { Graph, Target } from '../../graph/index.ts';
import { openBlobStore } from '../../image/building.ts';
import { releaseActions } from './actions.ts';

/**
 * What beside its definition and its sources determines a target's outputs: the content of the system's programs that its
 * action and test run, its files of the system, and for a built-in action its version and what it asks of this machine (compilers). The same that
 * src/build puts into the keys of actions. For `identify` of src/graph's affected sets.
 *
 * A program that is not installed has an identity too: its absence.
 */
export async function identifyTargets(graphs: readonly Graph[]): Promise<(target: Target) => string> {
  const programs = new Map<string, string>();
  const files = new Map<string, string>();
  const actions = new Map<string, string>();
  const single = new Map<Target, string>();
  for (const graph of graphs) {
    const builtins: BuiltinActions = {
      ...languageActions,
      ...releaseActions(
        () => graph,
        () => openBlobStore(cacheFolder('blobs')),
      ),
    };
    for (const target of graph.targets.values()) {
      for (const name of programsOf(target)) if (!programs.has(name)) programs.set(name, await programIdentity(name));
      for (const path of systemFilesOf(target)) if (!files.has(path)) files.set(path, await systemIdentity(path));
      if (target.action.kind !== 'builtin') continue;
      const { name } = target.action;
      const { version, key } = builtins[name] ?? { version: 'unknown', key: undefined };
      const ask = async () => (key === undefined ? '' : known(async () => key(target)));
      // Most ask the same of the machine for every target.
      if ((key?.length ?? 0) === 0) {
        if (!actions.has(name)) actions.set(name, `${version} ${await ask()}`);
      } else single.set(target, `${version} ${await ask()}`);
    }
  }
  return (target) => {
    const builtin = target.action.kind === 'builtin' ? (single.get(target) ?? actions.get(target.action.name)) : '';
    const system = systemFilesOf(target).map((path) => `\n${path} ${files.get(path)}`);
    return `${programsOf(target)
      .map((name) => programs.get(name))
      .join('\n')}\n${builtin}${system.join('')}`;
  };
}

function systemFilesOf({ srcs, tools, test }: Target): string[] {
  const all = [...srcs.all, ...tools.all, ...(test?.tools.all ?? [])];
  return all.flatMap((input) => (input.kind === 'system' ? [input.path] : []));
}

function programsOf({ action, tools, test }: Target): string[] {
  const names = [...tools.all, ...(test?.tools.all ?? [])].flatMap((input) =>
    input.kind === 'program' ? [input.name] : [],
  );
  // Commands are run by bash.
  if ((action.kind === 'shell' && action.command !== '') || test !== undefined) names.push('bash');
  return [...new Set(names)].sort();
}

function programIdentity(name: string): Promise<string> {
  return known(async () => (await resolveTool(name)).identity);
}

async function known(ask: () => Promise<string>): Promise<string> {
  try {
    return await ask();
  } catch (error) {
    if (isFault(error)) return `unknown: ${error.code}`;
    throw error;
  }
}
