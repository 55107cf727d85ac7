import { isFault } from '../../fault/index.ts';
import { PackageLoader } from '../evaluate/packages.ts';
import { buildFileOf } from '../files/glob.ts';
import { createMountedTree } from '../files/mounted-tree.ts';
import type { SourceTree } from '../files/tree.ts';
import { openWorkTree } from '../files/work-tree.ts';
import type { LoadOptions } from '../load/load.ts';
import { childPath, parentPath } from '../paths.ts';
import type { Workspace } from '../types.ts';

/**
 * How a label that a person has begun to type can go on, for completion in shells: folders with packages (`//a/b/`, or
 * `//a/b:` where it is one), then the names of the package's targets. Only that package is evaluated. Where it is wrong
 * there is nothing to offer: completion is no place for errors.
 *
 * @param text `//ba`, `//bank/ledger:im`, `:im`
 * @param currentPackage what `:im` counts from
 */
export async function completeLabel(
  workspace: Workspace,
  text: string,
  currentPackage: string,
  options: Pick<LoadOptions, 'ruleFiles' | 'tree'>,
): Promise<string[]> {
  const tree = options.tree ?? openWorkTree(workspace.root);
  const { buildFiles } = workspace;
  if (text.includes(':')) {
    const colon = text.indexOf(':');
    const start = text.slice(0, colon + 1);
    if (start !== ':' && !start.startsWith('//')) return [];
    const names = targetNames(workspace, tree, start === ':' ? currentPackage : start.slice(2, -1), options);
    return names.filter((name) => name.startsWith(text.slice(colon + 1))).map((name) => `${start}${name}`);
  }
  if (!text.startsWith('//')) return '//'.startsWith(text) ? ['//'] : [];
  const path = text.slice(2);
  const folder = parentPath(path);
  const found: string[] = [];
  if (path === '' && buildFileOf(tree, '', buildFiles) !== undefined) found.push('//:');
  for (const { name, kind } of tree.list(folder)) {
    const full = childPath(folder, name);
    if (kind !== 'folder' || !full.startsWith(path)) continue;
    if (buildFileOf(tree, full, buildFiles) !== undefined) found.push(`//${full}:`);
    if (
      tree
        .list(full)
        .some((entry) => entry.kind === 'folder' && holdsPackage(tree, childPath(full, entry.name), buildFiles))
    )
      found.push(`//${full}/`);
  }
  return found;
}

function holdsPackage(tree: SourceTree, folder: string, buildFiles: readonly string[]): boolean {
  if (buildFileOf(tree, folder, buildFiles) !== undefined) return true;
  return tree
    .list(folder)
    .some(({ name, kind }) => kind === 'folder' && holdsPackage(tree, childPath(folder, name), buildFiles));
}

/** Parts of rules (`_name#part`) are nobody's to type. */
function targetNames(
  workspace: Workspace,
  tree: SourceTree,
  packageName: string,
  { ruleFiles }: Pick<LoadOptions, 'ruleFiles'>,
): string[] {
  try {
    const loaded = new PackageLoader(workspace, { ruleFiles, tree: createMountedTree(tree), say() {} }).load(
      packageName,
    );
    return [...(loaded?.targets.keys() ?? [])].filter((name) => !name.startsWith('_')).sort();
  } catch (error) {
    if (isFault(error)) return [];
    throw error;
  }
}
