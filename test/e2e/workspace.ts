import { type ExecFileException, execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of this repository. */
export const repository = fileURLToPath(new URL('../..', import.meta.url));
const program = join(repository, 'bin/banksman');

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A copy of this repository's bank as a workspace of its own, so that a test can edit it. */
export interface BankWorkspace {
  readonly root: string;
  /** Runs `banksman ARGS` in it. */
  banksman(args: readonly string[], options?: { readonly env?: Readonly<Record<string, string>> }): Promise<Outcome>;
  /** The same, and fails the test where the command fails. */
  mustRun(args: readonly string[]): Promise<Outcome>;
  /** Replaces text in a file; fails where it does not stand there. */
  edit(path: string, from: string | RegExp, to: string): Promise<void>;
  /** Puts a file back to what the repository holds. */
  restore(path: string): Promise<void>;
  /** Commits all that differs, by the person given: `Ada <ada@bank.example>`. @returns the commit */
  commit(message: string, author?: string): Promise<string>;
  remove(): Promise<void>;
}

/** What the bank needs of the repository. */
const parts = ['banksman.yaml', 'bank', 'third_party'];

/** The server's image is made of these. */
export const serverParts = ['BUILD', 'package.json', 'package-lock.json', 'platform', 'src'];

export async function copyBank(
  env: Readonly<Record<string, string>> = {},
  more: readonly string[] = [],
): Promise<BankWorkspace> {
  const root = await mkdtemp(join(tmpdir(), 'banksman-e2e-'));
  for (const part of [...parts, ...more]) {
    await cp(join(repository, part), join(root, part), {
      recursive: true,
      filter: (path) => !path.includes('__pycache__'),
    });
  }
  const git = (...args: string[]) =>
    execute('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.invalid', ...args], { cwd: root });
  await git('init', '-q', '-b', 'main');
  await git('add', '-A');
  await git('commit', '-q', '-m', 'The bank');
  const banksman: BankWorkspace['banksman'] = (args, options = {}) =>
    execute(program, args, { cwd: root, env: { ...process.env, CI: 'true', ...env, ...options.env } });
  return {
    root,
    banksman,
    async mustRun(args) {
      const outcome = await banksman(args);
      if (outcome.code !== 0)
        throw new Error(`banksman ${args.join(' ')} ended with ${outcome.code}\n${outcome.stdout}\n${outcome.stderr}`);
      return outcome;
    },
    async edit(path, from, to) {
      const text = await readFile(join(root, path), 'utf8');
      const changed = text.replace(from, to);
      if (changed === text) throw new Error(`${path} does not hold ${from}`);
      await writeFile(join(root, path), changed);
    },
    async restore(path) {
      await git('checkout', '-q', '--', path);
    },
    async commit(message, author = 'Ada <ada@bank.example>') {
      await git('commit', '-q', '-a', '-m', message, '--author', author);
      return (await git('rev-parse', 'HEAD')).stdout.trim();
    },
    async remove() {
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** An empty workspace with these files. */
export async function makeWorkspace(
  files: Readonly<Record<string, string>>,
): Promise<{ root: string; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'banksman-workspace-'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return { root, remove: () => rm(root, { recursive: true, force: true }) };
}

/** Runs `banksman` in a folder. */
export function banksman(
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  return execute(program, args, { cwd, env: { ...process.env, CI: 'true', ...env } });
}

export function execute(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(
      file,
      args,
      { ...options, maxBuffer: 64 * 1024 * 1024 },
      (error: ExecFileException | null, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** Starts a program and leaves it running; `stop` ends it and gives what it printed. */
export function start(file: string, args: readonly string[], cwd: string): { done: Promise<Outcome>; stop(): void } {
  const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (piece: Buffer) => {
    stdout += piece;
  });
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece;
  });
  const done = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 255, stdout, stderr }));
  });
  return { done, stop: () => child.kill('SIGTERM') };
}

/** A port on 127.0.0.1 that nothing listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

/** Waits until `check` gives something, and fails with the last reason. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  seconds = 60,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`not within ${seconds} s: ${what}${last === undefined ? '' : ` (${String(last)})`}`);
}
