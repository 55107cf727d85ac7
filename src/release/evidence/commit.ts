import { run } from '../../process/index.ts';
import { reviewsInNotes } from '../proof/reviews.ts';
import type { EvidenceParts } from './document.ts';

/** What a clone knows of a commit. Undefined where it has none of that name. */
export async function commitEvidence(root: string, commit: string): Promise<EvidenceParts['commit']> {
  const git = async (...args: string[]) =>
    await run('git', ['--no-optional-locks', ...args], { cwd: root, accept: [0, 1, 128] });
  const object = await git('cat-file', 'commit', commit);
  if (object.code !== 0) return undefined;
  const diff = ['diff-tree', '--root', '--no-commit-id', '-r', '-m', '--first-parent', '--no-renames', '--name-status'];
  const { stdout } = await git('-c', 'core.quotePath=false', ...diff, commit);
  const reviews = await reviewsInNotes(root)(commit);
  return {
    object: object.stdout.toString('base64'),
    paths: stdout.toString('utf8').split('\n').filter(Boolean),
    reviews: reviews.map((bundle) => Buffer.from(bundle).toString('base64')),
  };
}
