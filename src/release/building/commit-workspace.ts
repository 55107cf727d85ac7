import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openWorkspace, type Workspace } from '../../graph/index.ts';
import { ProcessFault, run } from '../../process/index.ts';
import { ReleaseFault } from '../fault.ts';

/**
 * A workspace as a commit has it, in a folder of its own: a clone that borrows the repository's objects. The work tree, the
 * index and the branches of the repository are not touched, and what was built before is had from the cache.
 *
 * @returns what `body` gives; the folder is gone then
 * @throws ReleaseFault release/no-commit
 */
export async function withWorkspaceAt<T>(
  { root }: Workspace,
  revision: string,
  body: (workspace: Workspace, commit: string) => Promise<T>,
): Promise<T> {
  const git = async (args: readonly string[], cwd: string) =>
    (await run('git', args, { cwd, env: { ...process.env, LC_ALL: 'C' }, timeout: 600_000 })).stdout
      .toString('utf8')
      .trim();
  let commit: string;
  let prefix: string;
  try {
    // What follows --end-of-options is never an option, whatever somebody calls a branch.
    commit = await git(['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`], root);
    prefix = await git(['rev-parse', '--show-prefix'], root);
  } catch (cause) {
    if (!(cause instanceof ProcessFault)) throw cause;
    throw new ReleaseFault('release/no-commit', `${JSON.stringify(revision)} is no commit of this repository`, {
      next: 'name a branch, a tag or a commit: origin/main, HEAD~1',
      cause,
    });
  }
  const folder = await mkdtemp(join(tmpdir(), 'banksman-commit-'));
  try {
    const source = await git(['rev-parse', '--show-toplevel'], root);
    const quiet = ['-c', 'advice.detachedHead=false', '-c', 'core.hooksPath=/dev/null'];
    await git([...quiet, 'clone', '--quiet', '--shared', '--no-checkout', '--', source, join(folder, 'tree')], folder);
    await git([...quiet, 'checkout', '--quiet', '--detach', commit], join(folder, 'tree'));
    return await body(await openWorkspace(join(folder, 'tree', prefix)), commit);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
