import { readNode } from './archive.ts';
import { DockerfileFault } from './fault.ts';
import { type Owner, OwnerProblem, resolveOwner } from './owner.ts';
import { type LogicalLine, placeOf, type Word } from './source.ts';
import type { Tree } from './tree.ts';

/** The owner that an instruction names. @throws DockerfileFault dockerfile/unknown-user */
export async function findOwner(text: string, tree: Tree, line: LogicalLine, word: Word): Promise<Owner> {
  try {
    return await resolveOwner(text, tree, readNode);
  } catch (error) {
    if (!(error instanceof OwnerProblem)) throw error;
    throw new DockerfileFault('dockerfile/unknown-user', error.message, {
      place: placeOf(line, word),
      next: error.next,
    });
  }
}
