import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBuilder, languageActions, layOutSources } from '../../build/index.ts';
import { cacheFolder } from '../../disk/index.ts';
import { type BuildIncluded, type BuiltText, GraphFault } from '../../graph/index.ts';
import { openBlobStore } from '../../image/building.ts';
import { silent } from '../../progress/index.ts';
import { releaseActions } from './actions.ts';

/**
 * Builds a target that BUILD files include: in the work tree as every build does, for a commit in a folder of its own from the
 * commit's files. The result is cached by content like any other, so that only a change of what goes into it costs a build.
 */
export const buildIncluded: BuildIncluded = async ({ graph, label, progress = silent }) => {
  const isCommit = graph.tree.commit !== undefined;
  const folder = isCommit ? await mkdtemp(join(tmpdir(), 'banksman-commit-')) : undefined;
  try {
    if (folder !== undefined) await layOutSources(graph, folder);
    const builtins = {
      ...languageActions,
      ...releaseActions(
        () => graph,
        () => openBlobStore(cacheFolder('blobs')),
      ),
    };
    const builder = createBuilder({ graph, builtins, progress, ...(folder !== undefined && { sourceRoot: folder }) });
    const { targets } = await builder.build([label]);
    const texts: BuiltText[] = [];
    for (const { path, absolute, kind } of targets.get(label)?.outputs ?? []) {
      if (kind === 'folder') {
        throw new GraphFault('graph/subinclude', `its output ${path} is a folder`, {
          next: 'include a target of files',
        });
      }
      texts.push({ path, text: decoded(path, await readFile(absolute)) });
    }
    return texts;
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
};

function decoded(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new GraphFault('graph/unreadable', `its output ${path} is not UTF-8 text`, { cause });
  }
}
