import { chmod, copyFile, cp, rm } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { configList, configValue } from '../../config.ts';
import { BuildFault } from '../../fault.ts';
import { resolveTool } from '../../tool.ts';
import type { BuiltinRequest } from '../../types.ts';
import { goOf } from '../toolchain.ts';
import { fetchModule } from './fetch.ts';

/**
 * Files of the target's module in a folder: fetched, or those that another target gives; without what is stripped, with the
 * patches.
 *
 * @param to absolute; is made here
 */
export async function placeModule(request: BuiltinRequest, to: string): Promise<void> {
  const [given] = request.srcs.named.download?.flatMap(({ files }) => files) ?? [];
  if (given !== undefined) await cp(given.absolute, to, { recursive: true });
  else await fetchInto(request, to);
  for (const path of configList(request, 'strip')) {
    const below = normalize(path);
    if (below.startsWith('/') || below.split('/').includes('..') || below === '.') {
      throw new BuildFault(
        'build/bad-config',
        `${request.target.label} strips ${path}, which is no path of the module`,
        {
          place: request.target.place,
          next: 'name folders or files from the root of the module',
        },
      );
    }
    await rm(join(to, below), { recursive: true, force: true });
  }
  const patches = request.srcs.named.patch?.flatMap(({ files }) => files) ?? [];
  if (patches.length === 0) return;
  const { path: program } = await resolveTool('patch');
  for (const patch of patches) {
    request.update(`applying ${patch.path}`);
    await request.run({
      program,
      args: ['--batch', '--no-backup-if-mismatch', '--strip', '1', '--directory', to, '--input', patch.absolute],
    });
  }
}

async function fetchInto(request: BuiltinRequest, to: string): Promise<void> {
  const text = (name: string) => {
    const value = configValue(request, name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const { target } = request;
  request.update(`fetching ${text('module')}`);
  const fetched = await fetchModule(
    { module: text('module') ?? '', version: text('version') ?? '', sum: text('sum'), modSum: text('mod_sum') },
    {
      program: (await goOf(request)).program,
      cacheFolder: request.cacheFolder,
      signal: request.signal,
      wanted: target.label,
      place: target.place,
    },
  );
  await cp(fetched.folder, to, { recursive: true });
  const goMod = join(to, 'go.mod');
  await rm(goMod, { force: true });
  await copyFile(fetched.goMod, goMod);
  await chmod(goMod, 0o644);
}
