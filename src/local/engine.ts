import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, readdir, readFile, readlink, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { cacheFolder, withLock } from '../disk/index.ts';
import { run } from '../process/index.ts';
import { LocalFault } from './fault.ts';
import type { Engine, EngineRequest } from './types.ts';

const programs = ['engine', 'portal', 'pause', 'coredns'] as const;

/**
 * The cluster's programs, built from their source where this machine has not built just these yet. Another process that
 * builds the same is waited for.
 *
 * @throws LocalFault local/not-linux, local/engine-source, local/no-go, local/old-go, local/engine-build-failed
 */
export async function ensureEngine(request: EngineRequest): Promise<Engine> {
  const { engineSource, progress, signal } = request;
  if (process.platform !== 'linux') {
    throw new LocalFault('local/not-linux', `a cluster on this machine needs Linux, and this is ${process.platform}`, {
      next: 'use Linux, or a Linux virtual machine; --context NAME deploys to any cluster of your kubeconfig instead',
    });
  }
  const source = await hashSource(engineSource);
  const go = await goVersion();
  if (go === undefined) {
    const built = await findBuilt(source);
    if (built) return built;
    throw new LocalFault('local/no-go', 'Go is not installed, and the cluster is built from its source with it', {
      next: `install Go ${await neededGo(engineSource)} or newer and put it on the PATH, then try again`,
    });
  }
  const fingerprint = `${source}-${go}-${process.arch}`;
  const folder = cacheFolder('engine', fingerprint);
  const engine = describe(fingerprint, folder);
  if (await isWhole(folder)) return engine;
  const needed = await neededGo(engineSource);
  if (!isAtLeast(go, needed)) {
    throw new LocalFault('local/old-go', `${go} is too old to build the cluster's programs`, {
      next: `install Go ${needed} or newer and put it first on the PATH, then try again`,
    });
  }
  const task = progress.begin('engine');
  try {
    await withLock(
      cacheFolder('engine', `${fingerprint}.lock`),
      async () => {
        if (await isWhole(folder)) return;
        const partial = `${folder}.building`;
        await rm(partial, { recursive: true, force: true });
        await build(engineSource, partial, (line) => task.update(line), signal);
        await rm(folder, { recursive: true, force: true });
        await rename(partial, folder);
      },
      { timeout: 3_600_000, onWait: (holder) => task.update(`process ${holder} builds it; waiting`) },
    );
    task.done();
  } catch (error) {
    task.fail();
    throw error;
  }
  return engine;
}

function describe(fingerprint: string, folder: string): Engine {
  const [engine, portal, pause, coredns] = programs.map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  return { fingerprint, folder, engine, portal, pause, coredns };
}

async function isWhole(folder: string): Promise<boolean> {
  const found = await Promise.all(
    programs.map((name) =>
      access(join(folder, name)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.every(Boolean);
}

async function findBuilt(source: string): Promise<Engine | undefined> {
  for (const name of await readdir(cacheFolder('engine')).catch(() => [])) {
    const folder = cacheFolder('engine', name);
    if (name.startsWith(`${source}-`) && name.endsWith(`-${process.arch}`) && (await isWhole(folder))) {
      return describe(name, folder);
    }
  }
  return undefined;
}

/**
 * Hash of the files that the programs are made from: names, modes and content. Documents, tests and results of a build by
 * hand change nothing.
 */
export async function hashSource(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const files: string[] = [];
  const collect = async (path: string): Promise<void> => {
    const entries = await readdir(path, { withFileTypes: true }).catch((cause) => {
      throw new LocalFault('local/engine-source', `the engine's source can't be read: ${path}`, {
        cause,
        next: 'run from a whole checkout of Banksman',
      });
    });
    for (const entry of entries) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'testdata' && !entry.name.startsWith('.')) await collect(inner);
      } else files.push(inner);
    }
  };
  await collect(folder);
  const relevant = files
    .map((path) => relative(folder, path))
    .filter((path) => /(\.(go|s|c|h|mod|sum)|^build)$/.test(path) && !path.endsWith('_test.go'))
    .sort();
  if (!relevant.includes('go.mod') || !relevant.includes('build')) {
    throw new LocalFault('local/engine-source', `${folder} doesn't hold the engine's source`, {
      next: 'run from a whole checkout of Banksman',
    });
  }
  for (const path of relevant) {
    const absolute = join(folder, path);
    const content = await readFile(absolute).catch(async () => Buffer.from(await readlink(absolute)));
    hash.update(`${path}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex').slice(0, 16);
}

/** `go1.26.8`; undefined where there is no Go. The version that is installed, not one that it would fetch. */
async function goVersion(): Promise<string | undefined> {
  try {
    const env = { ...process.env, GOTOOLCHAIN: 'local' };
    const { stdout } = await run('go', ['env', 'GOVERSION'], { cwd: '/', env, timeout: 30_000 });
    return /^go[0-9][^\s]*/.exec(stdout.toString('utf8'))?.[0];
  } catch {
    return undefined;
  }
}

async function neededGo(engineSource: string): Promise<string> {
  const text = await readFile(join(engineSource, 'go.mod'), 'utf8');
  return /^go (\S+)$/m.exec(text)?.[1] ?? '1.26';
}

/** @param go `go1.26.8`, `go1.27rc1` @param needed `1.26.0` */
export function isAtLeast(go: string, needed: string): boolean {
  const numbers = (text: string) => (/\d+(\.\d+)*/.exec(text)?.[0] ?? '').split('.').map(Number);
  const [have, want] = [numbers(go), numbers(needed)];
  for (let at = 0; at < 3; at++) {
    const difference = (have[at] ?? 0) - (want[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** Lines of the build that an error shows. */
const shownLines = 40;

function build(source: string, output: string, tell: (line: string) => void, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    // In a process group of its own, so that ^C ends the compiler's processes with it.
    const child = spawn(join(source, 'build'), [output], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, GOMAXPROCS: String(availableParallelism()) },
      detached: true,
    });
    const lines: string[] = [];
    let rest = '';
    const stop = () => child.pid !== undefined && process.kill(-child.pid, 'SIGTERM');
    signal?.addEventListener('abort', stop, { once: true });
    const exitWithUs = () => stop();
    process.once('exit', exitWithUs);
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (piece: string) => {
      const parts = (rest + piece).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) {
        const text = line.replace(/^engine\/build: /, '').trim();
        if (text === '') continue;
        lines.push(text);
        lines.splice(0, lines.length - shownLines);
        tell(text);
      }
    });
    const finish = () => {
      signal?.removeEventListener('abort', stop);
      process.removeListener('exit', exitWithUs);
    };
    child.once('error', (cause) => {
      finish();
      reject(new LocalFault('local/engine-build-failed', `the build can't be started: ${cause.message}`, { cause }));
    });
    child.once('close', (code) => {
      finish();
      if (signal?.aborted) reject(signal.reason);
      else if (code === 0) resolve();
      else {
        reject(
          new LocalFault('local/engine-build-failed', "the cluster's programs could not be built", {
            notes: [lines.join('\n')],
            next: 'mend what the last lines say, and try again; what was compiled is kept',
          }),
        );
      }
    });
  });
}
