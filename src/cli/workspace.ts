import { relative, sep } from 'node:path';
import { openWorkspace, type RuleFile, type Workspace } from '../graph/index.ts';
import { ruleFiles } from '../rules/index.ts';

/** The workspace of the current folder, and the package in which relative labels are read. */
export async function here(): Promise<{ workspace: Workspace; currentPackage: string }> {
  const workspace = await openWorkspace(process.cwd());
  const below = relative(workspace.root, process.cwd());
  return { workspace, currentPackage: below.startsWith('..') ? '' : below.split(sep).join('/') };
}

export function graphOptions(): { ruleFiles: readonly RuleFile[] } {
  return { ruleFiles: ruleFiles() };
}
