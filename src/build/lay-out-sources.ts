import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Graph } from '../graph/index.ts';
import { BuildFault } from './fault.ts';
import { allInputs } from './target.ts';

/**
 * Writes the source files of a graph's targets into a folder: for a graph of a commit, whose files are nowhere on the disk.
 *
 * @throws BuildFault build/bad-source for links in folders, and submodules, which would not be what they are in a check-out
 */
export async function layOutSources({ tree, targets }: Pick<Graph, 'tree' | 'targets'>, folder: string): Promise<void> {
  const laid = new Set<string>();
  const lay = async (path: string, inFolder: boolean): Promise<void> => {
    if (laid.has(path)) return;
    laid.add(path);
    const kind = tree.kind(path);
    if (kind === 'folder') {
      await mkdir(join(folder, path), { recursive: true });
      for (const { name } of tree.list(path)) await lay(`${path}/${name}`, true);
      return;
    }
    const bytes = kind === 'submodule' || (kind === 'symlink' && inFolder) ? undefined : tree.read(path);
    if (bytes === undefined) {
      // What is not there at all is told by whoever needs it.
      if (kind === undefined) return;
      throw new BuildFault('build/bad-source', `${path} of ${tree.name} can't be laid out: it is a ${kind}`, {
        next: 'build from plain files what BUILD files include',
      });
    }
    const at = join(folder, path);
    await mkdir(dirname(at), { recursive: true });
    // The hash of an executable file begins with x.
    await writeFile(at, bytes, { mode: tree.contentHash(path)?.startsWith('x') === true ? 0o755 : 0o644 });
  };
  for (const { srcs, data } of targets.values()) {
    for (const input of [...allInputs(srcs), ...allInputs(data)])
      if (input.kind === 'file') await lay(input.path, false);
  }
}
