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
