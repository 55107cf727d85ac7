import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Source } from '../language/index.ts';
import { GraphFault } from './fault.ts';
import type { Workspace } from './types.ts';

export const workspaceFile = 'banksman.yaml';

/**
 * Finds `banksman.yaml` in a folder or the nearest one above it.
 *
 * @throws GraphFault when there is none, or it is not in the form that ARCHITECTURE.md gives
 */
export async function openWorkspace(startFolder: string): Promise<Workspace> {
  for (let folder = resolve(startFolder); ; folder = dirname(folder)) {
    const text = await readFile(join(folder, workspaceFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw new GraphFault('graph/unreadable', `${join(folder, workspaceFile)} can't be read: ${error.message}`, {
        cause: error,
      });
    });
    if (text !== undefined) return parseWorkspace(folder, { file: workspaceFile, text, internal: false });
    if (dirname(folder) === folder) {
      throw new GraphFault(
        'graph/no-workspace',
        `no ${workspaceFile} in ${resolve(startFolder)} or any folder above it`,
        {
          next: `create ${workspaceFile} at the top of the repository, with the line: name: x`,
        },
      );
    }
  }
}

/** @throws GraphFault graph/bad-workspace with the place */
export async function parseWorkspace(root: string, source: Source): Promise<Workspace> {
  // Loaded when a workspace is opened: commands that need none start faster.
  const { readWorkspace } = await import('./workspace-form.ts');
  return readWorkspace(root, source);
}
