import { run } from '../process/index.ts';

/** Who a commit says took part in it. Trailers are what somebody wrote down; signed reviews are statements beside the images. */
export interface CommitPeople {
  /** The author, and those of `Co-authored-by`. */
  readonly authors: readonly string[];
  /** Those of `Reviewed-by`. */
  readonly reviewers: readonly string[];
}

/** Reads the people of a commit, `Name <mail>` each. */
export async function peopleOf(root: string, commit: string, signal?: AbortSignal): Promise<CommitPeople> {
  const trailer = (key: string) => `%(trailers:key=${key},valueonly,separator=%x00)`;
  const format = `%an <%ae>%x00${trailer('Co-authored-by')}%x01${trailer('Reviewed-by')}`;
  const { stdout } = await run('git', ['--no-optional-locks', 'log', '-1', `--format=${format}`, commit], {
    cwd: root,
    ...(signal && { signal }),
  });
  const [authors = '', reviewers = ''] = stdout.toString('utf8').split('\x01');
  const names = (text: string) => text.split('\0').flatMap((name) => name.trim() || []);
  return { authors: names(authors), reviewers: names(reviewers) };
}
