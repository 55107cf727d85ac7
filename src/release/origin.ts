import { run } from '../process/index.ts';
import type { Origin } from './types.ts';

/**
 * The commit that the work tree stands on, and whether it differs from it.
 *
 * A workspace that is no git repository, or has no commit yet, has an origin without a commit: it can be tried out, and
 * the record says that nobody can look up what it was.
 */
export async function originOf(workspaceRoot: string, signal?: AbortSignal): Promise<Origin> {
  const git = async (...args: string[]) => {
    // Optional locks would get in the way of the git commands that a person types meanwhile.
    const result = await run('git', ['--no-optional-locks', ...args], {
      cwd: workspaceRoot,
      accept: [0, 128],
      ...(signal && { signal }),
    });
    return result.code === 0 ? result.stdout.toString('utf8') : undefined;
  };
  const [head, changes] = await Promise.all([git('log', '-1', '--format=%H%n%an <%ae>'), git(...statusArguments)]);
  if (head === undefined) return { dirty: true };
  const [commit, author] = head.trim().split('\n');
  return { commit, author, dirty: changes !== '' };
}

/** What building writes is no edit, also where nobody has told git to ignore it. */
const statusArguments = ['status', '--porcelain', '--untracked-files=normal', '--', '.', ':(exclude)banksman-out'];

/** Paths that make a work tree differ from its commit, those that git does not know included. */
export async function editedPaths(workspaceRoot: string, signal?: AbortSignal): Promise<string[]> {
  const options = { cwd: workspaceRoot, accept: [0, 128], ...(signal && { signal }) };
  const { stdout } = await run('git', ['--no-optional-locks', ...statusArguments], options);
  return stdout
    .toString('utf8')
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [line.slice(3)]));
}
