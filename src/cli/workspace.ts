import { relative, sep } from 'node:path';
import { type LoadOptions, openWorkspace, type Workspace } from '../graph/index.ts';
import { ruleFiles } from '../rules/index.ts';

/** The workspace of the current folder, and the package in which relative labels are read. */
export async function here(): Promise<{ workspace: Workspace; currentPackage: string }> {
  const workspace = await openWorkspace(process.cwd());
  const below = relative(workspace.root, process.cwd());
  return { workspace, currentPackage: below.startsWith('..') ? '' : below.split(sep).join('/') };
}

/** Bytes of git's index, about 100 for each tracked file, from which on whole graphs are kept in the cache. */
const largeIndex = 500_000;

export function graphOptions(): Pick<LoadOptions, 'ruleFiles' | 'cache' | 'build'> {
  return {
    ruleFiles: ruleFiles(),
    cache: { minimumIndex: largeIndex },
    // What builds takes its time to load, and is hardly ever wanted here.
    build: {
      texts: async (request) => (await import('../release/building/index.ts')).buildIncluded.texts(request),
      folder: async (request) => (await import('../release/building/index.ts')).buildIncluded.folder(request),
    },
  };
}
