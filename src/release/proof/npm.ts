import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuiltFile, lockedNpmPackages } from '../../build/index.ts';
import type { Label, Target } from '../../graph/index.ts';
import type { Module } from '../../image/index.ts';

/** The packages of an `npm_modules` target, with the licences that each states in its package.json; none for any other target. */
export async function npmPackages(
  target: Target,
  built: (label: Label) => Promise<readonly BuiltFile[]>,
): Promise<Module[]> {
  const { action, label, licences = [] } = target;
  if (action.kind !== 'builtin' || action.name !== 'npm_modules') return [];
  const folder = (await built(label)).find(({ kind }) => kind === 'folder')?.absolute;
  const modules = new Map<string, Module>();
  for (const { path, name, version, integrity } of lockedNpmPackages({ target, config: action.config })) {
    const key = `${name}@${version}`;
    // The same package may lie in several places.
    if (modules.has(key)) continue;
    const slash = name.indexOf('/');
    modules.set(key, {
      ecosystem: 'npm',
      namespace: slash < 0 ? '' : name.slice(0, slash),
      name: name.slice(slash + 1),
      version,
      integrity,
      licences: licences.length > 0 || folder === undefined ? licences : await licencesOfPackage(folder, path),
      label,
    });
  }
  return [...modules.values()];
}

/** docs.npmjs.com, "package.json", `license`; the forms of old packages, too. */
async function licencesOfPackage(folder: string, path: string): Promise<string[]> {
  const place = join(folder, path.slice('node_modules/'.length), 'package.json');
  try {
    const { license, licenses } = JSON.parse(await readFile(place, 'utf8')) as Record<string, unknown>;
    const named = [license, ...(Array.isArray(licenses) ? licenses : [])].map((each) =>
      typeof each === 'object' && each !== null ? (each as { readonly type?: unknown }).type : each,
    );
    return named.filter((each): each is string => typeof each === 'string' && each !== '' && each.length <= 100);
  } catch {
    // Left out by `strip`, or no JSON: it states nothing.
    return [];
  }
}
