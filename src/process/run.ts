import { spawn } from 'node:child_process';
import { Fault } from '../fault/index.ts';

export class ProcessFault extends Fault<
  'process/not-found' | 'process/failed' | 'process/timed-out' | 'process/too-much-output'
> {}

export interface RunOptions {
  readonly cwd?: string;
  /** The whole environment of the child; this process's own where it is absent. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
  /** Milliseconds after which the child's process group is killed. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  /** Bytes of standard output kept; more is an error. 64 MiB unless told. */
  readonly maximumOutput?: number;
  /** Called with each piece of standard error, for progress. */
  readonly onStderr?: (text: string) => void;
  /** Exit codes that are not an error. Only 0 unless told. */
  readonly accept?: readonly number[];
}

export interface RunResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/**
 * Runs a program to its end, without a shell.
 *
 * @throws ProcessFault when it can't be started, exits with a code that is not accepted, or takes too long;
 *   the last lines of its standard error are among the notes. Arguments are not put into the error beyond
 *   the program's name and first argument, since they may hold a secret.
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const what = args[0] !== undefined && !args[0].startsWith('-') ? `${program} ${args[0]}` : program;
  const maximum = options.maximumOutput ?? 64 * 1024 * 1024;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      env: (options.env ?? process.env) as NodeJS.ProcessEnv,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const stdout: Buffer[] = [];
    let stdoutBytes = 0;
    let stderr = '';
    let ended: 'timed-out' | 'too-much-output' | 'aborted' | undefined;
    const stop = (why: typeof ended) => {
      ended ??= why;
      killGroup(child.pid);
    };
    const timer = options.timeout === undefined ? undefined : setTimeout(() => stop('timed-out'), options.timeout);
    const abort = () => stop('aborted');
    options.signal?.addEventListener('abort', abort, { once: true });
    if (options.signal?.aborted) abort();
    child.stdout.on('data', (piece: Buffer) => {
      stdoutBytes += piece.length;
      if (stdoutBytes > maximum) stop('too-much-output');
      else stdout.push(piece);
    });
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (piece: string) => {
      stderr = (stderr + piece).slice(-256 * 1024);
      options.onStderr?.(piece);
    });
    // A child that ends before it has read its input is judged by its exit code, not by EPIPE.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input);
    const finish = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
    };
    child.on('error', (cause: NodeJS.ErrnoException) => {
      finish();
      reject(
        new ProcessFault('process/not-found', `${program} can't be started: ${cause.message}`, {
          cause,
          next:
            cause.code === 'ENOENT'
              ? `install ${program}, or put it on the PATH; script/bootstrap does both`
              : undefined,
        }),
      );
    });
    child.on('close', (code, signal) => {
      finish();
      const notes = lastLines(stderr);
      if (ended === 'aborted') reject(options.signal?.reason ?? new Error('aborted'));
      else if (ended === 'timed-out') {
        reject(
          new ProcessFault('process/timed-out', `${what} took longer than ${(options.timeout ?? 0) / 1000} s`, {
            notes,
          }),
        );
      } else if (ended === 'too-much-output') {
        reject(new ProcessFault('process/too-much-output', `${what} printed more than ${maximum} bytes`, { notes }));
      } else if (code === null || !(options.accept ?? [0]).includes(code)) {
        const how = code === null ? `was ended by ${signal}` : `failed with exit code ${code}`;
        reject(new ProcessFault('process/failed', `${what} ${how}`, { notes }));
      } else resolve({ code, stdout: Buffer.concat(stdout), stderr });
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}

function lastLines(text: string, count = 20): string[] {
  const lines = text.trimEnd().split('\n').slice(-count);
  return lines.length === 1 && lines[0] === '' ? [] : [lines.join('\n')];
}
