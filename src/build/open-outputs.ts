import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { matchPath, type Target } from '../graph/index.ts';
import { BuildFault } from './fault.ts';
import type { Scratch } from './scratch.ts';
import { outputNames } from './target.ts';

/** An output that only the action itself could know of. */
export interface FoundOutput {
  /** Relative to the package. */
  readonly name: string;
  /** Where the action left it. */
  readonly path: string;
}

/** Behind one of `output_dirs`. */
const everyFile = '/**';

/** The folders of `output_dirs`. */
export function outputFolders({ outputDirs = [] }: Target): string[] {
  return outputDirs.map((each) => (each.endsWith(everyFile) ? each.slice(0, -everyFile.length) : each));
}

/**
 * What an action has left in the target's `output_dirs`, in order. The folders count from where the action runs, or from the
 * target's package where there is none there.
 *
 * @throws BuildFault build/missing-output, build/bad-output
 */
export async function inOutputDirs(target: Target, scratch: Scratch): Promise<FoundOutput[]> {
  const found = new Map<string, string>();
  const declared = new Set(outputNames(target));
  for (const written of target.outputDirs ?? []) {
    const deep = written.endsWith(everyFile);
    const folder = deep ? written.slice(0, -everyFile.length) : written;
    const top = await firstFolder([join(scratch.root, folder), join(scratch.root, target.package, folder)]);
    if (top === undefined) {
      throw new BuildFault('build/missing-output', `the action of ${target.label} did not make the folder ${folder}`, {
        place: target.place,
        next: `have it make ${folder}, or correct output_dirs`,
      });
    }
    const names = deep
      ? (await filesBelow(top)).filter((name) => !scratch.isInput(join(top, name)))
      : (await readdir(top)).sort();
    for (const name of names) {
      if (found.has(name) || declared.has(name)) {
        throw new BuildFault('build/bad-output', `the action of ${target.label} made ${name} twice`, {
          place: target.place,
          notes: [`once in ${folder}, which is among output_dirs`],
          next: 'give one of them another name',
        });
      }
      found.set(name, join(top, name));
    }
  }
  return [...found].map(([name, path]) => ({ name, path }));
}

/** Files that fit `optional_outs` and are neither inputs nor outputs. Patterns count from the package, and from where the action runs. */
export async function optionalOutputs(
  target: Target,
  scratch: Scratch,
  taken: readonly FoundOutput[],
): Promise<FoundOutput[]> {
  const { optionalOuts } = target;
  if (optionalOuts === undefined) return [];
  const found = new Map<string, string>();
  const not = taken.map(({ path }) => path);
  for (const folder of new Set([join(scratch.root, target.package), scratch.root])) {
    for (const name of await filesBelow(folder)) {
      const path = join(folder, name);
      if (
        found.has(name) ||
        scratch.isInput(path) ||
        not.some((each) => path === each || path.startsWith(`${each}/`))
      ) {
        continue;
      }
      // A pattern may name a folder.
      const parts = name.split('/');
      const fits = optionalOuts.some((pattern) =>
        parts.some((_, index) => matchPath(pattern.split('/'), parts.slice(0, index + 1))),
      );
      if (fits) found.set(name, path);
    }
  }
  return [...found].map(([name, path]) => ({ name, path })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function firstFolder(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if ((await lstat(path).catch(() => undefined))?.isDirectory()) return path;
  return undefined;
}

/** Everything below a folder that is none itself, relative to it, in order. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
