import type { Source } from '../../image/index.ts';
import { run } from '../../process/index.ts';
import { originOf } from '../origin.ts';

/** The commit, its tree and the repository that a work tree is of, for a provenance. */
export async function sourceOf(workspaceRoot: string, signal?: AbortSignal): Promise<Source> {
  const git = async (...args: string[]) => {
    const options = { cwd: workspaceRoot, accept: [0, 1, 2, 128], ...(signal && { signal }) };
    const { code, stdout } = await run('git', ['--no-optional-locks', ...args], options);
    return code === 0 ? stdout.toString('utf8').trim() : undefined;
  };
  const [{ commit, dirty }, tree, remote] = await Promise.all([
    originOf(workspaceRoot, signal),
    git('rev-parse', '--verify', '--quiet', 'HEAD^{tree}'),
    git('config', '--get', 'remote.origin.url'),
  ]);
  const uri = remote === undefined ? undefined : repositoryUri(remote);
  return {
    ...(uri !== undefined && { uri }),
    ...(commit !== undefined && { commit, ...(tree !== undefined && { tree }) }),
    edits: dirty,
  };
}

/**
 * A clone's address as the URI of its repository, in the form of SPDX download locations: `git+https://git.example/bank`. Whoever
 * signs in, and with what, is left out. Undefined for a folder: its path says nothing elsewhere.
 */
export function repositoryUri(remote: string): string | undefined {
  // scp's form: git@git.example:bank/ledger.git
  const [, host, path] = /^(?:[^@/\s]+@)?([A-Za-z0-9.-]+\.[A-Za-z0-9.-]+|localhost):(?!\/\/)(\S+)$/.exec(remote) ?? [];
  const text = host !== undefined ? `ssh://${host}/${path?.replace(/^\/+/, '')}` : remote;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const protocol = url.protocol.replace(/^git\+/, '');
  if (!['https:', 'http:', 'ssh:', 'git:'].includes(protocol)) return undefined;
  return `git+${protocol}//${url.host}${url.pathname.replace(/\/+$/, '').replace(/\.git$/, '')}`;
}
