import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type BuiltFile, createBuilder, languageActions, layOutSources } from '../../build/index.ts';
import { cacheFolder } from '../../disk/index.ts';
import { type BuildIncluded, type BuildRequest, type BuiltText, GraphFault, splitLabel } from '../../graph/index.ts';
import { openBlobStore } from '../../image/building.ts';
import { silent } from '../../progress/index.ts';
import { releaseActions } from './actions.ts';

/**
 * Builds targets whose outputs evaluation needs: in the work tree as every build does, for a commit in a folder of its own from the
 * commit's files. The result is cached by content like any other, so that only a change of what goes into it costs a build.
 */
export const buildIncluded: BuildIncluded = {
  texts: (request) =>
    withOutputs(request, async (outputs) => {
      const texts: BuiltText[] = [];
      for (const { path, absolute, kind } of outputs) {
        if (kind === 'folder') {
          throw new GraphFault('graph/subinclude', `its output ${path} is a folder`, {
            next: 'include a target of files',
          });
        }
        texts.push({ path, text: decoded(path, await readFile(absolute)) });
      }
      return texts;
    }),
  folder: (request) => withOutputs(request, (outputs) => keptFolder(filesIn(outputs, request))),
};

async function withOutputs<T>(
  { graph, label, progress = silent }: BuildRequest,
  use: (outputs: readonly BuiltFile[]) => Promise<T>,
): Promise<T> {
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
    return await use(targets.get(label)?.outputs ?? []);
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Outputs that make up a folder, by their paths in it; '' for the folder itself. */
type FolderParts = readonly (readonly [path: string, output: BuiltFile])[];

/** As Please has it: the only output, or the folder of the target's name among several. */
function filesIn(outputs: readonly BuiltFile[], { label }: BuildRequest): FolderParts {
  const [only] = outputs;
  if (only?.kind === 'folder' && outputs.length === 1) return [['', only]];
  const { package: packageName, name } = splitLabel(label);
  const root = packageName === '' ? `${name}/` : `${packageName}/${name}/`;
  const inside = outputs.filter(({ path }) => path.startsWith(root));
  if (inside.length === 0) {
    const what =
      outputs.length === 0 ? 'it has no outputs' : `${outputs.map(({ path }) => path).join(', ')} is no folder`;
    throw new GraphFault('graph/subinclude', outputs.length < 2 ? what : `none of its outputs is in a folder ${root}`, {
      next: `let ${label} have one output, a folder, with the files of the subrepo in it`,
    });
  }
  return inside.map((output) => [output.path.slice(root.length), output]);
}

/** Days after its last use that a folder is kept. */
const keptDays = 30;

/** The same in a place of its own, by content: a build may write other outputs to where they are now. */
async function keptFolder(parts: FolderParts): Promise<string> {
  const sum = createHash('sha256');
  for (const [path, { kind, sha256, executable }] of parts)
    sum.update(JSON.stringify([path, kind, sha256, executable]));
  const all = cacheFolder('subrepos');
  const place = join(all, sum.digest('hex'));
  await mkdir(all, { recursive: true });
  if (!(await isFolder(place))) {
    const unfinished = await mkdtemp(join(all, '.new-'));
    try {
      for (const [path, { absolute }] of parts) {
        const to = join(unfinished, 'files', path);
        await mkdir(dirname(to), { recursive: true });
        await cp(absolute, to, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
      }
      await rename(join(unfinished, 'files'), place).catch(async (error: unknown) => {
        // Another process was quicker.
        if (!(await isFolder(place))) throw error;
      });
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
    await trim(all);
  }
  await utimes(place, new Date(), new Date());
  return place;
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true;
}

async function trim(folder: string): Promise<void> {
  const oldest = Date.now() - keptDays * 86_400_000;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await lstat(path).catch(() => undefined);
    if (found !== undefined && found.mtimeMs < oldest) await rm(path, { recursive: true, force: true });
  }
}

function decoded(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new GraphFault('graph/unreadable', `its output ${path} is not UTF-8 text`, { cause });
  }
}
