import { statSync } from 'node:fs';
import { join } from 'node:path';
import { findRepository, type Repository } from '../git/repository.ts';
import type { LoadOptions } from '../load/load.ts';
import type { Workspace } from '../types.ts';

/** Whether whole graphs of a workspace are kept by git's state of its files: it is large enough, and a git repository. */
export function keepsGraphs(workspace: Workspace, cache: LoadOptions['cache']): boolean {
  const repository = findRepository(workspace.root);
  return cache !== undefined && repository !== undefined && indexSize(repository) >= cache.minimumIndex;
}

function indexSize({ folder }: Repository): number {
  return statSync(join(folder, 'index'), { throwIfNoEntry: false })?.size ?? 0;
}
