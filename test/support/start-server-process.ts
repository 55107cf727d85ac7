import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../../src/graph/index.ts';
import type { ReleaseContent } from '../../src/release/index.ts';
import { type Caller, callsOf, type Releases } from './rollouts.ts';

export interface ServerProcessOptions {
  readonly databaseUrl: string;
  readonly kubeconfig: string;
  /** Folder of releases. */
  readonly releases: string;
  readonly environments: readonly Environment[];
  readonly leaseTime: number;
  /** Beside this process's own: OTEL_... */
  readonly variables?: Readonly<Record<string, string>>;
}

export interface ServerProcess extends Omit<Caller, 'server'> {
  readonly url: string;
  readonly token: string;
  /** What it has logged. */
  log(): string;
  /** SIGSTOP, SIGCONT. */
  freeze(): void;
  thaw(): void;
  /** As kill -9 does. */
  kill(): Promise<void>;
}

export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const script = fileURLToPath(new URL('./server-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.variables },
  });
  let log = '';
  child.stderr.on('data', (part: Buffer) => (log += part.toString()));
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const first = new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).once('line', resolve);
    void ended.then(() => reject(new Error(`the server has ended: ${log}`)));
  });
  first.catch(() => {});
  const { url, token } = JSON.parse(await first) as { url: string; token: string };
  return {
    url,
    token,
    ...callsOf(url, token, releasesIn(options.releases)),
    log: () => log,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Releases that another process reads. */
function releasesIn(folder: string): Releases {
  const releases: Releases = new Map<string, ReleaseContent>();
  const keep = releases.set.bind(releases);
  releases.set = (reference, content) => {
    writeFileSync(join(folder, reference.split(':').at(-1) ?? ''), JSON.stringify(content));
    return keep(reference, content);
  };
  return releases;
}
