import { ProcessFault, run } from '../process/index.ts';
import { UsageFault } from './usage.ts';

/** The full id of a commit that a person names, and its author's address. @throws UsageFault cli/wrong-use */
export async function commitNamed(root: string, text: string): Promise<{ commit: string; author: string }> {
  try {
    const args = ['--no-optional-locks', 'log', '-1', '--format=%H%n%ae', '--end-of-options', text, '--'];
    const { stdout } = await run('git', args, { cwd: root });
    const [commit = '', author = ''] = stdout.toString('utf8').split('\n');
    return { commit, author };
  } catch (error) {
    if (!(error instanceof ProcessFault)) throw error;
    throw new UsageFault('cli/wrong-use', `${text} is no commit of this repository`, { next: "see 'git log'" });
  }
}

export interface Commit {
  readonly id: string;
  readonly author: string;
  readonly subject: string;
}

/** Commits that are told of at most. */
const mostCommits = 50;

/** Commits after one and up to another, the newest first; none where the current folder's repository does not have them. */
export async function commitsBetween(from: string, to: string, signal: AbortSignal): Promise<readonly Commit[]> {
  if (![from, to].every((each) => /^[0-9a-f]{40,64}$/.test(each)) || from === to) return [];
  const args = [
    '--no-optional-locks',
    'log',
    `-${mostCommits}`,
    '--format=%H%x00%an <%ae>%x00%s',
    `${from}..${to}`,
    '--',
  ];
  const text = await run('git', args, { cwd: process.cwd(), signal }).then(
    ({ stdout }) => stdout.toString('utf8'),
    () => {
      signal.throwIfAborted();
      return '';
    },
  );
  return text.split('\n').flatMap((line) => {
    const [id, author, subject] = line.split('\0');
    return id === undefined || author === undefined || subject === undefined ? [] : [{ id, author, subject }];
  });
}
