import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Source } from '../../language/index.ts';
import { GraphFault } from '../fault.ts';
import type { PleaseConfig, Workspace } from '../types.ts';
import { keptForm } from './kept-form.ts';
import { pleaseConfigFiles } from './please-files.ts';

export const workspaceFile = 'banksman.yaml';

/**
 * Finds `banksman.yaml` in a folder or the nearest one above it, or the `.plzconfig` of a repository of Please.
 *
 * @throws GraphFault when there is neither, or it is not in the form that ARCHITECTURE.md gives
 */
export async function openWorkspace(startFolder: string): Promise<Workspace> {
  for (let folder = resolve(startFolder); ; folder = dirname(folder)) {
    const read = async (path: string) => {
      const full = join(folder, path);
      return readFile(full, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
        throw new GraphFault('graph/unreadable', `${full} can't be read: ${error.message}`, { cause: error });
      });
    };
    const found = await workspaceAt(folder, read, keptForm);
    if (found !== undefined) return found;
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

/**
 * The workspace whose root a folder is; undefined where it is none.
 *
 * @param read gives the text of a file of that folder, undefined where there is none: of the disk, or of a commit
 * @param keep may give what the same text was parsed to before
 * @throws GraphFault graph/bad-workspace with the place
 */
export async function workspaceAt(
  root: string,
  read: (path: string) => string | undefined | Promise<string | undefined>,
  keep: typeof keptForm = (_root, _texts, parse) => parse(),
): Promise<Workspace | undefined> {
  const text = await read(workspaceFile);
  const plain = await read('.plzconfig');
  if (text === undefined && plain === undefined) return undefined;
  const please = plain === undefined ? undefined : await readPlease(plain, read);
  if (text !== undefined) {
    const source = { file: workspaceFile, text, internal: false };
    return keep(root, [text, please], () => parseWorkspace(root, source, please));
  }
  const { pleaseWorkspace } = await import('./workspace-form.ts');
  return pleaseWorkspace(root, please!, '.plzconfig');
}

async function readPlease(
  plain: string,
  read: (path: string) => string | undefined | Promise<string | undefined>,
): Promise<PleaseConfig> {
  const { readPleaseConfig } = await import('./please-config.ts');
  const sources: Source[] = [];
  for (const file of pleaseConfigFiles()) {
    const text = file === '.plzconfig' ? plain : await read(file);
    if (text !== undefined) sources.push({ file, text, internal: false });
  }
  return readPleaseConfig(sources);
}

/** @throws GraphFault graph/bad-workspace with the place */
export async function parseWorkspace(root: string, source: Source, please?: PleaseConfig): Promise<Workspace> {
  // Loaded when a workspace is opened: commands that need none start faster.
  const { readWorkspace } = await import('./workspace-form.ts');
  return readWorkspace(root, source, please);
}
