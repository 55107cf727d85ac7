import { chmod, copyFile, cp, mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BuildFault } from '../fault.ts';
import type { BuiltFile, BuiltinRequest, LaidInput } from '../types.ts';

/**
 * Brings the files of a Go package together in one folder, as Go wants them: sources of the package, generated ones from
 * wherever, and files to embed at their paths below the package.
 *
 * @param folder absolute; made here
 */
export async function stageSources(request: BuiltinRequest, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { srcs = [], embed = [] } = request.srcs.named;
  const placed = new Map<string, string>();
  for (const file of filesOf(srcs)) await place(request, file, join(folder, basename(file.path)), placed);
  for (const file of filesOf(embed)) {
    const below = `${request.target.package}/`;
    const name = file.path.startsWith(below) ? file.path.slice(below.length) : file.path;
    await place(request, file, join(folder, name), placed);
  }
}

const filesOf = (inputs: readonly LaidInput[]) => inputs.flatMap(({ files }) => files);

async function place(request: BuiltinRequest, file: BuiltFile, to: string, placed: Map<string, string>): Promise<void> {
  const before = placed.get(to);
  if (before === file.path) return;
  if (before !== undefined) {
    throw new BuildFault(
      'build/bad-config',
      `${request.target.label} has two files of one name: ${before}, ${file.path}`,
      {
        place: request.target.place,
        next: 'give one of them another name',
      },
    );
  }
  placed.set(to, file.path);
  await mkdir(dirname(to), { recursive: true });
  if (file.kind === 'folder') await cp(file.absolute, to, { recursive: true });
  else {
    await copyFile(file.absolute, to);
    // Outputs of other actions are read-only; what is staged may be replaced.
    await chmod(to, ((await stat(to)).mode & 0o777) | 0o200);
  }
}
