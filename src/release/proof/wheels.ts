import { basename } from 'node:path';
import type { BuiltFile } from '../../build/index.ts';
import type { Graph, Label, Target } from '../../graph/index.ts';
import type { Module, ModuleArchive } from '../../image/index.ts';
import { licencesOfWheelFile } from './licences.ts';
import { plainSum } from './sums.ts';

/** What is asked of a build. */
export interface Looks {
  /** Outputs of a target. */
  built(label: Label): Promise<readonly BuiltFile[]>;
  /** Which of the wheels that a Python library may be was taken: its SHA-256 in hex. Undefined where that can't be found out. */
  taken?(target: Target): Promise<string | undefined>;
}

/** Targets that give the wheels of a Python library. */
export function wheelsOf({ action, srcs }: Target): Label[] {
  if (action.kind !== 'builtin' || action.name !== 'python_wheel') return [];
  return (srcs.named.wheel ?? []).flatMap((input) => (input.kind === 'label' ? [input.label] : []));
}

/**
 * The wheels that a Python library was unpacked of, each with its sum: those that other targets give, all of which are in it, or the one that
 * pip took of those in the lock.
 */
export async function wheelSums(
  target: Target,
  graph: Graph,
  { built, taken = async () => undefined }: Looks,
): Promise<Pick<Module, 'sha256' | 'archives' | 'possible'>> {
  const given = wheelsOf(target);
  if (given.length > 0) {
    const archives: ModuleArchive[] = [];
    for (const label of given) {
      const declared = graph.targets.get(label)?.hashes ?? [];
      for (const file of (await built(label)).filter(({ kind }) => kind === 'file'))
        archives.push({ name: basename(file.path), sha256: file.sha256, licences: await licencesOfWheelFile(file) });
      if (archives.length === 0 && given.length === 1 && declared.length === 1)
        return { sha256: plainSum(declared[0]!) };
    }
    return archives.length > 1 ? { archives } : { sha256: archives[0]?.sha256 };
  }
  const config =
    target.action.kind === 'builtin' ? (target.action.config as { readonly hashes?: unknown } | null) : null;
  const hashes = Array.isArray(config?.hashes) ? config.hashes.map((each) => plainSum(String(each))) : [];
  const sums = hashes.filter((each) => each !== undefined);
  if (sums.length < 2) return { sha256: sums[0] };
  const sum = await taken(target);
  return sum === undefined ? { possible: sums.sort() } : { sha256: sum };
}
