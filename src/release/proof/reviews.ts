import type { Fault } from '../../fault/index.ts';
import { ProofFault, parseBundle } from '../../image/index.ts';
import { run } from '../../process/index.ts';

/**
 * Where signed reviews of a commit are found. A server that keeps changes has one of its own; without one there are git's notes.
 *
 * @returns Sigstore bundles, each with a review's statement. Nobody has checked them: that is for the policy
 */
export type ReviewSource = (commit: string) => Promise<readonly Uint8Array[]>;

/** Notes on commits, which are pushed and fetched as branches are: `git push origin refs/notes/banksman/reviews`. */
export const reviewNotes = 'refs/notes/banksman/reviews';

/** Reviews in the notes of a clone: a bundle on each line. What can't be read is told of, and left out. */
export function reviewsInNotes(workspaceRoot: string, tell: (fault: Fault) => void = () => {}): ReviewSource {
  return async (commit) => {
    const args = ['--no-optional-locks', 'notes', `--ref=${reviewNotes}`, 'show', commit];
    const { code, stdout } = await run('git', args, { cwd: workspaceRoot, accept: [0, 1, 128] });
    if (code !== 0) return [];
    const bundles: Uint8Array[] = [];
    for (const line of stdout.toString('utf8').split('\n')) {
      if (line.trim() === '') continue;
      const bundle = Buffer.from(line);
      try {
        parseBundle(bundle, `a review of ${commit.slice(0, 12)} in ${reviewNotes}`);
        bundles.push(bundle);
      } catch (error) {
        if (!(error instanceof ProofFault)) throw error;
        tell(error);
      }
    }
    return bundles;
  };
}

/** Adds a signed review to the notes of a commit. */
export async function noteReview(workspaceRoot: string, commit: string, bundle: Uint8Array): Promise<void> {
  const args = ['notes', `--ref=${reviewNotes}`, 'append', '--file=-', commit];
  await run('git', args, { cwd: workspaceRoot, input: Buffer.concat([bundle, Buffer.from('\n')]) });
}
