import { spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';

export interface Execution {
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
  /** File that all that is printed goes to, up to `maximumLog` bytes. */
  readonly log?: string;
}

export interface Executed {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly endedBy: string | undefined;
  readonly timedOut: boolean;
  /** The last part of standard output and standard error, as they came. */
  readonly text: string;
  /** The last part of standard output alone. */
  readonly stdout: string;
  readonly seconds: number;
}

/** UTF-16 code units of output that are kept in memory; what came first is in the log. */
const maximumText = 256 * 1024;
/** Bytes of a log: a program in a loop must not fill the disk. */
const maximumLog = 64 * 1024 * 1024;
/** Milliseconds between the request to end and the end by force. */
const patience = 2_000;

/**
 * Runs a program with its process group, to its end or until the time or the signal ends it. What it prints is no error
 * however much it is.
 *
 * @throws the signal's reason when aborted; an error of spawn(2) where the program can't be started
 */
export function execute(execution: Execution): Promise<Executed> {
  const { signal } = execution;
  signal.throwIfAborted();
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(execution.program, execution.args, {
      cwd: execution.folder,
      env: execution.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let text = '';
    let stdout = '';
    let logged = 0;
    let log: WriteStream | undefined;
    const add = (piece: string, standard: boolean) => {
      text = (text + piece).slice(-maximumText);
      if (standard) stdout = (stdout + piece).slice(-maximumText);
      if (execution.log === undefined || logged > maximumLog) return;
      log ??= createWriteStream(execution.log).on('error', () => {
        // The log is a convenience; the outcome does not depend on it.
      });
      logged += piece.length;
      log.write(piece);
    };
    child.stdout.setEncoding('utf8').on('data', (piece: string) => add(piece, true));
    child.stderr.setEncoding('utf8').on('data', (piece: string) => add(piece, false));
    let timedOut = false;
    let force: NodeJS.Timeout | undefined;
    const end = () => {
      killGroup(child.pid, 'SIGTERM');
      force ??= setTimeout(() => killGroup(child.pid, 'SIGKILL'), patience);
    };
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, execution.timeout);
    signal.addEventListener('abort', end, { once: true });
    const finish = () => {
      clearTimeout(timer);
      clearTimeout(force);
      signal.removeEventListener('abort', end);
      log?.end();
    };
    child.on('error', (error) => {
      finish();
      reject(error);
    });
    child.on('exit', () => {
      // Children left behind in the group would keep the pipes open, and the scratch folder in use.
      killGroup(child.pid, 'SIGKILL');
    });
    child.on('close', (code, endedBy) => {
      finish();
      if (signal.aborted) return reject(signal.reason);
      resolve({
        code: code ?? undefined,
        endedBy: endedBy ?? undefined,
        timedOut,
        text,
        stdout,
        seconds: (performance.now() - started) / 1000,
      });
    });
  });
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Already gone.
  }
}
