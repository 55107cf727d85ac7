import { gitEnvironment } from './environment.ts';

/** Commit at which a submodule's own work tree stands, and whether files in it differ from that commit. */
export function submoduleState(folder: string): { commit: string; status: string } {
  // Hardly ever needed: what starts processes takes a few milliseconds to load.
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const ask = (...args: string[]) => {
    const result = spawnSync('git', ['--no-optional-locks', '-C', folder, ...args], {
      env: gitEnvironment() as NodeJS.ProcessEnv,
      maxBuffer: 1024 * 1024 * 1024,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return result.status === 0 ? result.stdout.toString('utf8').trim() : '';
  };
  const status = ask('status', '--porcelain');
  // What differs, by content: a second edit of a dirty file is a change too.
  return { commit: ask('rev-parse', 'HEAD'), status: status === '' ? '' : `${status}\n${ask('diff', 'HEAD')}` };
}
