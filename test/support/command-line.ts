import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { RunningServer } from '../../src/server/index.ts';

export interface Ended {
  readonly code: number;
  /** Standard output, then standard error. */
  readonly out: string;
}

/** The command line as a person of a name types it, against a server. */
export interface Typist {
  banksman(...args: readonly string[]): Promise<Ended>;
  /**
   * On a terminal.
   *
   * @param steps what is typed, and what is shown then
   */
  type(steps: readonly (readonly [string, string])[], ...args: readonly string[]): Promise<Ended>;
}

const program = fileURLToPath(new URL('../../bin/banksman', import.meta.url));
const typing = fileURLToPath(new URL('./typing.py', import.meta.url));

export async function typistAt(server: RunningServer, name: string): Promise<Typist> {
  const asked = { name, roles: ['release-manager'] as const, services: [], expiresAt: Date.now() + 3_600_000 };
  const { token } = await server.tokens.create(asked, { who: 'test', source: 'test' }, Date.now());
  const env = { ...process.env, NO_COLOR: '1', BANKSMAN_SERVER: server.url, BANKSMAN_TOKEN: token };
  const run = (command: string, args: readonly string[]) =>
    new Promise<Ended>((resolve) => {
      execFile(command, args, { cwd: '/', env }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), out: stdout + stderr });
      });
    });
  return {
    banksman: (...args) => run(program, args),
    type: (steps, ...args) => run('python3', [typing, JSON.stringify(steps), program, ...args]),
  };
}
