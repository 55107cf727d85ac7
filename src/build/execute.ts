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
  /** UTF-16 code units of standard output that are kept; `maximumText` unless told. */
  readonly keep?: number | undefined;
  /** What must not be read in what is printed is taken out, line by line, before anything else sees it. */
  readonly hide?: ((text: string) => string) | undefined;
  /** Hears lines as they come. */
  readonly hear?: ((text: string) => void) | undefined;
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
  /** Standard output was more than what is kept of it. */
  readonly cut: boolean;
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
    let cut = false;
    let logged = 0;
    const keep = execution.keep ?? maximumText;
    let log: WriteStream | undefined;
    const add = (piece: string, standard: boolean) => {
      text = (text + piece).slice(-maximumText);
      if (standard) {
        cut ||= stdout.length + piece.length > keep;
        stdout = (stdout + piece).slice(-keep);
      }
      execution.hear?.(piece);
      if (execution.log === undefined || logged > maximumLog) return;
      log ??= createWriteStream(execution.log).on('error', () => {
        // The log is a convenience; the outcome does not depend on it.
      });
      logged += piece.length;
      log.write(piece);
    };
    const { hide } = execution;
    const sinks = ([true, false] as const).map((standard) =>
      hide === undefined ? direct((piece) => add(piece, standard)) : byLine((piece) => add(hide(piece), standard)),
    );
    child.stdout.setEncoding('utf8').on('data', sinks[0]!.take);
    child.stderr.setEncoding('utf8').on('data', sinks[1]!.take);
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
      for (const sink of sinks) sink.end();
      finish();
      if (signal.aborted) return reject(signal.reason);
      resolve({
        code: code ?? undefined,
        endedBy: endedBy ?? undefined,
        timedOut,
        text,
        stdout,
        cut,
        seconds: (performance.now() - started) / 1000,
      });
    });
  });
}

interface Sink {
  take(piece: string): void;
  end(): void;
}

function direct(take: (piece: string) => void): Sink {
  return { take, end() {} };
}

/** UTF-16 code units of a line that are waited for. */
const longestLine = 1024 * 1024;

/** Whole lines: what is looked for in them may come in several pieces. */
function byLine(take: (text: string) => void): Sink {
  let held = '';
  return {
    take(piece) {
      held += piece;
      const end = held.length > longestLine ? held.length : held.lastIndexOf('\n') + 1;
      if (end === 0) return;
      take(held.slice(0, end));
      held = held.slice(end);
    },
    end() {
      if (held !== '') take(held);
      held = '';
    },
  };
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Already gone.
  }
}
