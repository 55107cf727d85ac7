import { copyFile, lstat, mkdir, readdir, readlink, realpath, rm, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, relative, sep } from 'node:path';
import type { Target } from '../graph/index.ts';
import { type Artifact, type FolderEntry, folderSum } from './artifact.ts';
import type { Blobs } from './blobs.ts';
import { BuildFault } from './fault.ts';
import { scratchMount } from './sandbox.ts';
import { outputNames, pathOf } from './target.ts';

/**
 * Takes an action's outputs into the cache: they are moved out of the folder.
 *
 * @param places of outputs, by name; below the folder where there is none
 * @param folder where the action wrote
 * @param root links must not lead out of it
 * @param isInput whether a path is none that the action has made
 * @throws BuildFault build/missing-output, build/bad-output
 */
export async function collectOutputs(
  target: Target,
  folder: string,
  root: string,
  blobs: Blobs,
  places: ReadonlyMap<string, string> = new Map(),
  isInput: (path: string) => boolean = () => false,
): Promise<Artifact[]> {
  const names = outputNames(target);
  const missing: string[] = [];
  const placeOf = (name: string) => places.get(name) ?? join(folder, name);
  for (const name of names) if (!(await exists(placeOf(name)))) missing.push(name);
  if (missing.length > 0) {
    const made = await listing(folder, isInput);
    throw new BuildFault('build/missing-output', `the action of ${target.label} did not make ${missing.join(', ')}`, {
      place: target.place,
      notes: [made.length === 0 ? 'it made no file' : `beside its inputs are: ${made.join(', ')}`],
      next: `write it to "$OUT" (${placeOf(missing[0] ?? '').slice(folder.length + 1)}), or correct the target's outputs`,
    });
  }
  const artifacts: Artifact[] = [];
  for (const name of names) artifacts.push(await collectOne(target, placeOf(name), pathOf(target, name), root, blobs));
  return artifacts;
}

export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw error;
  }
}

/**
 * Takes one file or folder into the cache.
 *
 * @param at path that the artifact gets
 */
export async function collectOne(
  target: Target,
  path: string,
  at: string,
  root: string,
  blobs: Blobs,
): Promise<Artifact> {
  const found = await lstat(path);
  if (found.isSymbolicLink()) {
    // A link to an input or another output would dangle outside of the scratch folder: its content counts.
    const copy = `${path}.content`;
    await copyLinked(target, path, at, root, copy);
    await rm(path);
    return collectOne(target, copy, at, root, blobs);
  }
  if (found.isFile()) return { kind: 'file', path: at, ...(await blobs.takeIn(path)) };
  if (found.isDirectory()) {
    const entries: FolderEntry[] = [];
    await collectFolder(target, path, '', at, root, blobs, entries);
    return { kind: 'folder', path: at, sha256: folderSum(entries), entries };
  }
  throw badOutput(target, at, 'is neither a file nor a folder');
}

async function collectFolder(
  target: Target,
  top: string,
  below: string,
  name: string,
  root: string,
  blobs: Blobs,
  entries: FolderEntry[],
): Promise<void> {
  const children = (await readdir(join(top, below), { withFileTypes: true })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  for (const child of children) {
    const path = below === '' ? child.name : `${below}/${child.name}`;
    const absolute = join(top, path);
    if (child.isDirectory()) {
      entries.push({ kind: 'folder', path });
      await collectFolder(target, top, path, name, root, blobs, entries);
    } else if (child.isSymbolicLink()) {
      const link = await readlink(absolute);
      const leads = normalize(join(dirname(path), link));
      if (!isAbsolute(link) && leads !== '..' && !leads.startsWith('../')) {
        entries.push({ kind: 'symlink', path, target: link });
        continue;
      }
      const copy = `${absolute}.content`;
      await copyLinked(target, absolute, `${name}/${path}`, root, copy);
      entries.push({ kind: 'file', path, ...(await blobs.takeIn(copy)) });
    } else if (child.isFile()) {
      entries.push({ kind: 'file', path, ...(await blobs.takeIn(absolute)) });
    } else {
      throw badOutput(target, `${name}/${path}`, 'is neither a file, a folder nor a link');
    }
  }
}

async function copyLinked(target: Target, link: string, name: string, root: string, copy: string): Promise<void> {
  // An action in the sandbox knows its scratch folder by another path.
  const says = await readlink(link);
  const inScratch = says.startsWith(`${scratchMount}/`) ? join(root, says.slice(scratchMount.length + 1)) : link;
  const leads = await realpath(inScratch).catch(() => undefined);
  if (leads === undefined) throw badOutput(target, name, `is a link that leads to nothing: ${says}`);
  const inside = relative(await realpath(root), leads);
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    throw badOutput(target, name, `is a link that leads out of the scratch folder: ${says}`);
  }
  if (!(await stat(leads)).isFile()) throw badOutput(target, name, `is a link to what is not a file: ${says}`);
  await mkdir(dirname(copy), { recursive: true });
  await copyFile(leads, copy);
}

function badOutput(target: Target, name: string, what: string): BuildFault {
  return new BuildFault('build/bad-output', `output ${name} of ${target.label} ${what}`, {
    place: target.place,
    next: 'make it a file or a folder of the scratch folder',
  });
}

/** Some names of what is there, for an error. */
async function listing(folder: string, isInput: (path: string) => boolean): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  const shown = paths
    .filter((path) => !isInput(path))
    .map((path) => path.slice(folder.length + 1))
    .filter((name) => !name.startsWith('.'))
    .sort();
  return shown.length > 12 ? [...shown.slice(0, 12), `and ${shown.length - 12} more`] : shown;
}
